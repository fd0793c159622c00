#include "nat/expressions.hpp"

#include <arpa/inet.h>
#include <array>
#include <bit>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/xt_conntrack.h>
#include <map>

namespace portico::os {
namespace {

// What a register holds.
struct held {
    enum class kind : std::uint8_t {
        other,
        protocol,
        port,
        source_port,
        address,
        source,
        family,
        interface,
        interface_number,
        state, // of the connection
        value,
    };
    kind what = kind::other;
    std::vector<std::byte> bytes{}; // of `value`; of others a mask that is laid over it
};

std::uint32_t big_endian(bytes_view bytes) noexcept {
    return ntohl(leading<std::uint32_t>(bytes).value_or(0));
}
std::optional<std::uint16_t> port_in(bytes_view bytes) noexcept {
    const auto raw = leading<std::uint16_t>(bytes);
    return raw ? std::optional{ntohs(*raw)} : std::nullopt;
}

// Attributes of one expression by their numbers.
using attributes = std::map<int, bytes_view>;
std::optional<attributes> attributes_of(bytes_view bytes) {
    attributes all;
    if (!each_attribute(bytes, [&](int type, bytes_view payload) { all[type] = payload; })) {
        return std::nullopt;
    }
    return all;
}
bytes_view find(const attributes& all, int type) {
    const auto at = all.find(type);
    return at == all.end() ? bytes_view{} : at->second;
}
bytes_view value_of(const attributes& all, int type) {
    const auto inner = attributes_of(find(all, type));
    return inner ? find(*inner, NFTA_DATA_VALUE) : bytes_view{};
}

class rule_reader {
public:
    explicit rule_reader(std::uint8_t family) : family_{family} {}

    bool expression(bytes_view bytes) {
        const auto outer = attributes_of(bytes);
        const auto data = outer ? attributes_of(find(*outer, NFTA_EXPR_DATA)) : std::nullopt;
        if (!data) {
            return false;
        }
        const auto name = netlink_text(find(*outer, NFTA_EXPR_NAME));
        if (name == "meta") {
            meta(*data);
        } else if (name == "payload") {
            payload(*data);
        } else if (name == "cmp") {
            compare(*data);
        } else if (name == "range") {
            range(*data);
        } else if (name == "ct") {
            connection(*data);
        } else if (name == "bitwise") {
            bitwise(*data);
        } else if (name == "lookup") {
            lookup(*data);
        } else if (name == "reject") {
            made_.does = nat_listing::verdict{nat_listing::step::rejects};
        } else if (name == "queue") { // a program decides
            made_.does = nat_listing::verdict{nat_listing::step::stays};
            made_.unknown = true;
        } else if (name == "immediate") {
            immediate(*data);
        } else if (name == "nat") {
            nat(*data);
        } else if (name == "redir") {
            redirect(*data);
        } else if (name == "tproxy") {
            tproxy(*data);
        } else if (name == "match") {
            xt_match(*data);
        } else if (name == "target") {
            xt_target(*data);
        } else if (name != "counter" && name != "log") {
            made_.unknown = true;
        }
        return true;
    }

    [[nodiscard]] rule_reading take() && {
        made_.rule.partly_read = made_.unknown;
        return std::move(made_);
    }

private:
    void meta(const attributes& data) {
        const auto key = big_endian(find(data, NFTA_META_KEY));
        auto& into = registers_[big_endian(find(data, NFTA_META_DREG))];
        switch (key) {
        case NFT_META_L4PROTO:
            into = {held::kind::protocol};
            break;
        case NFT_META_NFPROTO:
            into = {held::kind::family};
            break;
        case NFT_META_IIFNAME:
        case NFT_META_OIFNAME:
            into = {held::kind::interface};
            break;
        case NFT_META_IIF:
        case NFT_META_OIF:
            into = {held::kind::interface_number};
            break;
        default:
            into = {};
        }
    }

