// What the kernel knows about addresses and interfaces, one question at a time.

#include "portico/os/socket.hpp"
#include "socket/call.hpp"

#include <algorithm>
#include <array>
#include <net/if.h>

namespace portico::os {

namespace {

sys_result<ip::address> source_of(const sys_result<fd>& probe, const ip::endpoint& to) noexcept {
    if (!probe) {
        return tl::unexpected{probe.error()};
    }
    if (auto chosen = os::connect(*probe, to); !chosen) {
        return tl::unexpected{chosen.error()};
    }
    const auto name = os::getsockname(probe->raw());
    if (!name) {
        return tl::unexpected{name.error()};
    }
    const auto* local = std::get_if<ip::endpoint>(&*name);
    if (local == nullptr) {
        return failure(EAFNOSUPPORT);
    }
    return local->address;
}

} // namespace

sys_result<ip::address> source_address(const ip::endpoint& to) noexcept {
    return source_of(os::socket(to, ip::transport::udp), to);
}

sys_result<ip::address> source_address(const ip::endpoint& to, std::uint32_t interface) noexcept {
    const auto probe = os::socket(to, ip::transport::udp);
    if (probe) {
        if (auto bound = set_bind_to_device(*probe, interface_name(interface)); !bound) {
            return tl::unexpected{bound.error()};
        }
    }
    return source_of(probe, to);
}

std::uint32_t interface_index(std::string_view name) noexcept {
    std::array<char, IF_NAMESIZE> text{};
    if (name.size() >= text.size()) {
        return 0;
    }
    std::copy(name.begin(), name.end(), text.begin());
    return ::if_nametoindex(text.data());
}

std::string interface_name(std::uint32_t index) {
    std::array<char, IF_NAMESIZE> text{};
    return ::if_indextoname(index, text.data()) == nullptr ? std::string{}
                                                           : std::string{text.data()};
}

} // namespace portico::os
