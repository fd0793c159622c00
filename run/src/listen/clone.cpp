#include "listen/clone.hpp"

#include "portico/os/listening.hpp"
#include "portico/os/socket.hpp"

#include <algorithm>
#include <iterator>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace portico::run {
namespace {

// What bind(2) and listen(2) need to have been told; the rest is inherited from nobody.
struct options_of {
    bool v6only = false;
    bool freebind = false;
};

bool flag(int socket, int level, int name) {
    int value = 0;
    socklen_t size = sizeof value;
    return ::getsockopt(socket, level, name, &value, &size) == 0 && value != 0;
}

// The kernel tells it of listening sockets in this place.
int backlog_of(int listening) {
    tcp_info told{};
    socklen_t size = sizeof told;
    const bool known = ::getsockopt(listening, IPPROTO_TCP, TCP_INFO, &told, &size) == 0;
    return known && told.tcpi_sacked > 0 ? static_cast<int>(told.tcpi_sacked) : SOMAXCONN;
}

os::sys_result<os::fd> bound_clone(const ip::endpoint& at, const options_of& how,
                                   const bind_call& bind) {
    auto made = os::socket(at, ip::transport::tcp);
    if (!made) {
        return made;
    }
    const auto family = at.address.family();
    auto done = family == ip::family::v6 ? os::set_v6only(*made, how.v6only) : os::sys_status{};
    if (done) {
        done = os::set_reuse_address(*made, true);
    }
    if (done) {
        done = os::set_reuse_port(*made, true);
    }
    if (done && how.freebind) {
        done = os::set_freebind(*made, family);
    }
    if (done) {
        done = bind ? bind(*made, at) : os::bind(*made, at);
    }
    if (!done) {
        return tl::unexpected{done.error()};
    }
    return made;
}

// As the first socket is already bound, nobody else can come between.
os::sys_result<std::vector<os::fd>> bound_clones(const bound_socket& of, const ip::endpoint& at,
                                                 std::size_t count, const bind_call& bind) {
    const int first = of.descriptor.raw();
    options_of how;
    how.v6only = os::v6only(first).value_or(true);
    how.freebind = flag(first, SOL_IP, IP_FREEBIND);
    std::vector<os::fd> made;
    for (std::size_t i = 0; i < count; ++i) {
        auto each = bound_clone(at, how, bind);
        if (!each) {
            return tl::unexpected{each.error()};
        }
        made.push_back(std::move(*each));
    }
    return made;
}

} // namespace

std::string open_clones(bound_socket& of, std::size_t count, const bind_call& bind) {
    const auto* at = std::get_if<ip::endpoint>(&of.at);
    if (at == nullptr || of.clones.size() + 1 >= count) {
        return {};
    }
    const auto sorry = [&](const std::string& why) {
        return "the threads share one socket at " + ip::to_text(*at) + ": " + why;
    };
    const bool user_shares = flag(of.descriptor.raw(), SOL_SOCKET, SO_REUSEPORT);
    if (const auto done = os::set_reuse_port(of.descriptor, true); !done) {
        return sorry("SO_REUSEPORT: " + done.error().message());
    }
    auto clones = bound_clones(of, *at, count - 1 - of.clones.size(), bind);
    if (!clones) {
        if (of.clones.empty()) {
            static_cast<void>(os::set_reuse_port(of.descriptor, user_shares));
        }
        return sorry(clones.error().message());
    }
    const int backlog = backlog_of(of.descriptor.raw());
    for (const auto& each : *clones) {
        if (const auto done = os::listen(each, backlog); !done) {
            return sorry(done.error().message());
        }
    }
    std::move(clones->begin(), clones->end(), std::back_inserter(of.clones));
    return {};
}

} // namespace portico::run