    void connection(const attributes& data) {
        const bool state = big_endian(find(data, NFTA_CT_KEY)) == NFT_CT_STATE;
        if (const auto to = find(data, NFTA_CT_DREG); !to.empty()) {
            registers_[big_endian(to)] = {state ? held::kind::state : held::kind::other};
        }
    }

    // A mask over an address or a state; what else it may do is not known here.
    void bitwise(const attributes& data) {
        const auto from = registers_[big_endian(find(data, NFTA_BITWISE_SREG))].what;
        const auto mask = value_of(data, NFTA_BITWISE_MASK);
        const bool known =
            from == held::kind::address || from == held::kind::source || from == held::kind::state;
        registers_[big_endian(find(data, NFTA_BITWISE_DREG))] =
            known ? held{from, {mask.begin(), mask.end()}} : held{};
    }

    // A rule about connections in these states.
    void states(std::uint32_t mask) { made_.states &= mask; }

    void compare_state(std::uint32_t op, bytes_view value, bytes_view mask) {
        const auto number = leading<std::uint32_t>(value).value_or(0);
        if (op == NFT_CMP_EQ && mask.empty()) {
            states(number);
        } else if (op == NFT_CMP_NEQ && number == 0 && !mask.empty()) {
            states(leading<std::uint32_t>(mask).value_or(0));
        } else {
            made_.unknown = true;
        }
    }

    void payload(const attributes& data) {
        const auto base = big_endian(find(data, NFTA_PAYLOAD_BASE));
        const auto offset = big_endian(find(data, NFTA_PAYLOAD_OFFSET));
        const auto size = big_endian(find(data, NFTA_PAYLOAD_LEN));
        auto& into = registers_[big_endian(find(data, NFTA_PAYLOAD_DREG))];
        into = {};
        const bool network = base == NFT_PAYLOAD_NETWORK_HEADER;
        if (base == NFT_PAYLOAD_TRANSPORT_HEADER && offset == 2 && size == 2) {
            into.what = held::kind::port;
        } else if (base == NFT_PAYLOAD_TRANSPORT_HEADER && offset == 0 && size == 2) {
            into.what = held::kind::source_port;
        } else if (network && family_ != NFPROTO_IPV6 && offset == 12 && size <= 4) {
            into.what = held::kind::source;
            v6_ = false;
        } else if (network && family_ == NFPROTO_IPV6 && offset == 8 && size <= 16) {
            into.what = held::kind::source;
            v6_ = true;
        } else if (network && ((offset == 16 && size <= 4) || (offset == 24 && size <= 16))) {
            into.what = held::kind::address;
            v6_ = offset == 24;
        } else if (network && ((offset == 9 && !v6_) || (offset == 6)) && size == 1) {
            into.what = held::kind::protocol;
        }
    }

    void compare(const attributes& data) {
        const auto& [which, mask] = registers_[big_endian(find(data, NFTA_CMP_SREG))];
        const auto op = big_endian(find(data, NFTA_CMP_OP));
        const auto value = value_of(data, NFTA_CMP_DATA);
        auto& rule = made_.rule;
        if (which == held::kind::port && port_in(value)) {
            bound_port(op, *port_in(value), rule.first_port, rule.last_port);
        } else if (which == held::kind::source_port && port_in(value)) {
            bound_port(op, *port_in(value), rule.first_source_port, rule.last_source_port);
        } else if (which == held::kind::state) {
            compare_state(op, value, mask);
        } else if (which == held::kind::interface || which == held::kind::interface_number) {
            interface(op, value, which == held::kind::interface);
        } else if (op != NFT_CMP_EQ || value.empty()) {
            made_.unknown = true;
        } else if (which == held::kind::protocol) {
            protocol(std::to_integer<unsigned>(value.front()));
        } else if (which == held::kind::family) {
            family_ = std::to_integer<std::uint8_t>(value.front());
        } else if (which == held::kind::address) {
            block(value, mask, rule.to, rule.to_length);
        } else if (which == held::kind::source) {
            block(value, mask, rule.from, rule.from_length);
        } else {
            made_.unknown = true;
        }
    }

