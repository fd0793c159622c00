#include "portico/os/inherit.hpp"
#include "fd/number_of.hpp"
#include "inherit/environment.hpp"
#include "portico/os/socket.hpp"

#include <climits>
#include <fcntl.h>
#include <net/if.h>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>

namespace portico::os {
namespace {

error mistake(int number) {
    return {{number, std::system_category()}, operation::inspect, side::caller, {}};
}

inherit_error bad_value(std::string_view name, std::string_view value, std::string_view what,
                        std::string_view hint) {
    return {mistake(EINVAL), std::string{name} + "=" + shown(value) + ": " + std::string{what},
            std::string{hint}};
}

std::vector<std::string> split_names(std::string_view text) {
    std::vector<std::string> names;
    for (;;) {
        const auto colon = text.find(':');
        names.emplace_back(text.substr(0, colon));
        if (colon == std::string_view::npos) {
            return names;
        }
        text.remove_prefix(colon + 1);
    }
}

inherit_error bad_descriptor(int number, int count, const error& why) {
    const auto which = "descriptor " + std::to_string(number) +
                       ", which LISTEN_FDS=" + std::to_string(count) + " passes,";
    if (why.code == std::errc::bad_file_descriptor) {
        return {why, which + " is not open",
                "pass " + std::to_string(count) + " sockets as descriptors " +
                    std::to_string(first_inherited) + " to " +
                    std::to_string(first_inherited + count - 1) +
                    ", or set LISTEN_FDS to how many there are"};
    }
    if (why.code == std::errc::not_a_socket) {
        return {why, which + " is not a socket",
                "only sockets can be taken over; leave FIFOs and files out of the unit"};
    }
    return {why, which + " cannot be looked at: " + why.code.message(), ""};
}

int integer_option(int number, int option, int otherwise) {
    int value = otherwise;
    socklen_t size = sizeof value;
    return ::getsockopt(number, SOL_SOCKET, option, &value, &size) == 0 ? value : otherwise;
}

std::optional<ip::transport> transport_of(int number) {
    switch (integer_option(number, SO_TYPE, -1)) {
    case SOCK_STREAM:
        return ip::transport::tcp;
    case SOCK_DGRAM:
        return ip::transport::udp;
    default:
        return std::nullopt;
    }
}

} // namespace

listen_environment read_listen_environment() {
    return {variable("LISTEN_FDS"), variable("LISTEN_PID"), variable("LISTEN_FDNAMES")};
}

std::string bound_device(int number, const ip::any_endpoint& at) {
    const auto* where = std::get_if<ip::endpoint>(&at);
    if (where == nullptr || (where->address.needs_zone() && !where->address.is_multicast())) {
        return {};
    }
    char name[IF_NAMESIZE]{};
    socklen_t size = sizeof name;
    const bool known = ::getsockopt(number, SOL_SOCKET, SO_BINDTODEVICE, name, &size) == 0;
    return known ? std::string{name} : std::string{};
}

result<plan::inherited_socket> inspect_socket(int number) {
    const int flags = number < 0 ? -1 : ::fcntl(number, F_GETFD);
    if (flags < 0) {
        return tl::unexpected{mistake(EBADF)};
    }
    const auto bound = os::getsockname(number);
    if (!bound) {
        return tl::unexpected{mistake(bound.error().value())};
    }
    if (::fcntl(number, F_SETFD, flags | FD_CLOEXEC) < 0) {
        return tl::unexpected{mistake(errno)};
    }
    plan::inherited_socket seen;
    seen.number = number;
    seen.bound = *bound;
    seen.over = transport_of(number);
    seen.listening = integer_option(number, SO_ACCEPTCONN, 0) != 0;
    return seen;
}

tl::expected<std::vector<plan::inherited_socket>, inherit_error>
inherited_sockets(const listen_environment& given, pid_t self) {
    std::vector<plan::inherited_socket> sockets;
    if (!given.fds || !given.pid) {
        return sockets;
    }
    const auto pid = number_of<int>(*given.pid);
    if (!pid || *pid == 0) {
        return tl::unexpected{
            bad_value("LISTEN_PID", *given.pid, "it is not a process number",
                      "it is the number of the process that the sockets are for")};
    }
    if (*pid != self) {
        return sockets;
    }
    const auto count = number_of<int>(*given.fds);
    if (!count || *count > INT_MAX - first_inherited) {
        return tl::unexpected{bad_value("LISTEN_FDS", *given.fds, "it is not a number of sockets",
                                        "it is how many sockets are passed, from descriptor 3 on")};
    }
    const auto names = given.names ? split_names(*given.names) : std::vector<std::string>{};
    const bool unnamed = !given.names || (*count == 0 && given.names->empty());
    if (!unnamed && names.size() != static_cast<std::size_t>(*count)) {
        return tl::unexpected{bad_value(
            "LISTEN_FDNAMES", *given.names,
            std::to_string(names.size()) + " names for " + std::to_string(*count) + " sockets",
            "give each socket of LISTEN_FDS one name, separated by ':', or unset LISTEN_FDNAMES")};
    }
    for (int i = 0; i < *count; ++i) {
        auto seen = inspect_socket(first_inherited + i);
        if (!seen) {
            return tl::unexpected{bad_descriptor(first_inherited + i, *count, seen.error())};
        }
        seen->name = unnamed ? std::string{} : names[static_cast<std::size_t>(i)];
        sockets.push_back(std::move(*seen));
    }
    return sockets;
}

} // namespace portico::os
