// Between values of core and the bytes that the kernel takes.

#include "portico/os/socket.hpp"
#include "socket/call.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <net/if.h>
#include <netinet/in.h>

namespace portico::os {
namespace {

constexpr std::size_t path_offset = offsetof(sockaddr_un, sun_path);

// Copying keeps to the rules about aliasing; the compiler makes plain stores of it.
template <class Address>
sockaddr_bytes stored(const Address& from, std::size_t size = sizeof(Address)) noexcept {
    sockaddr_bytes made;
    static_assert(sizeof(Address) <= sizeof made.storage);
    std::memcpy(&made.storage, &from, sizeof from);
    made.size = static_cast<socklen_t>(size);
    return made;
}

// A name is tried before a number, because an interface may be called "7".
sys_result<std::uint32_t> scope_id(const ip::zone& where) noexcept {
    if (where.empty()) {
        return 0U;
    }
    std::array<char, IF_NAMESIZE> name{};
    std::copy(where.text().begin(), where.text().end(), name.begin());
    if (const unsigned index = ::if_nametoindex(name.data()); index != 0) {
        return index;
    }
    if (errno != ENODEV && errno != ENXIO) {
        return failure(errno); // no descriptor was left to ask with: not a missing interface
    }
    const auto number = where.index();
    if (!number || ::if_indextoname(*number, name.data()) == nullptr) {
        return failure(ENODEV);
    }
    return *number;
}

ip::zone zone_of(std::uint32_t index) noexcept {
    if (index == 0) {
        return {};
    }
    std::array<char, IF_NAMESIZE> name{};
    if (::if_indextoname(index, name.data()) != nullptr) {
        if (const auto named = ip::zone::from_text(name.data())) {
            return *named;
        }
    }
    return ip::zone::from_index(index); // gone by now, or its name cannot be written in an address
}

sys_result<sockaddr_bytes> to_sockaddr_ip(const ip::endpoint& at) noexcept {
    if (at.address.is_v4()) {
        sockaddr_in made{};
        made.sin_family = AF_INET;
        made.sin_port = htons(at.port);
        const auto bytes = at.address.to_v4();
        std::memcpy(&made.sin_addr, bytes.data(), bytes.size());
        return stored(made);
    }
    const auto scope = scope_id(at.address.zone());
    if (!scope) {
        return tl::unexpected{scope.error()};
    }
    sockaddr_in6 made{};
    made.sin6_family = AF_INET6;
    made.sin6_port = htons(at.port);
    made.sin6_scope_id = *scope;
    const auto bytes = at.address.to_v6();
    std::memcpy(&made.sin6_addr, bytes.data(), bytes.size());
    return stored(made);
}

// unix(7): a path ends with a zero byte that counts; an abstract name starts with one and is as
// long as the size says; an unnamed address is the family alone, and bind(2) then makes a name up.
sockaddr_bytes to_sockaddr_unix(const ip::unix_name& name) noexcept {
    sockaddr_un made{};
    made.sun_family = AF_UNIX;
    if (name.empty()) {
        return stored(made, path_offset);
    }
    const std::size_t lead = name.is_abstract() ? 1 : 0;
    std::copy(name.text().begin(), name.text().end(), made.sun_path + lead);
    return stored(made, path_offset + name.text().size() + 1);
}

ip::any_endpoint from_sockaddr_unix(const sockaddr_bytes& bytes) noexcept {
    if (bytes.size <= path_offset) {
        return ip::unix_name{};
    }
    sockaddr_un given{};
    const std::size_t length = std::min<std::size_t>(bytes.size, sizeof given) - path_offset;
    std::memcpy(&given, &bytes.storage, sizeof given);
    if (given.sun_path[0] == '\0') {
        return ip::unix_name::abstract({given.sun_path + 1, length - 1}).value_or(ip::unix_name{});
    }
    // Linux also takes a path that fills sun_path without a terminator; unix_name has no room for
    // it, and "unnamed" would be untrue.
    const auto path = ip::unix_name::path({given.sun_path, ::strnlen(given.sun_path, length)});
    return path ? ip::any_endpoint{*path} : ip::any_endpoint{};
}

ip::any_endpoint from_sockaddr_v4(const sockaddr_bytes& bytes) noexcept {
    sockaddr_in given{};
    std::memcpy(&given, &bytes.storage, sizeof given);
    ip::address::v4_bytes raw{};
    std::memcpy(raw.data(), &given.sin_addr, raw.size());
    return ip::endpoint{ip::address::v4(raw), ntohs(given.sin_port)};
}

ip::any_endpoint from_sockaddr_v6(const sockaddr_bytes& bytes) noexcept {
    sockaddr_in6 given{};
    std::memcpy(&given, &bytes.storage, sizeof given);
    ip::address::v6_bytes raw{};
    std::memcpy(raw.data(), &given.sin6_addr, raw.size());
    return ip::endpoint{ip::address::v6(raw, zone_of(given.sin6_scope_id)), ntohs(given.sin6_port)};
}

} // namespace

const sockaddr* sockaddr_bytes::data() const noexcept {
    return reinterpret_cast<const sockaddr*>(&storage);
}

sockaddr* sockaddr_bytes::data() noexcept {
    return reinterpret_cast<sockaddr*>(&storage);
}

sys_result<sockaddr_bytes> to_sockaddr(const ip::any_endpoint& at) noexcept {
    if (const auto* endpoint = std::get_if<ip::endpoint>(&at)) {
        return to_sockaddr_ip(*endpoint);
    }
    if (const auto* name = std::get_if<ip::unix_name>(&at)) {
        return to_sockaddr_unix(*name);
    }
    return failure(EINVAL);
}

ip::any_endpoint from_sockaddr(const sockaddr_bytes& bytes) noexcept {
    if (bytes.size < sizeof bytes.storage.ss_family) {
        return {};
    }
    switch (bytes.storage.ss_family) {
    case AF_INET:
        return bytes.size >= sizeof(sockaddr_in) ? from_sockaddr_v4(bytes) : ip::any_endpoint{};
    case AF_INET6:
        return bytes.size >= sizeof(sockaddr_in6) ? from_sockaddr_v6(bytes) : ip::any_endpoint{};
    case AF_UNIX:
        return from_sockaddr_unix(bytes);
    default:
        return {};
    }
}

} // namespace portico::os
