// Any bytes as what the kernel tells of sockets, routes, NAT rules and filters: the parsers stay
// inside them, and what they read can be decided upon.

#include "portico/diagnose/diagnose.hpp"
#include "portico/diagnose/proc_text.hpp"
#include "portico/os/diag.hpp"
#include "portico/os/nat.hpp"
#include "portico/os/route.hpp"

#include <cstdint>
#include <cstdlib>

using namespace portico;

namespace {

void demand(bool holds) {
    if (!holds) {
        std::abort();
    }
}

void read_texts(std::string_view text) {
    diagnose::process who;
    diagnose::read_stat(text, who);
    diagnose::read_cgroups(text, who);
    demand(diagnose::command_of(text).size() <= 512);
    (void)diagnose::effective_uid(text);
    (void)diagnose::descriptor_limit(text);
    (void)diagnose::parse_port_range(text);
    (void)diagnose::parse_port_list(text);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto bytes = std::as_bytes(std::span{data, size});
    read_texts({reinterpret_cast<const char*>(data), size});
    (void)os::parse_route(bytes);

    diagnose::facts known;
    auto reply = os::parse_sock_diag(bytes, ip::transport::tcp);
    known.sockets = reply.sockets;
    known.outgoing = std::move(reply.sockets);
    os::nat_listing rules;
    os::parse_nat(bytes, rules);
    known.nat = rules.rules().value_or(std::vector<diagnose::nat_rule>{});
    known.filters = rules.filters().value_or(std::vector<diagnose::nat_rule>{});

    for (const auto what : {diagnose::act::bind, diagnose::act::accept, diagnose::act::connect}) {
        diagnose::question asked;
        asked.what = what;
        for (const auto& each : known.sockets) {
            if (asked.places.size() < 4) {
                asked.places.push_back(each.local);
            }
        }
        asked.places.emplace_back(ip::endpoint{ip::address::any(ip::family::v6), 8080});
        const auto made = diagnose::diagnose(asked, known);
        for (const auto& each : made.findings) {
            demand(!each.sentence.empty() && each.what != diagnose::cause::none);
        }
    }
    return 0;
}
