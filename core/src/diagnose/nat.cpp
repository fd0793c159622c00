#include "examiner.hpp"

#include "portico/ip/prefix.hpp"

namespace portico::diagnose {
namespace {

std::string destination_of(const nat_rule& rule) {
    const auto port = rule.new_port ? ":" + std::to_string(*rule.new_port) : std::string{};
    if (!rule.new_address) {
        return "this host" + (port.empty() ? "" : ", port " + port.substr(1));
    }
    return rule.new_port ? ip::to_text(ip::endpoint{*rule.new_address, *rule.new_port})
                         : ip::to_text(*rule.new_address);
}

} // namespace

bool takes_away(const nat_rule& rule, ip::transport over, const ip::endpoint& at) {
    const bool other = (rule.over && *rule.over != over) ||
                       (rule.family && *rule.family != at.address.family()) ||
                       (rule.first_port && at.port < *rule.first_port) ||
                       (rule.last_port && at.port > *rule.last_port);
    if (other) {
        return false;
    }
    if (rule.to && !at.address.is_unspecified()) {
        const auto block = ip::prefix::make(*rule.to, rule.to_length);
        if (block && !block->contains(at.address.with_zone({}))) {
            return false;
        }
    }
    const bool same_port = !rule.new_port || *rule.new_port == at.port;
    const bool same_address = !rule.new_address || *rule.new_address == at.address;
    return !(same_port && same_address);
}

bool examine_nat(examiner& into, const ip::endpoint& at, nat_rule::hook where) {
    bool probably = false;
    for (const auto& each : into.known().nat) {
        if (each.where != where || !takes_away(each, into.asked().over, at)) {
            continue;
        }
        const bool named = each.first_port == at.port && each.last_port == at.port;
        const auto sure = !each.partly_read ? sureness::certain
                          : named           ? sureness::likely
                                            : sureness::possible;
        finding made{cause::nat_rule,
                     sure,
                     "a NAT rule sends packets to " + ip::to_text(at) + " to " +
                         destination_of(each) + " instead",
                     {"nftables: table " + each.table + ", chain " + each.chain + ", handle " +
                      std::to_string(each.handle)},
                     {"see it: nft -a list chain " + each.table + " " + each.chain,
                      "take it away: nft delete rule " + each.table + " " + each.chain +
                          " handle " + std::to_string(each.handle)}};
        if (each.partly_read) {
            made.evidence.emplace_back("it has further conditions that were not looked at");
        }
        if (!each.interface.empty()) {
            made.evidence.push_back("for packets that come in by " + each.interface);
        }
        probably |= sure != sureness::possible;
        into.find(std::move(made));
    }
    into.exclude(cause::nat_rule, "no NAT rule of nftables is about " + ip::to_text(at));
    return probably;
}

} // namespace portico::diagnose
