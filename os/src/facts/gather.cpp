// Gathering what plan::make_plan() wants to know.

#include "fd/text_file.hpp"
#include "portico/diagnose/proc_text.hpp"
#include "portico/os/facts.hpp"
#include "portico/os/netlink.hpp"
#include "portico/os/socket.hpp"

#include <charconv>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace portico::os {
namespace {

std::string could_not(std::string_view what, const std::error_code& why) {
    return std::string{what} + ": " + why.message();
}

class gathering {
public:
    explicit gathering(const fact_sources& from) : from_{from} {}

    void families() {
        made_.known.has_v4 = has_family(ip::family::v4);
        made_.known.has_v6 = has_family(ip::family::v6);
    }

    void sysctls() {
        if (made_.known.has_v6) { // else there is no such file, and nobody misses it
            made_.known.v6_disabled =
                number("net/ipv6/conf/all/disable_ipv6", made_.known.v6_disabled ? 1 : 0) != 0;
        }
        made_.known.max_backlog = number("net/core/somaxconn", made_.known.max_backlog);
        const int first =
            number("net/ipv4/ip_unprivileged_port_start", made_.known.first_unprivileged_port);
        if (first >= 0 && first <= UINT16_MAX) { // 65536 is not offered by the kernel
            made_.known.first_unprivileged_port = static_cast<std::uint16_t>(first);
        }
    }

    // Of this process, in the user namespace that its network namespace belongs to.
    void privilege() {
        __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
        __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3]{};
        if (::syscall(SYS_capget, &header, sets) != 0) {
            made_.unknown.push_back(
                could_not("capabilities of this process", {errno, std::system_category()}));
            return;
        }
        made_.known.privileged = (sets[CAP_TO_INDEX(CAP_NET_BIND_SERVICE)].effective &
                                  CAP_TO_MASK(CAP_NET_BIND_SERVICE)) != 0 &&
                                 !is_foreign_network();
    }

    void interfaces() {
        const auto taken = take_snapshot();
        if (!taken) {
            made_.unknown.push_back(could_not("interfaces and addresses", taken.error()));
            return;
        }
        for (const auto& each : taken->links) {
            made_.known.interfaces.push_back(each.name);
            if (!each.up) {
                made_.known.down.push_back(each.name);
            }
        }
        for (const auto& each : taken->addresses) {
            const auto* owner = taken->find_link(each.link);
            made_.known.addresses.push_back(
                {owner == nullptr ? std::string{} : owner->name, each.link, each.address,
                 each.tentative && !each.optimistic, each.dad_failed, each.deprecated,
                 each.broadcast, owner == nullptr || owner->multicast, each.prefix_length});
        }
    }

    void services() {
        const auto text = read_text(from_.services);
        if (text) {
            made_.known.services = ip::service_table::from_text(*text);
        } else if (text.error() != std::errc::no_such_file_or_directory) { // usual in containers
            made_.unknown.push_back(could_not(from_.services, text.error()));
        }
    }

    void inherited(std::vector<plan::inherited_socket> sockets) {
        made_.known.inherited = std::move(sockets);
    }

    [[nodiscard]] gathered_facts take() && { return std::move(made_); }

private:
    // Capabilities are good for network namespaces of this user namespace and of those in it; of
    // others the kernel does not show the owner.
    static bool is_foreign_network() {
        const fd network{::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)};
        const fd owner{network ? ::ioctl(network.raw(), NS_GET_USERNS) : -1};
        return network && !owner && errno == EPERM;
    }

    bool has_family(ip::family which) {
        const auto s = os::socket(ip::endpoint{ip::address::any(which), 0}, ip::transport::udp);
        if (s) {
            return true;
        }
        if (s.error() == std::errc::address_family_not_supported) {
            return false;
        }
        made_.unknown.push_back(could_not(std::string{ip::to_text(which)} + " sockets", s.error()));
        return true;
    }

    int number(std::string_view name, int otherwise) {
        const auto path = from_.proc + "/sys/" + std::string{name};
        const auto text = read_text(path);
        if (!text) {
            made_.unknown.push_back(could_not(path, text.error()));
            return otherwise;
        }
        int value = 0;
        if (std::from_chars(text->data(), text->data() + text->size(), value).ec != std::errc{}) {
            made_.unknown.push_back(path + ": it is not a number");
            return otherwise;
        }
        return value;
    }

    const fact_sources& from_;
    gathered_facts made_;
};

} // namespace

tl::expected<gathered_facts, inherit_error> gather_facts(const listen_environment& inherited,
                                                         const fact_sources& from) {
    auto sockets = inherited_sockets(inherited, ::getpid());
    if (!sockets) {
        return tl::unexpected{std::move(sockets.error())};
    }
    gathering made{from};
    made.families();
    made.sysctls();
    made.privilege();
    made.interfaces();
    made.services();
    made.inherited(std::move(*sockets));
    return std::move(made).take();
}

tl::expected<gathered_facts, inherit_error> gather_facts() {
    return gather_facts(read_listen_environment());
}

ip::service_table read_services(const fact_sources& from) {
    const auto text = read_text(from.services);
    return text ? ip::service_table::from_text(*text) : ip::service_table{};
}

std::vector<ip::address> read_hosts(std::string_view name, const fact_sources& from) {
    const auto text = read_text(from.hosts);
    return text ? diagnose::addresses_in_hosts(*text, name) : std::vector<ip::address>{};
}

sys_result<std::string> read_sysctl(const std::string& name) {
    auto text = read_text("/proc/sys/" + name);
    if (text && text->ends_with('\n')) {
        text->pop_back();
    }
    return text;
}

} // namespace portico::os