    // Of numbers only that of the loopback interface is the same everywhere. "eth*" has no 0
    // behind.
    void interface(std::uint32_t op, bytes_view value, bool by_name) {
        const bool loopback = leading<std::uint32_t>(value) == 1U;
        const bool whole = !value.empty() && (by_name ? value.back() == std::byte{0} : loopback);
        if (!whole || (op != NFT_CMP_EQ && op != NFT_CMP_NEQ)) {
            made_.unknown = true;
            return;
        }
        made_.rule.interface = by_name ? netlink_text(value) : "lo";
        made_.rule.other_interface = op == NFT_CMP_NEQ;
    }

    void bound_port(std::uint32_t op, std::uint16_t port, std::optional<std::uint16_t>& first,
                    std::optional<std::uint16_t>& last) {
        if (op == NFT_CMP_EQ) {
            first = last = port;
        } else if (op == NFT_CMP_GTE) {
            first = port;
        } else if (op == NFT_CMP_LTE) {
            last = port;
        } else {
            made_.unknown = true;
        }
    }

    void range(const attributes& data) {
        const auto which = registers_[big_endian(find(data, NFTA_RANGE_SREG))].what;
        const auto first = port_in(value_of(data, NFTA_RANGE_FROM_DATA));
        const auto last = port_in(value_of(data, NFTA_RANGE_TO_DATA));
        const bool inside = big_endian(find(data, NFTA_RANGE_OP)) == NFT_RANGE_EQ;
        if (which == held::kind::port && first && last && inside) {
            made_.rule.first_port = first;
            made_.rule.last_port = last;
        } else if (which == held::kind::source_port && first && last && inside) {
            made_.rule.first_source_port = first;
            made_.rule.last_source_port = last;
        } else {
            made_.unknown = true;
        }
    }

    // "tcp dport { 80, 443 }", and maps, which have a destination register: that of the verdict for
    // "vmap". What other maps give is not known here, and neither is "!=".
    void lookup(const attributes& data) {
        const auto which = registers_[big_endian(find(data, NFTA_LOOKUP_SREG))].what;
        const auto into = find(data, NFTA_LOOKUP_DREG);
        const bool of_verdicts = !into.empty() && big_endian(into) == NFT_REG_VERDICT;
        const bool plain = made_.set.empty() && big_endian(find(data, NFTA_LOOKUP_FLAGS)) == 0;
        const bool of_ports = which == held::kind::port && plain;
        const bool of_states = which == held::kind::state && plain;
        const bool of_sources = which == held::kind::source_port && plain;
        const bool known = of_ports || of_states || of_sources;
        if (!into.empty() && !of_verdicts) {
            registers_[big_endian(into)] = {};
        }
        made_.unknown |= !known;
        if (known || of_verdicts) {
            made_.set = netlink_text(find(data, NFTA_LOOKUP_SET));
            made_.of_ports = of_ports;
            made_.of_states = of_states;
            made_.of_sources = of_sources;
            made_.by_set = of_verdicts;
        }
    }

    // The first bytes of the address, as many as its prefix has; or all, less those of a mask.
    void block(bytes_view value, bytes_view mask, std::optional<ip::address>& into,
               unsigned& into_length) {
        const std::size_t size = v6_ ? 16 : 4;
        std::vector<std::byte> whole{value.begin(), value.end()};
        auto length = static_cast<unsigned>(std::min(whole.size(), size) * 8);
        for (std::size_t i = 0; i < std::min({mask.size(), value.size(), size}); ++i) {
            length -= 8U - static_cast<unsigned>(std::popcount(std::to_integer<unsigned>(mask[i])));
        }
        whole.resize(size);
        into = netlink_address(whole, v6_);
        into_length = length;
    }

