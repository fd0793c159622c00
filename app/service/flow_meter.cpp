#include "service/flow_meter.hpp"

namespace portico::app {

flow_meter::flow_meter(std::span<const plan::wish> wishes,
                       std::span<const run::bound_socket> sockets)
    : listeners_{name_listeners(wishes, sockets)}, flows_(listeners_.size()) {}

flow_meter::flow& flow_meter::at(place where) {
    return flows_[where.listener][static_cast<std::size_t>(where.family)];
}

flow_meter::place flow_meter::handle_accepted(const run::accepted& who) {
    const place where{who.wish, family_of(who.peer)};
    auto& one = at(where);
    ++one.accepted;
    ++one.active;
    return where;
}

void flow_meter::handle_refused(place where, ending why) {
    auto& one = at(where);
    --one.active;
    ++one.ended[static_cast<std::size_t>(why)];
}

void flow_meter::handle_end(place where, const run::connection_end& how) {
    auto& one = at(where);
    --one.active;
    one.received += how.received;
    one.sent += how.sent;
    const auto why = !how.why                       ? ending::both_ended
                     : how.why->who == side::system ? ending::failed
                                                    : ending::client_failed;
    ++one.ended[static_cast<std::size_t>(why)];
}

void flow_meter::read(service_figures& to) const {
    for (std::size_t which = 0; which < listeners_.size(); ++which) {
        for (std::size_t family = 0; family < run::relay_families; ++family) {
            const auto& one = flows_[which][family];
            // An IPv6 socket may take IPv4 clients too.
            if (!listeners_[which].has[family] && one.accepted == 0) {
                continue;
            }
            service_figures::flow made{listeners_[which].name,
                                       static_cast<run::relay_family>(family),
                                       one.accepted,
                                       one.active,
                                       one.received,
                                       one.sent,
                                       {}};
            for (std::size_t why = 0; why < endings; ++why) {
                made.ended.emplace_back(to_text(static_cast<ending>(why)), one.ended[why]);
            }
            to.active += one.active;
            to.flows.push_back(std::move(made));
        }
    }
}

std::string_view to_text(flow_meter::ending why) noexcept {
    constexpr std::array<std::string_view, flow_meter::endings> names{
        "both_ended", "client_failed", "failed", "denied", "limited", "full"};
    return names[static_cast<std::size_t>(why)];
}

} // namespace portico::app
