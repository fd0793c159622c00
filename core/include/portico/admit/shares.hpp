// Something that many use and there is only so much of, such as the descriptors of a process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace portico::admit {

// Half of it is shared out evenly, so that nobody is left with none however much the others want;
// the other half is for whoever comes first.
//
//     4 members of 80: each has 10 of its own, and 40 are for all
//
// Time: O(1), and O(members) when one joins or leaves. Memory: 24 bytes a member. Threads: the
// caller serialises.
class shares {
public:
    explicit shares(std::size_t total) noexcept : total_{total} {}

    // Returns its number. `each`: what it takes at once, at least 1.
    [[nodiscard]] std::size_t join(std::size_t each);
    // What it still has comes back.
    void leave(std::size_t who);

    // True: it has what it takes at once; give_back() is owed.
    [[nodiscard]] bool take(std::size_t who);
    // Whether take() would say so.
    [[nodiscard]] bool has_room(std::size_t who) const;
    // Precondition: it has some; otherwise nothing happens.
    void give_back(std::size_t who);
    // From now on. Nobody loses what it has.
    void set_total(std::size_t total);

    [[nodiscard]] std::size_t total() const noexcept { return total_; }
    [[nodiscard]] std::size_t taken() const noexcept { return taken_; }

private:
    struct member {
        std::size_t each = 0; // 0: it has left
        std::size_t has = 0;
    };
    [[nodiscard]] std::size_t unused_by(const member& which) const noexcept;
    void share_out();

    std::size_t total_;
    std::size_t taken_ = 0;
    std::size_t own_ = 0;    // of each member
    std::size_t unused_ = 0; // of what is members' own
    std::vector<member> members_;
};

} // namespace portico::admit
