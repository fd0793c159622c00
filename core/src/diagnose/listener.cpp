// Whether a listening socket keeps up with those who want to connect: its two queues.

#include "examiner.hpp"

#include <algorithm>

namespace portico::diagnose {
namespace {

std::string counter_text(std::string_view name, std::optional<std::uint64_t> count) {
    return std::string{name} + " " + (count ? std::to_string(*count) : "not known");
}

void add_counters(std::vector<std::string>& to, const socket& which, const drop_counters& all) {
    if (which.drops) {
        to.push_back("this socket has dropped " + counted(*which.drops, "request"));
    }
    to.push_back(
        "of the whole network namespace: " + counter_text("ListenOverflows", all.overflows) + ", " +
        counter_text("ListenDrops", all.drops) + ", " +
        counter_text("TCPReqQFullDoCookies", all.full_cookies) + ", " +
        counter_text("TCPReqQFullDrop", all.full_drops) + ", " +
        counter_text("SyncookiesSent", all.cookies_sent));
}

// Connections that wait for accept(2) have no process yet.
std::optional<std::chrono::milliseconds> oldest_waiting(const facts& known,
                                                        const socket& listener) {
    std::optional<std::chrono::milliseconds> oldest;
    for (const auto& each : known.sockets) {
        const auto* at = std::get_if<ip::endpoint>(&each.local);
        if (each.state == socket_state::established && each.inode == 0 && each.quiet &&
            at != nullptr && serves(listener, *at)) {
            oldest = std::max(oldest.value_or(*each.quiet), *each.quiet);
        }
    }
    return oldest;
}

std::size_t half_open_at(const facts& known, const socket& listener) {
    return static_cast<std::size_t>(
        std::count_if(known.sockets.begin(), known.sockets.end(), [&](const auto& each) {
            const auto place = place_of(each);
            return each.state == socket_state::half_open && place &&
                   serves(listener, {place->address, place->port});
        }));
}

bool out_of_descriptors(const process& who) noexcept {
    return who.descriptors && who.descriptor_limit && *who.descriptors >= *who.descriptor_limit;
}

// Whose fault it is, and what helps.
struct blame {
    std::string why;
    std::string fix;
};
blame blame_for(const socket& listener, const facts& known) {
    constexpr std::uint32_t small = 16;
    const auto by_state = [&](auto holds) {
        return std::find_if(listener.holders.begin(), listener.holders.end(),
                            [&](auto each) { return holds(known.processes[each]); });
    };
    const auto none = listener.holders.end();
    if (const auto at = by_state([](const process& p) { return p.state == 'T' || p.state == 't'; });
        at != none) {
        const auto& who = known.processes[*at];
        return {"the program is stopped (state " + std::string{who.state} + " of pid " +
                    std::to_string(who.pid) + ")",
                "kill -CONT " + std::to_string(who.pid)};
    }
    if (const auto at = by_state(out_of_descriptors); at != none) {
        const auto& who = known.processes[*at];
        return {"the program has no descriptor left: " + std::to_string(*who.descriptors) + " of " +
                    std::to_string(*who.descriptor_limit),
                "raise its limit: LimitNOFILE= of its unit, or ulimit -n"};
    }
    if (const auto at = by_state([](const process& p) { return p.state == 'D'; }); at != none) {
        return {"the program waits for a device or a file system (state D)",
                "see what it waits for: cat /proc/" + std::to_string(known.processes[*at].pid) +
                    "/wchan"};
    }
    if (listener.most <= small) {
        return {"its queue is short (listen(2) with " + std::to_string(listener.most) +
                    "), and the program does not accept fast enough for it",
                "let the program call listen(2) with a larger backlog, up to "
                "net.core.somaxconn (" +
                    std::to_string(known.host.max_backlog) + ")"};
    }
    return {"the program does not call accept(2), or not often enough",
            "look at what the program does; more threads or processes may be needed"};
}

void full(examiner& into, const socket& listener) {
    const auto& known = into.known();
    const auto oldest = oldest_waiting(known, listener);
    const auto fault = blame_for(listener, known);
    finding made{cause::accept_queue_full,
                 sureness::certain,
                 "the accept queue of " + who_has(listener, known) + " at " +
                     ip::to_text(listener.local) + " is full" +
                     (oldest ? ", its oldest connection waits " + time_text(*oldest) : "") + ": " +
                     fault.why,
                 {},
                 {fault.fix}};
    add_evidence(made.evidence, listener, known);
    if (listener.over == ip::transport::tcp &&
        std::holds_alternative<ip::endpoint>(listener.local)) {
        add_counters(made.evidence, listener, known.drops);
    }
    into.find(std::move(made));
}

} // namespace

void examine_listener(examiner& into, const socket& listener) {
    const auto& known = into.known();
    if (listener.state != socket_state::listening) {
        return; // datagrams: there is no queue of connections
    }
    const auto text = ip::to_text(listener.local);
    if (listener.waiting > listener.most) {
        full(into, listener);
        return;
    }
    into.exclude(cause::accept_queue_full, "the queue at " + text + " has " +
                                               std::to_string(listener.waiting) + " of " +
                                               std::to_string(listener.most));
    if (!std::holds_alternative<ip::endpoint>(listener.local)) {
        return;
    }
    const auto half = half_open_at(known, listener);
    if (half > 0 && half >= listener.most) {
        finding made{cause::half_open_queue_full,
                     sureness::certain,
                     "requests for connections pile up at " + text + ": " + std::to_string(half) +
                         " are half-open, of " + std::to_string(listener.most) +
                         "; further ones get SYN cookies or are dropped",
                     {},
                     {"clients whose answers do not come back, or a flood of forged requests: "
                      "look at their addresses (ss -tan state syn-recv)",
                      "keep net.ipv4.tcp_syncookies at 1",
                      "let the program call listen(2) with a larger backlog"}};
        add_evidence(made.evidence, listener, known);
        add_counters(made.evidence, listener, known.drops);
        into.find(std::move(made));
        return;
    }
    into.exclude(cause::half_open_queue_full, std::to_string(half) + " of " +
                                                  std::to_string(listener.most) + " requests at " +
                                                  text + " are half-open");
    if (listener.drops.value_or(0) > 0) {
        finding made{cause::requests_dropped,
                     sureness::likely,
                     "requests for connections at " + text + " were dropped before (" +
                         std::to_string(*listener.drops) + "), its queues are not full now",
                     {},
                     {"let the program accept faster, or call listen(2) with a larger backlog"}};
        add_evidence(made.evidence, listener, known);
        add_counters(made.evidence, listener, known.drops);
        into.find(std::move(made));
    } else {
        into.exclude(cause::requests_dropped, "the socket at " + text + " has dropped none");
    }
}

} // namespace portico::diagnose
