// Who may come in and where one may go. The first byte chooses: any operations on the tiers' table
// and the gate, held to a model that forgets nothing; any text as access rules; any text as
// destination rules, and a destination.

#include "portico/admit/access.hpp"
#include "portico/admit/destinations.hpp"
#include "portico/admit/gate.hpp"
#include "portico/admit/rate_tiers.hpp"
#include "portico/ip/canonical.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>

using namespace portico;

namespace {

void demand(bool holds) {
    if (!holds) {
        std::abort();
    }
}

// The input as a row of small numbers; zeros when it is used up.
class choices {
public:
    choices(const std::uint8_t* data, std::size_t size) : data_{data}, size_{size} {}
    [[nodiscard]] bool empty() const { return size_ == 0; }
    std::uint8_t next() {
        if (size_ == 0) {
            return 0;
        }
        --size_;
        return *data_++;
    }
    std::size_t below(std::size_t count) { return next() % count; }
    // The rest, up to and without a zero byte.
    std::string text() {
        std::string made;
        while (size_ != 0) {
            const auto byte = next();
            if (byte == 0) {
                break;
            }
            made.push_back(static_cast<char>(byte));
        }
        return made;
    }
    ip::address address() {
        ip::address::v6_bytes bytes{};
        if (below(2) == 0) {
            return ip::address::v4(next(), next(), next(), next());
        }
        for (auto& each : bytes) {
            each = next();
        }
        return ip::address::v6(bytes);
    }

private:
    const std::uint8_t* data_;
    std::size_t size_;
};

// ---- operations on the table and the gate ----

admit::rate_tiers::config configured(choices& from) {
    admit::rate_tiers::config how;
    how.max_connections = from.below(32);
    how.remembered = from.below(80);
    for (auto& limit : how.limits) {
        const auto bits = from.next();
        if ((bits & 1U) != 0) {
            limit.max_open = bits >> 4U;
        }
        if ((bits & 2U) != 0) {
            limit.rate = admit::connection_rate{.count = from.next(),
                                                .per = std::chrono::milliseconds{from.next() * 16},
                                                .burst = static_cast<std::uint32_t>(from.below(6))};
        }
    }
    return how;
}

// What a valid rate costs; what is outside is taken for the nearest valid one.
duration interval(const admit::connection_rate& rate) {
    const auto count = std::max<std::int64_t>(rate.count, 1);
    const auto per = std::max<std::int64_t>(rate.per.count(), 1);
    return duration{(per + count - 1) / count};
}

struct known_prefix {
    std::uint32_t open = 0;
    instant due = instant::min();
};

class checked_tiers {
public:
    explicit checked_tiers(choices& from)
        : from_{from}, how_{configured(from)}, tiers_{how_, {from.next(), from.next()}},
          bytes_{tiers_.bytes()}, gate_{from.below(32), from.below(2) == 0
                                                            ? admit::when_full::queue
                                                            : admit::when_full::refuse} {}

    void step() {
        const auto what = from_.below(8);
        if (what == 0) {
            now_ += std::chrono::milliseconds{from_.next() * 4};
        } else if (what == 1) {
            const bool accepting = gate_.poll_accepting();
            const bool begins = gate_.handle_limit(from_.below(32), admit::when_full::queue);
            demand(begins == (!accepting && gate_.poll_accepting()));
        } else if (what < 4) {
            end_one();
        } else {
            come();
        }
        demand(tiers_.open() == open_.size());
        demand(tiers_.size() <= tiers_.capacity());
        demand(tiers_.bytes() == bytes_);
        demand(tiers_.counts().unknown_ended == 0);
        demand(gate_.open() == through_gate_);
    }

    void finish() {
        while (!open_.empty()) {
            end_one();
        }
        demand(tiers_.open() == 0 && tiers_.counts().unknown_ended == 0);
        const auto in_use = tiers_.size();
        tiers_.handle_ended(ip::address{});
        demand(tiers_.counts().unknown_ended == 1 && tiers_.size() == in_use);
    }

private:
    using tier_block = std::pair<std::size_t, ip::prefix>;

    // Few addresses out of many networks: 12 bits of them, the rest is fixed.
    ip::address client() {
        const auto a = from_.next();
        const auto b = from_.next();
        if ((a & 1U) == 0) {
            return ip::address::v4(10, static_cast<std::uint8_t>(a >> 4U), b, a & 6U);
        }
        ip::address::v6_bytes bytes{0x20, 1, static_cast<std::uint8_t>(a >> 6U), 0, 0, b};
        bytes[6] = a & 8U;
        bytes[7] = a & 4U;
        bytes[15] = a & 2U;
        return ip::address::v6(bytes);
    }

    std::vector<tier_block> prefixes(const ip::address& from) const {
        std::vector<tier_block> all;
        for (std::size_t i = 0; i < admit::tiers; ++i) {
            const auto& limit = how_.limits[i];
            if ((limit.max_open || limit.rate) && (i < 2) == from.is_v4()) {
                const auto length = admit::prefix_length(static_cast<admit::tier>(i));
                all.emplace_back(i, ip::prefix::make(from, length).value());
            }
        }
        return all;
    }

    admit::rate_verdict expected(const ip::address& from) {
        if (open_.size() >= how_.max_connections) {
            return {};
        }
        for (const auto& each : prefixes(from)) {
            const auto& limit = how_.limits[each.first];
            const auto& known = known_[each];
            const auto where = static_cast<admit::tier>(each.first);
            if (limit.max_open && known.open >= *limit.max_open) {
                return {false, admit::rate_refusal::max_open, where};
            }
            if (limit.rate && known.due > now_ &&
                known.due - now_ > interval(*limit.rate) * (std::max(limit.rate->burst, 1U) - 1)) {
                return {false, admit::rate_refusal::rate, where};
            }
        }
        return {.let_in = true};
    }

