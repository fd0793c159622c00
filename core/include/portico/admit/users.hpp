// Who may use a service, by name and password: RFC 1929's users, from a file of lines.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

namespace portico::admit {

// What is wrong with one line; it never has the password in it.
struct user_fault {
    std::size_t line = 0; // from 1
    std::string what;
};

// Memory: about 100 bytes and both texts for each user. Threads: reading is safe.
class users {
public:
    // Of the names and of the passwords, in bytes (RFC 1929 section 2); at least 1.
    static constexpr std::size_t longest = 255;

    // Lines "user:password": the first colon counts, and the password is all that follows. Empty
    // lines and those that begin with '#' are passed over; a CR at the end of a line is no part of
    // it. A control character, a name that is there twice, or no user at all is wrong. All faults,
    // not the first.
    [[nodiscard]] static tl::expected<users, std::vector<user_fault>> parse(std::string_view text);

    // Whether this is the password of this user. Time: of the passwords it depends on no byte, and
    // not on whether there is such a user.
    [[nodiscard]] bool knows(std::string_view name, std::string_view password) const noexcept;
    [[nodiscard]] std::size_t size() const noexcept { return passwords_.size(); }

private:
    std::map<std::string, std::string, std::less<>> passwords_; // by name
};

} // namespace portico::admit
