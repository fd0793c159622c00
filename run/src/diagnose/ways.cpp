// The ways in and out: routes, NAT, filters, counters, attempts.

#include "gather.hpp"

#include "portico/ip/canonical.hpp"
#include "portico/os/counters.hpp"
#include "portico/os/facts.hpp"
#include "portico/os/nat.hpp"
#include "portico/os/route.hpp"

#include <algorithm>
#include <cerrno>
#include <poll.h>
#include <unistd.h>

namespace portico::run {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

diagnose::drop_counters counters_now() {
    const auto read = os::read_tcp_counters();
    if (!read) {
        return {};
    }
    return {read->listen_overflows, read->listen_drops,  read->cookies_sent,
            read->request_cookies,  read->request_drops, read->reverse_path};
}

int filter_mode(const std::string& interface) {
    const auto text = os::read_sysctl("net/ipv4/conf/" + interface + "/rp_filter");
    return text && text->size() == 1 ? text->front() - '0' : 0;
}

// Whether the kernel drops packets that come in by this interface because the way back leads out by
// another one. It says EXDEV, and since Linux 6.14 EINVAL, which may mean something else.
bool is_dropped(const ip::address& to, const ip::address& from, const std::string& interface) {
    const auto asked = os::find_route({to, from, os::interface_index(interface)});
    if (asked || asked.error() == std::errc::cross_device_link) {
        return !asked;
    }
    const auto back = os::find_route({from});
    return asked.error() == std::errc::invalid_argument && (!back || back->interface != interface);
}

// One connection that is being tried.
struct trial {
    ip::endpoint to;
    os::fd socket;
    std::size_t answer = 0; // index of its attempt
};

std::error_code ended(const trial& which) {
    const auto done = os::so_error(which.socket.raw());
    return done ? std::error_code{} : done.error();
}

} // namespace

void fact_gatherer::what_is_shared() {
    made_.drops = counters_now();
    auto rules = os::nat_rules();
    if (rules) {
        made_.nat = std::move(rules->rules);
        made_.filters = std::move(rules->filters);
    } else {
        note("NAT rules and filters (nftables)", rules.error());
    }
    if (rules && rules->more_filters) {
        made_.unseen.emplace_back("conditions of filter rules, which may drop or reject packets: "
                                  "see nft list ruleset");
    }
    const auto legacy = os::find_legacy_tables();
    if (legacy.nat) {
        made_.unseen.emplace_back("NAT rules of iptables-legacy: see iptables-legacy -t nat -S");
    }
    if (legacy.filter) {
        made_.unseen.emplace_back("filter rules of iptables-legacy: see iptables-legacy -S");
    }
}

void fact_gatherer::way_in() {
    made_.client = how_.client;
    what_is_shared();
    const auto* first =
        asked_.places.empty() ? nullptr : std::get_if<ip::endpoint>(&asked_.places.front());
    const int all = filter_mode("all");
    for (const auto& name : made_.host.interfaces) {
        const int mode = std::max(all, filter_mode(name)); // as the kernel does
        if (name == "lo" || mode == 0) {
            continue;
        }
        diagnose::reverse_check check{name, mode == 1, false};
        if (how_.client && how_.client->is_v4() && first != nullptr) {
            const auto own = std::find_if(
                made_.host.addresses.begin(), made_.host.addresses.end(), [&](const auto& each) {
                    return each.address.is_v4() && !each.address.is_loopback() &&
                           (first->address.is_unspecified() || each.address == first->address);
                });
            if (own == made_.host.addresses.end()) {
                continue;
            }
            check.refused = is_dropped(own->address, *how_.client, name);
        }
        made_.reverse.push_back(std::move(check));
    }
}

void fact_gatherer::way_out() {
    what_is_shared();
    const auto diag = open_diag();
    if (diag) {
        held_ports(*diag);
    }
    for (const auto& each : asked_.places) {
        const auto* at = std::get_if<ip::endpoint>(&each);
        if (at == nullptr) {
            continue;
        }
        for (const auto family : {ip::family::v4, ip::family::v6}) {
            if (diag && at->port != 0 && (family == ip::family::v6 || at->address.is_v4())) {
                os::socket_query which;
                which.family = family;
                which.over = asked_.over;
                which.peer = *at;
                add_sockets(*diag, which, made_.outgoing);
            }
        }
    }
}

void fact_gatherer::routes() {
    for (const auto& each : asked_.places) {
        const auto* at = std::get_if<ip::endpoint>(&each);
        if (at == nullptr || at->address.is_unspecified() || at->address.is_multicast() ||
            (at->address.needs_zone() && at->address.zone().empty())) {
            continue;
        }
        const auto to = ip::canonical(at->address);
        if (auto way = os::find_route({to})) {
            made_.routes.push_back(std::move(*way));
        } else {
            auto& none = made_.routes.emplace_back();
            none.to = to;
            none.refused = way.error();
        }
    }
}

void fact_gatherer::held_ports(const os::fd& diag) {
    std::vector<diagnose::socket> bound;
    for (const auto family : {ip::family::v4, ip::family::v6}) {
        os::socket_query which;
        which.family = family;
        which.over = asked_.over;
        which.states = {diagnose::socket_state::listening, diagnose::socket_state::bound};
        which.local_range = made_.ephemeral;
        add_sockets(diag, which, bound);
    }
    for (const auto& each : bound) {
        made_.held.push_back(std::get<ip::endpoint>(each.local).port);
    }
}

// All at once: a place that does not answer does not hold the others up.
void fact_gatherer::attempts() {
    if (how_.try_for <= milliseconds{0} || asked_.over != ip::transport::tcp) {
        return;
    }
    constexpr std::size_t most = 16;
    std::vector<trial> running;
    const auto start = steady_clock::now();
    const auto so_far = [&] {
        return std::chrono::duration_cast<milliseconds>(steady_clock::now() - start);
    };
    for (const auto& each : asked_.places) {
        const auto* at = std::get_if<ip::endpoint>(&each);
        if (at == nullptr || is_here(each) || running.size() == most) {
            continue;
        }
        auto& answer = made_.attempts.emplace_back();
        answer.to = each;
        auto s = os::socket(each, asked_.over);
        const auto begun = s ? os::connect(*s, each) : os::sys_status{tl::unexpected{s.error()}};
        if (begun) {
            answer.ended = std::error_code{};
        } else if (begun.error() == std::errc::operation_in_progress) {
            running.push_back({*at, std::move(*s), made_.attempts.size() - 1});
        } else {
            answer.ended = begun.error();
        }
    }
    while (!running.empty() && so_far() < how_.try_for) {
        std::vector<pollfd> waiting;
        for (const auto& each : running) {
            waiting.push_back({each.socket.raw(), POLLOUT, 0});
        }
        const auto left = how_.try_for - so_far();
        if (::poll(waiting.data(), waiting.size(),
                   static_cast<int>(std::max<std::int64_t>(left.count(), 0))) < 0 &&
            errno != EINTR) {
            break;
        }
        for (std::size_t i = running.size(); i-- > 0;) {
            if (waiting[i].revents != 0) {
                made_.attempts[running[i].answer].ended = ended(running[i]);
                made_.attempts[running[i].answer].took = so_far();
                running.erase(running.begin() + static_cast<std::ptrdiff_t>(i));
            }
        }
    }
    for (const auto& each : running) {
        made_.attempts[each.answer].took = so_far();
    }
}

} // namespace portico::run
