// What won the races before, per destination (RFC 8305 section 4; RFC 6555 section 4.2 for how
// long).
#pragma once

#include "portico/base/instant.hpp"
#include "portico/ip/select.hpp"

#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

namespace portico::race {

// Remembers the winning address and its connect time for each destination, for `lifetime`, at most
// `capacity` destinations; the least recently used one is forgotten first.
//
// Memory: bounded by capacity. Threads: the caller serialises. Time: constant, but linear in
// `places` for apply().
class memory {
public:
    explicit memory(std::size_t capacity = 1024, duration lifetime = std::chrono::minutes{10});

    // `destination` is "host:port" as dialled.
    void remember(instant now, std::string_view destination, const ip::address& winner,
                  duration connect_time);
    // A remembered address could not be reached: it is preferred no longer.
    void forget(std::string_view destination, const ip::address& which);
    // All of it, when the network has changed (RFC 8305 section 4).
    void clear();

    // Marks the places that are remembered for this destination, for ip::sort_destinations().
    void apply(instant now, std::string_view destination, std::span<ip::destination> places) const;

    [[nodiscard]] std::size_t size() const noexcept;

private:
    // (shaped by the owner of this room)
};

} // namespace portico::race
