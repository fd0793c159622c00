// What the proxy clients and the reader of --via share about names, and about text that is shown.
#pragma once

#include "portico/wire/proxy.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace portico::wire {

inline constexpr std::size_t max_name = 255; // RFC 1928 section 5: its length is one byte

// Where the first byte is that no host name sent to a proxy may have; see proxy_target::make().
[[nodiscard]] std::optional<std::size_t> find_bad_name_byte(std::string_view name) noexcept;

// Printable ASCII and at most `most` characters, for messages: everything else is '?'.
[[nodiscard]] std::string sanitised(std::string_view text, std::size_t most);

[[nodiscard]] bool has_control(std::string_view text) noexcept;

// std::errc::invalid_argument by the caller.
[[nodiscard]] tl::unexpected<proxy_failure> refuse(std::string text);

[[nodiscard]] proxy_failure failed(errc code, side who, std::string text);

} // namespace portico::wire
