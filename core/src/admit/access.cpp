#include "portico/admit/access.hpp"

#include "admit/bits.hpp"
#include "admit/listing.hpp"
#include "ip/reading.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <tuple>

namespace portico::admit {
namespace {

constexpr std::uint32_t no_rule = std::numeric_limits<std::uint32_t>::max();

// How many of the 128 bits a block fixes; IPv4 blocks lie in the mapped ones.
unsigned fixed_bits(const ip::prefix& block) noexcept {
    return block.length() + (block.base().is_v4() ? 96 : 0);
}

// The first address behind a block; nullopt when it reaches to the end.
std::optional<bits> behind(const ip::prefix& block) noexcept {
    const bits mask = mask_of(fixed_bits(block));
    const bits first = bits_of(block.base());
    const bits last{first.high | ~mask.high, first.low | ~mask.low};
    if (last.low != std::numeric_limits<std::uint64_t>::max()) {
        return bits{last.high, last.low + 1};
    }
    return last.high == std::numeric_limits<std::uint64_t>::max()
               ? std::nullopt
               : std::optional{bits{last.high + 1, 0}};
}

} // namespace

// Walks over the blocks by their first address. Two blocks are either apart or one lies in the
// other, so those around the walker's place are a stack.
class access::layout {
public:
    explicit layout(const std::vector<access_rule>& rules) : rules_{rules} {}

    void add(std::uint32_t rule) {
        const bits first = bits_of(rules_[rule].block.base());
        leave_until(first);
        begin_range(first, rule);
        around_.push_back(rule);
    }

    std::vector<range> finish() {
        leave_until(std::nullopt);
        return std::move(ranges_);
    }

private:
    void leave_until(std::optional<bits> place) {
        while (!around_.empty()) {
            const auto end = behind(rules_[around_.back()].block);
            if (place && (!end || *end > *place)) {
                return;
            }
            around_.pop_back();
            if (end) {
                begin_range(*end, around_.empty() ? no_rule : around_.back());
            }
        }
    }

    void begin_range(bits first, std::uint32_t rule) {
        if (!ranges_.empty() && bits{ranges_.back().high, ranges_.back().low} == first) {
            ranges_.back().rule = rule;
        } else {
            ranges_.push_back({first.high, first.low, rule});
        }
    }

    const std::vector<access_rule>& rules_;
    std::vector<std::uint32_t> around_; // the blocks that hold the place, the innermost last
    std::vector<range> ranges_;
};

std::string_view to_text(ruling which) noexcept {
    return which == ruling::allow ? "allow" : "deny";
}

std::string to_text(const access_rule& which) {
    return std::string{to_text(which.what)} + ' ' + ip::to_text(which.block);
}

ip::text_result<std::vector<access_rule>> parse_access_rules(std::string_view text, ruling what) {
    std::vector<access_rule> rules;
    for (listing items{text}; const auto item = items.next();) {
        if (item->text.empty()) {
            return ip::reading::wrong(item->at, 1, "an address block is missing",
                                      "write it like 192.0.2.0/24, 2001:db8::/32 or ::1");
        }
        auto block = ip::parse_prefix(item->text);
        if (!block) {
            return ip::reading::shifted(std::move(block.error()), item->at);
        }
        rules.push_back({canonical_block(*block), what});
    }
    return rules;
}

access::access(std::span<const access_rule> rules) : rules_{rules.begin(), rules.end()} {
    for (auto& rule : rules_) {
        rule.block = canonical_block(rule.block);
    }
    std::sort(rules_.begin(), rules_.end(), [](const access_rule& a, const access_rule& b) {
        const bool a_allows = a.what == ruling::allow;
        const bool b_allows = b.what == ruling::allow;
        return std::tie(a.block, a_allows) < std::tie(b.block, b_allows);
    });
    const bool any_allows = std::any_of(rules_.begin(), rules_.end(), [](const access_rule& each) {
        return each.what == ruling::allow;
    });
    otherwise_ = any_allows ? ruling::deny : ruling::allow;
    // The denying rule of a block is in front of the allowing one.
    const auto same_block = [](const auto& a, const auto& b) { return a.block == b.block; };
    rules_.erase(std::unique(rules_.begin(), rules_.end(), same_block), rules_.end());
    layout v4{rules_};
    layout v6{rules_};
    for (std::uint32_t i = 0; i < rules_.size(); ++i) {
        (rules_[i].block.base().is_v4() ? v4 : v6).add(i);
    }
    v4_ = v4.finish();
    v6_ = v6.finish();
}

bool access::allows(const ip::address& which) const noexcept {
    const auto* rule = rule_for(which);
    return (rule == nullptr ? otherwise_ : rule->what) == ruling::allow;
}

bool access::allows(const ip::any_endpoint& which) const noexcept {
    if (const auto* at = std::get_if<ip::endpoint>(&which)) {
        return allows(at->address);
    }
    return std::holds_alternative<ip::unix_name>(which) || rules_.empty();
}

const access_rule* access::rule_for(const ip::address& which) const noexcept {
    const ip::address known = ip::canonical(which);
    const auto& ranges = known.is_v4() ? v4_ : v6_;
    const auto behind_it = std::upper_bound(ranges.begin(), ranges.end(), bits_of(known),
                                            [](const bits& place, const range& each) {
                                                return place < bits{each.high, each.low};
                                            });
    if (behind_it == ranges.begin()) {
        return nullptr;
    }
    const auto rule = std::prev(behind_it)->rule;
    return rule == no_rule ? nullptr : &rules_[rule];
}

} // namespace portico::admit
