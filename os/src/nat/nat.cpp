#include "portico/os/nat.hpp"
#include "fd/text_file.hpp"
#include "nat/expressions.hpp"
#include "nat/set_elements.hpp"
#include "nat/walk.hpp"
#include "netlink/talk.hpp"
#include "socket/call.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <set>

namespace portico::os {
namespace {

// Whether packets to or from this host pass the hook; those that it forwards do not matter.
bool is_ours(std::uint8_t family, std::uint32_t hook) noexcept {
    return family != NFPROTO_ARP && family != NFPROTO_BRIDGE && hook != NF_INET_FORWARD &&
           hook != NF_INET_POST_ROUTING;
}

// At a hook that is not followed, or with conditions that are not known here.
bool has_more_filters(const nat_listing& all, const std::vector<diagnose::nat_rule>& filters) {
    return std::any_of(all.chains.begin(), all.chains.end(),
                       [](const auto& each) {
                           return each.second.filters_elsewhere &&
                                  (each.second.drops || each.second.has_rules);
                       }) ||
           std::any_of(filters.begin(), filters.end(),
                       [](const auto& each) { return each.partly_read && !each.spares; });
}

// Of `filter` and `route` chains.
std::optional<diagnose::nat_rule::hook> filter_hook(std::uint8_t family, std::uint32_t number) {
    using hook = diagnose::nat_rule::hook;
    if (family == NFPROTO_NETDEV) {
        return std::nullopt;
    }
    return number == NF_INET_PRE_ROUTING ? std::optional{hook::prerouting}
           : number == NF_INET_LOCAL_IN  ? std::optional{hook::input}
           : number == NF_INET_LOCAL_OUT ? std::optional{hook::output}
                                         : std::nullopt;
}

bool read_chain(bytes_view body, std::uint8_t family, nat_listing& into) {
    std::string table;
    std::string name;
    std::string type;
    std::optional<std::uint32_t> hook;
    bool drops = false;
    bool whole = each_attribute(body, [&](int which, bytes_view payload) {
        if (which == NFTA_CHAIN_TABLE) {
            table = netlink_text(payload);
        } else if (which == NFTA_CHAIN_NAME) {
            name = netlink_text(payload);
        } else if (which == NFTA_CHAIN_TYPE) {
            type = netlink_text(payload);
        } else if (which == NFTA_CHAIN_POLICY) {
            drops = ntohl(leading<std::uint32_t>(payload).value_or(0)) == NF_DROP;
        } else if (which == NFTA_CHAIN_HOOK) {
            (void)each_attribute(payload, [&](int inner, bytes_view value) {
                if (const auto number = leading<std::uint32_t>(value);
                    inner == NFTA_HOOK_HOOKNUM && number) {
                    hook = ntohl(*number);
                }
            });
        }
    });
    if (whole) {
        auto& chain = into.chains[{family, table, name}];
        // tproxy is an expression of filters.
        chain.prerouting =
            (type == "nat" || type == "filter") && hook == std::uint32_t{NF_INET_PRE_ROUTING};
        chain.output = type == "nat" && hook == std::uint32_t{NF_INET_LOCAL_OUT};
        if (type != "nat" && is_ours(family, hook.value_or(NF_INET_FORWARD))) {
            chain.filters = filter_hook(family, *hook);
            chain.filters_elsewhere = !chain.filters;
        }
        chain.drops = drops;
    }
    return whole;
}

std::uint64_t handle_of(bytes_view payload) noexcept {
    std::uint64_t value = 0;
    for (const auto each : payload.first(std::min<std::size_t>(payload.size(), 8))) {
        value = value << 8 | std::to_integer<std::uint64_t>(each);
    }
    return value;
}

bool read_rule(bytes_view body, std::uint8_t family, nat_listing& into) {
    std::string table;
    std::string chain;
    std::uint64_t handle = 0;
    bytes_view expressions;
    const bool whole = each_attribute(body, [&](int which, bytes_view payload) {
        if (which == NFTA_RULE_TABLE) {
            table = netlink_text(payload);
        } else if (which == NFTA_RULE_CHAIN) {
            chain = netlink_text(payload);
        } else if (which == NFTA_RULE_HANDLE) {
            handle = handle_of(payload);
        } else if (which == NFTA_RULE_EXPRESSIONS) {
            expressions = payload;
        }
    });
    auto read = whole ? read_expressions(expressions, family) : std::nullopt;
    if (!read) {
        return false;
    }
    auto& to = into.chains[{family, table, chain}];
    to.has_rules = true;
    constexpr auto looked_at = nat_listing::state_new | nat_listing::state_established;
    if ((read->states & looked_at) != 0 && (read->does || read->by_set)) {
        read->rule.table = table_text(family, table);
        read->rule.chain = chain;
        read->rule.handle = handle;
        to.rules.push_back({std::move(read->rule), std::move(read->set),
                            read->does.value_or(nat_listing::verdict{}), read->by_set,
                            read->of_ports, read->of_states, read->of_sources, read->states});
    }
    return true;
}

sys_status dump(const fd& s, bytes_view request, nat_listing& into) {
    return read_netlink(s, request, [&](bytes_view bytes) {
        parse_nat(bytes, into);
        return netlink_state{into.done, into.interrupted, into.malformed, into.error};
    });
}

sys_status dump(const fd& s, std::uint16_t what, nat_listing& into) {
    struct {
        nlmsghdr header;
        nfgenmsg family;
    } request{};
    request.header.nlmsg_len = sizeof request;
    request.header.nlmsg_type = static_cast<__u16>(NFNL_SUBSYS_NFTABLES << 8 | what);
    request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    return dump(s, std::as_bytes(std::span{&request, 1}), into);
}

// Those of the sets that rules name.
sys_status dump_sets(const fd& s, nat_listing& into) {
    std::set<nat_listing::chain_key> wanted;
    for (const auto& [key, chain] : into.chains) {
        for (const auto& each : chain.rules) {
            if (!each.set.empty()) {
                wanted.insert({std::get<0>(key), std::get<1>(key), each.set});
            }
        }
    }
    for (const auto& each : wanted) {
        if (auto done = dump(s, request_for_elements(each), into); !done) {
            return done;
        }
    }
    return {};
}

} // namespace

void parse_nat(std::span<const std::byte> bytes, nat_listing& into) {
    const auto state = each_message(bytes, 0, [&](const nlmsghdr& header, bytes_view body) {
        const auto head = leading<nfgenmsg>(body);
        if (!head || header.nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES) {
            return head.has_value();
        }
        const auto inner = after(body, sizeof *head);
        switch (header.nlmsg_type & 0xff) {
        case NFT_MSG_NEWCHAIN:
            return read_chain(inner, head->nfgen_family, into);
        case NFT_MSG_NEWRULE:
            return read_rule(inner, head->nfgen_family, into);
        case NFT_MSG_NEWSETELEM:
            return read_set_elements(inner, head->nfgen_family, into);
        default:
            return true;
        }
    });
    into.done = state.done;
    into.interrupted = state.interrupted;
    into.malformed = state.malformed;
    into.error = state.error;
}

std::optional<std::vector<diagnose::nat_rule>> nat_listing::rules() const {
    walk all{*this};
    all.hook(diagnose::nat_rule::hook::prerouting, &chain::prerouting);
    all.hook(diagnose::nat_rule::hook::output, &chain::output);
    return std::move(all).take();
}

std::optional<std::vector<diagnose::nat_rule>> nat_listing::filters() const {
    walk all{*this};
    for (const auto where : {diagnose::nat_rule::hook::prerouting, diagnose::nat_rule::hook::input,
                             diagnose::nat_rule::hook::output, diagnose::nat_rule::hook::answers}) {
        all.filters(where);
    }
    return std::move(all).take();
}

sys_result<nat_reading> nat_rules() {
    constexpr int most_tries = 10;
    for (int i = 1;; ++i) {
        const auto s = open_netlink(NETLINK_NETFILTER);
        if (!s) {
            return tl::unexpected{s.error()};
        }
        nat_listing all;
        const auto done = dump(*s, NFT_MSG_GETCHAIN, all)
                              .and_then([&] { return dump(*s, NFT_MSG_GETRULE, all); })
                              .and_then([&] { return dump_sets(*s, all); });
        if (done) {
            auto made = all.rules();
            auto filters = all.filters();
            if (!made || !filters) {
                return failure(EOVERFLOW);
            }
            const bool more = has_more_filters(all, *filters);
            return nat_reading{std::move(*made), std::move(*filters), more};
        }
        if (done.error().value() != EAGAIN || i == most_tries) {
            return tl::unexpected{done.error()};
        }
    }
}

legacy_tables find_legacy_tables() {
    legacy_tables found;
    for (const auto* path : {"/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"}) {
        const auto text = read_text(path);
        found.nat |= text && text->find("nat") != std::string::npos;
        found.filter |= text && text->find("filter") != std::string::npos;
    }
    return found;
}

} // namespace portico::os
