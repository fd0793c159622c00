// What the readers of address text share: diagnostics that point at a character, zones and ports.
#pragma once

#include "portico/ip/address.hpp"
#include "portico/ip/listen_address.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace portico::ip::reading {

[[nodiscard]] tl::unexpected<text_error> wrong(std::size_t at, std::size_t length, std::string what,
                                               std::string hint = {});

// The same error in a text that has `by` more bytes in front.
[[nodiscard]] tl::unexpected<text_error> shifted(text_error why, std::size_t by);

// "'x'", "a space", "a control character", "a byte outside ASCII".
[[nodiscard]] std::string name_of(char which);

[[nodiscard]] constexpr bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}
[[nodiscard]] constexpr bool is_letter(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
[[nodiscard]] constexpr char lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
[[nodiscard]] bool all_digits(std::string_view text) noexcept; // and at least one
[[nodiscard]] std::optional<unsigned> hex_digit(char c) noexcept;

// A decimal number up to `most`, nothing else around it; `what` names it in the message
// ("the port").
[[nodiscard]] text_result<std::uint32_t> read_number(std::string_view text, std::uint32_t most,
                                                     std::string_view what);

// What follows the '%'; `at` is where it begins in the text the error counts in.
[[nodiscard]] text_result<zone> read_zone(std::string_view text, std::size_t at);

// "HOST:PORT" cut apart, and the zone that systemd writes after the port.
struct host_and_port {
    std::string_view host; // without brackets
    std::size_t host_at = 0;
    bool bracketed = false;
    std::string_view port;
    std::size_t port_at = 0;
    std::optional<std::string_view> late_zone;
    std::size_t late_zone_at = 0;
};
[[nodiscard]] text_result<host_and_port> split_host_and_port(std::string_view text);

// The IPv6 address between the brackets, in its zone.
[[nodiscard]] text_result<address> read_bracketed(const host_and_port& parts);

// A number, or a service name.
[[nodiscard]] text_result<port_name> read_port(std::string_view text, std::size_t at);

} // namespace portico::ip::reading
