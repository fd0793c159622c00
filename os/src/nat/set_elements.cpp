#include "nat/set_elements.hpp"
#include "nat/expressions.hpp"

#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

namespace portico::os {
namespace {

// One port, and whether it is the first one behind a range; or a state of connections.
struct set_element {
    std::uint16_t port = 0;
    bool ends = false;
    std::uint32_t state = 0;
    std::optional<nat_listing::verdict> does{};
};

std::optional<set_element> read_element(bytes_view bytes) {
    std::optional<set_element> read;
    std::uint32_t flags = 0;
    std::optional<nat_listing::verdict> does;
    (void)each_attribute(bytes, [&](int which, bytes_view payload) {
        if (which == NFTA_SET_ELEM_FLAGS) {
            flags = ntohl(leading<std::uint32_t>(payload).value_or(0));
        } else if (which == NFTA_SET_ELEM_KEY) {
            (void)each_attribute(payload, [&](int inner, bytes_view value) {
                const auto port = leading<std::uint16_t>(value);
                if (inner == NFTA_DATA_VALUE && port) {
                    read =
                        set_element{ntohs(*port), false, leading<std::uint32_t>(value).value_or(0)};
                }
            });
        } else if (which == NFTA_SET_ELEM_DATA) {
            (void)each_attribute(payload, [&](int inner, bytes_view value) {
                if (inner == NFTA_DATA_VERDICT) {
                    does = read_verdict(value);
                }
            });
        }
    });
    if (read) {
        read->ends = (flags & NFT_SET_ELEM_INTERVAL_END) != 0;
        read->does = std::move(does);
    }
    return read;
}

// Ranges come as their first port and the one behind their last, which has a flag, in any order. Of
// a set without ranges no element has the flag.
std::vector<nat_listing::element> ranges_of(std::vector<set_element> all) {
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
        return std::pair{a.port, !a.ends} < std::pair{b.port, !b.ends};
    });
    const bool has_ranges =
        std::any_of(all.begin(), all.end(), [](const auto& each) { return each.ends; });
    std::vector<nat_listing::element> made;
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (all[i].ends) {
            continue;
        }
        auto last = has_ranges ? std::uint16_t{UINT16_MAX} : all[i].port;
        if (has_ranges && i + 1 < all.size()) {
            last = static_cast<std::uint16_t>(all[i + 1].port - 1);
        }
        made.push_back({{all[i].port, last}, std::move(all[i].does), all[i].state});
    }
    return made;
}

} // namespace

bool read_set_elements(bytes_view body, std::uint8_t family, nat_listing& into) {
    std::string table;
    std::string set;
    std::vector<set_element> all;
    const bool whole = each_attribute(body, [&](int which, bytes_view payload) {
        if (which == NFTA_SET_ELEM_LIST_TABLE) {
            table = netlink_text(payload);
        } else if (which == NFTA_SET_ELEM_LIST_SET) {
            set = netlink_text(payload);
        } else if (which == NFTA_SET_ELEM_LIST_ELEMENTS) {
            (void)each_attribute(payload, [&](int, bytes_view element) {
                if (const auto read = read_element(element)) {
                    all.push_back(*read);
                }
            });
        }
    });
    if (whole) {
        auto& to = into.sets[{family, table, set}];
        const auto ranges = ranges_of(std::move(all));
        to.insert(to.end(), ranges.begin(), ranges.end());
    }
    return whole;
}

std::vector<std::byte> request_for_elements(const nat_listing::chain_key& which) {
    const auto& [family, table, set] = which;
    std::vector<std::byte> request(sizeof(nlmsghdr) + sizeof(nfgenmsg));
    const auto add = [&](std::uint16_t type, const std::string& text) {
        const nlattr header{static_cast<__u16>(sizeof(nlattr) + text.size() + 1), type};
        const auto at = request.size();
        request.resize(at + netlink_aligned(header.nla_len));
        std::memcpy(request.data() + at, &header, sizeof header);
        std::memcpy(request.data() + at + sizeof header, text.c_str(), text.size() + 1);
    };
    add(NFTA_SET_ELEM_LIST_TABLE, table);
    add(NFTA_SET_ELEM_LIST_SET, set);
    nlmsghdr header{};
    header.nlmsg_len = static_cast<__u32>(request.size());
    header.nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETSETELEM;
    header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    std::memcpy(request.data(), &header, sizeof header);
    nfgenmsg head{};
    head.nfgen_family = family;
    std::memcpy(request.data() + sizeof header, &head, sizeof head);
    return request;
}

} // namespace portico::os
