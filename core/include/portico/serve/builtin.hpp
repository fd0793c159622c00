// What the small built-in services say: RFC 862 to 868 and a greeting. Pure: the time and the
// seed of what is random are arguments.
#pragma once

#include "portico/ip/any_endpoint.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace portico::serve {

enum class builtin : std::uint8_t {
    echo,    // RFC 862: what came, goes back
    discard, // RFC 863: what came, is dropped
    chargen, // RFC 864: characters without an end
    daytime, // RFC 867: the date and time as text
    time,    // RFC 868: the seconds since 1900 as four bytes
    hello,   // one line with both addresses of the connection
};

// "echo", "discard", ...
[[nodiscard]] std::string_view to_text(builtin which) noexcept;

// "Saturday, November 21, 2026 05:16:11-UTC\r\n": one line, in the form of the first example of
// RFC 867. `since_1970`: POSIX time, from year -32767 to 32767; outside it is the nearest of them.
[[nodiscard]] std::string daytime_line(std::chrono::seconds since_1970);

// The seconds since 1900-01-01 00:00 UTC, the most significant byte first (RFC 868). 32 bits: it
// wraps to zero at 2036-02-07 06:28:16 UTC, and what is before 1900 wraps as well.
[[nodiscard]] std::array<std::byte, 4> time_bytes(std::chrono::seconds since_1970) noexcept;

// "hello from portico: you are [::1]:50000, this is [::1]:41234, over IPv6\n", from canonical
// addresses: who came in over IPv4 reads IPv4, whatever socket took it. A UNIX socket without a
// name is "an unnamed socket".
[[nodiscard]] std::string hello_line(const ip::any_endpoint& peer, const ip::any_endpoint& local);

// One whole turn of the character generator: 95 lines of 72 printable characters, CR and LF, each
// line begins one character later than the one before (RFC 864). After the last line comes the
// first one again. Memory: static, 7,030 bytes.
[[nodiscard]] std::string_view chargen_turn() noexcept;

// How many characters the next datagram of the character generator has: 0 to 512 (RFC 864). The
// same seed gives the same lengths. Not for secrets.
class chargen_lengths {
public:
    static constexpr std::size_t longest = 512;

    explicit chargen_lengths(std::uint64_t seed) noexcept : state_{seed} {}
    [[nodiscard]] std::size_t next() noexcept;

private:
    std::uint64_t state_;
};

} // namespace portico::serve
