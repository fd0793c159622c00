// What is said between a host and its binder: a message of a fixed size with each socket, and one
// of a fixed size back. Both are processes of one machine, so the order of bytes is the machine's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <netinet/in.h>
#include <optional>
#include <span>

namespace portico::app {

// Bind the socket that comes with it to this address and port; it has no zone by name, because the
// binder cannot look one up.
struct binder_request {
    std::uint64_t number = 0;                         // comes back in the reply
    std::array<std::byte, sizeof(sockaddr_in6)> at{}; // a sockaddr_in or a sockaddr_in6
    std::uint32_t length = 0;                         // of the address

    [[nodiscard]] std::uint16_t port() const noexcept;
    friend bool operator==(const binder_request&, const binder_request&) = default;
};

struct binder_reply {
    std::uint64_t number = 0;
    std::int32_t why = 0; // an errno; 0: it is bound

    friend bool operator==(const binder_reply&, const binder_reply&) = default;
};

// The number of a binder's first reply, which says that it is ready, or why it is not; and of one
// to a request that it cannot read.
inline constexpr std::uint64_t binder_start = 0;

using binder_request_bytes = std::array<std::byte, 48>;
using binder_reply_bytes = std::array<std::byte, 16>;

[[nodiscard]] binder_request_bytes to_bytes(const binder_request& which) noexcept;
[[nodiscard]] binder_reply_bytes to_bytes(const binder_reply& which) noexcept;
// nullopt: it is of another size, has another beginning, or an address that is neither of IPv4 nor
// of IPv6.
[[nodiscard]] std::optional<binder_request>
parse_binder_request(std::span<const std::byte> bytes) noexcept;
[[nodiscard]] std::optional<binder_reply>
parse_binder_reply(std::span<const std::byte> bytes) noexcept;

} // namespace portico::app
