#include "guard/binder_message.hpp"

#include <algorithm>
#include <cstring>
#include <sys/socket.h>

namespace portico::app {
namespace {

// "Pb1", and whether it is a request: what another version says is not read.
constexpr std::uint32_t begins_request = 0x50623152;
constexpr std::uint32_t begins_reply = 0x50623141;

template <class Number>
void put(std::span<std::byte> to, std::size_t at, Number value) noexcept {
    std::memcpy(to.data() + at, &value, sizeof value);
}

template <class Number>
Number take(std::span<const std::byte> from, std::size_t at) noexcept {
    Number value{};
    std::memcpy(&value, from.data() + at, sizeof value);
    return value;
}

bool is_address(const binder_request& which) noexcept {
    const auto family = take<sa_family_t>(which.at, offsetof(sockaddr_in, sin_family));
    return (family == AF_INET && which.length == sizeof(sockaddr_in)) ||
           (family == AF_INET6 && which.length == sizeof(sockaddr_in6));
}

} // namespace

std::uint16_t binder_request::port() const noexcept {
    static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
    return ntohs(take<in_port_t>(at, offsetof(sockaddr_in, sin_port)));
}

binder_request_bytes to_bytes(const binder_request& which) noexcept {
    binder_request_bytes made{};
    put(made, 0, begins_request);
    put(made, 4, which.length);
    put(made, 8, which.number);
    std::copy(which.at.begin(), which.at.end(), made.begin() + 16);
    return made;
}

binder_reply_bytes to_bytes(const binder_reply& which) noexcept {
    binder_reply_bytes made{};
    put(made, 0, begins_reply);
    put(made, 4, which.why);
    put(made, 8, which.number);
    return made;
}

std::optional<binder_request> parse_binder_request(std::span<const std::byte> bytes) noexcept {
    if (bytes.size() != binder_request_bytes{}.size() ||
        take<std::uint32_t>(bytes, 0) != begins_request) {
        return std::nullopt;
    }
    binder_request made;
    made.length = take<std::uint32_t>(bytes, 4);
    made.number = take<std::uint64_t>(bytes, 8);
    std::copy_n(bytes.begin() + 16, made.at.size(), made.at.begin());
    return is_address(made) ? std::optional{made} : std::nullopt;
}

std::optional<binder_reply> parse_binder_reply(std::span<const std::byte> bytes) noexcept {
    if (bytes.size() != binder_reply_bytes{}.size() ||
        take<std::uint32_t>(bytes, 0) != begins_reply) {
        return std::nullopt;
    }
    return binder_reply{take<std::uint64_t>(bytes, 8), take<std::int32_t>(bytes, 4)};
}

} // namespace portico::app
