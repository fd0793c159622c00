// The name of a UNIX-domain socket: a path, or a name in Linux's abstract namespace (unix(7)).
#pragma once

#include "portico/ip/text_error.hpp"

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace portico::ip {

// Regular and trivially copyable: the bytes lie inside, as in sockaddr_un.
class unix_name {
public:
    static constexpr std::size_t max_path = 107;     // sun_path without its terminator
    static constexpr std::size_t max_abstract = 107; // sun_path without its leading zero

    constexpr unix_name() noexcept = default; // unnamed
    // nullopt when empty, longer than max_path, or with a zero byte in it.
    [[nodiscard]] static std::optional<unix_name> path(std::string_view text) noexcept;
    // nullopt when empty or longer than max_abstract. Any byte is allowed.
    [[nodiscard]] static std::optional<unix_name> abstract(std::string_view name) noexcept;

    [[nodiscard]] constexpr bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] constexpr bool is_abstract() const noexcept { return abstract_; }
    [[nodiscard]] constexpr std::string_view text() const noexcept {
        return {bytes_.data(), size_};
    }

    friend constexpr auto operator<=>(const unix_name&, const unix_name&) = default;

private:
    std::array<char, max_path> bytes_{};
    std::uint8_t size_ = 0;
    bool abstract_ = false;
};

// "unix:/path", "unix:@abstract", or "unix:" when unnamed. Bytes that are not printable ASCII, the
// space, ',' and '\' are written as \xNN; so is a byte that would make it read as something else
// ('@' in front of a relative path, the second '/' of a path that begins with two).
[[nodiscard]] std::string to_text(const unix_name& which);

// Reads what follows "unix:": a path, or '@' and an abstract name. "\xNN" stands for a byte, any
// other '\' for itself; "///path" is the URL form of "/path". Control characters and ',' have to be
// written as \xNN. The unnamed one is not a name to read.
[[nodiscard]] text_result<unix_name> parse_unix_name(std::string_view text);

} // namespace portico::ip

template <>
struct std::hash<portico::ip::unix_name> {
    [[nodiscard]] std::size_t operator()(const portico::ip::unix_name& which) const noexcept;
};