    void protocol(unsigned number) {
        if (number == IPPROTO_TCP) {
            made_.rule.over = ip::transport::tcp;
        } else if (number == IPPROTO_UDP) {
            made_.rule.over = ip::transport::udp;
        } else {
            made_.unknown = true;
        }
    }

    void immediate(const attributes& data) {
        const auto inner = attributes_of(find(data, NFTA_IMMEDIATE_DATA));
        if (!inner) {
            made_.unknown = true;
            return;
        }
        if (const auto verdict = find(*inner, NFTA_DATA_VERDICT); !verdict.empty()) {
            made_.does = read_verdict(verdict);
            return;
        }
        const auto bytes = find(*inner, NFTA_DATA_VALUE);
        registers_[big_endian(find(data, NFTA_IMMEDIATE_DREG))] = {held::kind::value,
                                                                   {bytes.begin(), bytes.end()}};
    }

    [[nodiscard]] bytes_view immediate_in(const attributes& data, int type) const {
        const auto number = find(data, type);
        const auto at = registers_.find(big_endian(number));
        const bool known =
            !number.empty() && at != registers_.end() && at->second.what == held::kind::value;
        return known ? bytes_view{at->second.bytes} : bytes_view{};
    }

    void nat(const attributes& data) {
        if (big_endian(find(data, NFTA_NAT_TYPE)) != NFT_NAT_DNAT) {
            return;
        }
        const bool v6 = big_endian(find(data, NFTA_NAT_FAMILY)) == NFPROTO_IPV6;
        made_.rule.family = v6 ? ip::family::v6 : ip::family::v4;
        moves(data, v6, NFTA_NAT_REG_ADDR_MIN, NFTA_NAT_REG_PROTO_MIN);
    }

    void redirect(const attributes& data) {
        moves(data, v6_, NFTA_REDIR_UNSPEC, NFTA_REDIR_REG_PROTO_MIN);
    }

    void tproxy(const attributes& data) {
        const auto family = big_endian(find(data, NFTA_TPROXY_FAMILY));
        if (family != NFPROTO_UNSPEC) {
            made_.rule.family = family == NFPROTO_IPV6 ? ip::family::v6 : ip::family::v4;
        }
        moves(data, family == NFPROTO_IPV6, NFTA_TPROXY_REG_ADDR, NFTA_TPROXY_REG_PORT);
    }

    // From these registers. One that was filled by a map says that it goes somewhere, and not
    // where.
    void moves(const attributes& data, bool v6, int address_register, int port_register) {
        made_.does = nat_listing::verdict{};
        made_.rule.new_address = netlink_address(immediate_in(data, address_register), v6);
        made_.rule.new_port = port_in(immediate_in(data, port_register));
        made_.rule.goes_by_map =
            (!find(data, address_register).empty() && !made_.rule.new_address) ||
            (!find(data, port_register).empty() && !made_.rule.new_port);
        made_.unknown |= made_.rule.goes_by_map;
    }

    // xt_tcp and xt_udp begin alike: source ports, then destination ports, in host order.
    void xt_match(const attributes& data) {
        const auto name = netlink_text(find(data, NFTA_MATCH_NAME));
        const auto info = find(data, NFTA_MATCH_INFO);
        if (const auto states_of = leading<xt_conntrack_mtinfo3>(info);
            name == "conntrack" && states_of && states_of->match_flags == XT_CONNTRACK_STATE &&
            states_of->invert_flags == 0) {
            states(states_of->state_mask);
            return;
        }
        const auto ports = leading<std::array<std::uint16_t, 4>>(info);
        if ((name != "tcp" && name != "udp") || !ports) {
            made_.unknown |= name != "comment";
            return;
        }
        made_.rule.over = name == "tcp" ? ip::transport::tcp : ip::transport::udp;
        made_.rule.first_port = (*ports)[2];
        made_.rule.last_port = (*ports)[3];
        if ((*ports)[0] != 0 || (*ports)[1] != UINT16_MAX) {
            made_.rule.first_source_port = (*ports)[0];
            made_.rule.last_source_port = (*ports)[1];
        }
    }