    void come() {
        const auto from = client();
        const bool was_full = gate_.is_full();
        demand(gate_.handle_connection() == !was_full);
        if (was_full) {
            return;
        }
        ++through_gate_;
        const auto due = expected(from);
        const auto got = tiers_.admit(now_, from);
        if (tiers_.counts().poured == 0) {
            demand(got == due);
        }
        if (!got.let_in) {
            demand(!due.let_in || got.why == admit::rate_refusal::rate);
            (void)gate_.handle_ended();
            --through_gate_;
            return;
        }
        demand(due.let_in);
        open_.push_back(from);
        for (const auto& each : prefixes(from)) {
            auto& known = known_[each];
            ++known.open;
            if (const auto& rate = how_.limits[each.first].rate) {
                known.due = std::max(known.due, now_) + interval(*rate);
            }
        }
    }

    void end_one() {
        if (open_.empty()) {
            return;
        }
        std::swap(open_[from_.below(open_.size())], open_.back());
        const auto from = open_.back();
        open_.pop_back();
        tiers_.handle_ended(from);
        const bool accepting = gate_.poll_accepting();
        const bool begins = gate_.handle_ended();
        --through_gate_;
        demand(begins == (!accepting && gate_.poll_accepting()));
        for (const auto& each : prefixes(from)) {
            --known_[each].open;
        }
    }

    choices& from_;
    admit::rate_tiers::config how_;
    admit::rate_tiers tiers_;
    std::size_t bytes_;
    admit::gate gate_;
    std::size_t through_gate_ = 0;
    instant now_{};
    std::vector<ip::address> open_;
    std::map<tier_block, known_prefix> known_;
};

void check_tiers(choices& from) {
    checked_tiers running{from};
    while (!from.empty()) {
        running.step();
    }
    running.finish();
}

// ---- text ----

void check_error(std::string_view text, const ip::text_error& why) {
    demand(why.at <= text.size());
    demand(why.length >= 1 && !why.what.empty());
    demand(!ip::explain(text, why).empty());
}

bool plain_access(const std::vector<admit::access_rule>& rules, const ip::address& which) {
    const admit::access_rule* best = nullptr;
    bool any_allows = false;
    for (const auto& each : rules) {
        any_allows = any_allows || each.what == admit::ruling::allow;
        if (each.block.contains(which) &&
            (best == nullptr || each.block.length() > best->block.length() ||
             (each.block.length() == best->block.length() && each.what == admit::ruling::deny))) {
            best = &each;
        }
    }
    return best == nullptr ? !any_allows : best->what == admit::ruling::allow;
}

void check_access(choices& from) {
    const auto asked = from.address();
    std::vector<admit::access_rule> rules;
    for (const auto what : {admit::ruling::allow, admit::ruling::deny}) {
        const auto text = from.text();
        const auto read = admit::parse_access_rules(text, what);
        if (!read) {
            check_error(text, read.error());
            continue;
        }
        rules.insert(rules.end(), read->begin(), read->end());
    }
    const admit::access who{rules};
    demand(who.allows(asked) == plain_access(rules, ip::canonical(asked)));
    for (const auto& each : rules) {
        demand(who.allows(each.block.base()) == plain_access(rules, each.block.base()));
    }
}

void check_destinations(choices& from) {
    const ip::endpoint to{from.address(),
                          static_cast<std::uint16_t>(from.next() * 256 + from.next())};
    const auto name = from.text();
    std::vector<admit::destination_rule> rules;
    for (const auto what : {admit::ruling::allow, admit::ruling::deny}) {
        const auto text = from.text();
        const auto read = admit::parse_destination_rules(text, what);
        if (!read) {
            check_error(text, read.error());
            continue;
        }
        for (const auto& each : *read) {
            const auto written = admit::to_text(each);
            const auto again = admit::parse_destination_rules(written, what);
            demand(again && again->size() == 1 && again->front() == each);
            rules.push_back(each);
        }
    }
    admit::destinations may{rules};
    const std::vector<ip::address> own{ip::address::v4(192, 0, 2, 1)};
    may.handle_own_addresses(own);
    const auto as_address = may.refuse(to);
    const auto as_name = may.refuse(name, to);
    // Names open nothing that is guarded, and what is refused unresolved is refused resolved.
    const auto before = may.refuse_unresolved(name, to.port);
    demand(!before || as_name);
    const bool guarded = as_address && *as_address < admit::destination_refusal::rule;
    demand(!guarded || as_name == as_address ||
           as_name == admit::destination_refusal::malformed_name);
    // However an IPv4 address is written, what is guarded stays so.
    if (guarded && to.address.is_v4()) {
        const auto mapped = ip::address::v6(to.address.to_v6());
        const auto translated = ip::nat64_embed(ip::nat64_well_known(), to.address).value();
        demand(may.refuse({mapped, to.port}) == as_address);
        demand(may.refuse({translated, to.port}) == as_address);
    }
    // Without rules only what is guarded is refused.
    demand(!rules.empty() || !as_address || guarded);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    choices from{data, size};
    switch (from.below(4)) {
    case 0:
        check_access(from);
        break;
    case 1:
        check_destinations(from);
        break;
    default:
        check_tiers(from);
        break;
    }
    return 0;
}
