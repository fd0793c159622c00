// What an HTTP client asks for, as far as whoever answers GET and then closes needs to know.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace portico::wire {

// The head of a request of HTTP/1.0 or 1.1 (RFC 9112 section 3): its first line and its fields, up
// to the empty line. Lines may end in a bare LF (section 2.2).
struct http_request {
    enum class state : std::uint8_t {
        incomplete,   // it may become one of the others
        get,          // `path` is set
        other_method, // well-formed, and not GET
        malformed,    // not HTTP, or another version
        too_long,     // longer than max_size
    };
    static constexpr std::size_t max_size = 8 << 10; // bytes, all of the head

    state is = state::incomplete;
    std::string_view path{}; // within the text; without what follows a '?'; begins with '/'
};

// Pure. Time: linear. What follows the head is not looked at.
[[nodiscard]] http_request read_http_request(std::string_view text) noexcept;

} // namespace portico::wire
