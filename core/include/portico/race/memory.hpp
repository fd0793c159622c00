// What won the races before, per destination (RFC 8305 section 4; RFC 6555 section 4.2 for how
// long).
#pragma once

#include "portico/base/instant.hpp"
#include "portico/ip/select.hpp"

#include <cstddef>
#include <list>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

namespace portico::race {

// Remembers the winning address and its connect time for each destination, for `lifetime`, at most
// `capacity` destinations; the least recently used one is forgotten first. Being remembered again
// is a use and begins a new lifetime; being applied is a use and does not.
//
// Memory: bounded by capacity (0: nothing is remembered). Threads: the caller serialises. Time:
// constant, but linear in `places` for apply().
class memory {
public:
    explicit memory(std::size_t capacity = 1024, duration lifetime = std::chrono::minutes{10});
    memory(const memory&) = delete; // the index points into the list
    memory& operator=(const memory&) = delete;

    // `destination` is "host:port" as dialled; longer than max_destination is not remembered.
    static constexpr std::size_t max_destination = 512;
    void remember(instant now, std::string_view destination, const ip::address& winner,
                  duration connect_time);
    // A remembered address could not be reached: it is preferred no longer.
    void forget(std::string_view destination, const ip::address& which);
    // All of it, when the network has changed (RFC 8305 section 4).
    void clear();

    // Marks the places that are remembered for this destination, for ip::sort_destinations().
    void apply(instant now, std::string_view destination, std::span<ip::destination> places);

    [[nodiscard]] std::size_t size() const noexcept { return by_use_.size(); }

private:
    struct entry {
        std::string destination;
        ip::address winner;
        duration connect_time;
        instant since;
    };
    using entries = std::list<entry>;

    std::size_t capacity_;
    duration lifetime_;
    entries by_use_;                                                // the latest used first
    std::unordered_map<std::string_view, entries::iterator> index_; // keys lie in the entries
};

} // namespace portico::race
