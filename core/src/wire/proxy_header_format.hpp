// The constants of the PROXY protocol, for its reader and its writer.
#pragma once

#include "portico/wire/proxy_header.hpp"

#include <array>
#include <string_view>

namespace portico::wire::proxy_format {

using namespace std::string_view_literals;

inline constexpr auto signature_v1 = "PROXY "sv;
inline constexpr auto unknown_v1 = "PROXY UNKNOWN"sv;
inline constexpr std::size_t shortest_v1 = unknown_v1.size() + 2;
inline constexpr auto signature_v2 = "\r\n\r\n\0\r\nQUIT\n"sv;
static_assert(signature_v2.size() == 12);

inline constexpr std::size_t head_size = 16; // of version 2; its last two bytes are the length
inline constexpr unsigned version_2 = 2;
inline constexpr unsigned command_local = 0;
inline constexpr unsigned command_proxy = 1;

enum family : unsigned { unspec = 0, inet = 1, inet6 = 2, unix_domain = 3 };
inline constexpr std::size_t unix_size = 108;
inline constexpr std::array<std::size_t, 4> address_sizes{0, 12, 36, 2 * unix_size}; // by family

inline constexpr std::size_t crc32c_size = 4;
inline constexpr std::size_t max_unique_id = 128;

} // namespace portico::wire::proxy_format