    void xt_target(const attributes& data) {
        const auto name = netlink_text(find(data, NFTA_TARGET_NAME));
        const auto revision = big_endian(find(data, NFTA_TARGET_REV));
        const auto info = find(data, NFTA_TARGET_INFO);
        if (name == "REJECT" || name == "NFQUEUE") {
            made_.does = nat_listing::verdict{name == "REJECT" ? nat_listing::step::rejects
                                                               : nat_listing::step::stays};
            made_.unknown |= name == "NFQUEUE";
            return;
        }
        if (name != "DNAT" && name != "REDIRECT" && name != "TPROXY") {
            return;
        }
        made_.does = nat_listing::verdict{};
        if (name == "TPROXY") {
            made_.rule.goes_by_map = true;
        } else if (name == "DNAT" && revision == 2) {
            if (const auto range = leading<nf_nat_range2>(info)) {
                xt_range(range->flags, range->min_addr.all, range->min_proto.all);
            }
        } else if (const auto old = leading<nf_nat_ipv4_multi_range_compat>(info)) {
            xt_range(old->range[0].flags, {&old->range[0].min_ip, 1}, old->range[0].min.all);
        }
        made_.rule.goes_by_map |= name == "DNAT" && !made_.rule.new_address;
        made_.unknown |= made_.rule.goes_by_map;
    }

    void xt_range(unsigned flags, std::span<const __be32> words, __be16 port) {
        const auto bytes = std::as_bytes(words);
        const bool v6 = family_ == NFPROTO_IPV6;
        if ((flags & NF_NAT_RANGE_MAP_IPS) != 0) {
            made_.rule.new_address = netlink_address(bytes, v6);
        }
        if ((flags & NF_NAT_RANGE_PROTO_SPECIFIED) != 0) {
            made_.rule.new_port = ntohs(port);
        }
    }

    std::uint8_t family_;
    bool v6_ = family_ == NFPROTO_IPV6;
    std::map<std::uint32_t, held> registers_;
    rule_reading made_;

public:
    [[nodiscard]] std::uint8_t family() const noexcept { return family_; }
};

} // namespace

std::string table_text(std::uint8_t family, const std::string& name) {
    const auto* kind = family == NFPROTO_IPV4 ? "ip " : family == NFPROTO_IPV6 ? "ip6 " : "inet ";
    return kind + name;
}

std::optional<nat_listing::verdict> read_verdict(bytes_view nested) {
    using step = nat_listing::step;
    const auto all = attributes_of(nested);
    if (!all) {
        return std::nullopt;
    }
    const auto code = static_cast<std::int32_t>(big_endian(find(*all, NFTA_VERDICT_CODE)));
    if (code == NFT_JUMP || code == NFT_GOTO) {
        return nat_listing::verdict{code == NFT_JUMP ? step::jumps : step::goes,
                                    netlink_text(find(*all, NFTA_VERDICT_CHAIN))};
    }
    if (code == NF_ACCEPT || code == NF_DROP || code == NFT_RETURN) {
        return nat_listing::verdict{code == NFT_RETURN ? step::returns
                                    : code == NF_DROP  ? step::drops
                                                       : step::stays};
    }
    return std::nullopt;
}

std::optional<rule_reading> read_expressions(bytes_view list, std::uint8_t family) {
    rule_reader reader{family};
    bool whole = true;
    whole &= each_attribute(list, [&](int, bytes_view each) { whole &= reader.expression(each); });
    if (!whole) {
        return std::nullopt;
    }
    const auto known = reader.family();
    auto made = std::move(reader).take();
    if (known == NFPROTO_IPV4 || known == NFPROTO_IPV6) {
        made.rule.family = known == NFPROTO_IPV4 ? ip::family::v4 : ip::family::v6;
    }
    return made;
}

} // namespace portico::os
