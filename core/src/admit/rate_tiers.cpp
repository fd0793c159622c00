#include "portico/admit/rate_tiers.hpp"

#include "admit/bits.hpp"

#include <algorithm>
#include <bit>
#include <limits>

namespace portico::admit {
namespace {

constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();
constexpr std::size_t most_entries = std::size_t{1} << 28; // of each kind; so `open` has 29 bits
constexpr std::size_t rows = 4;

// Of the 128 bits; IPv4 prefixes lie in the mapped addresses.
constexpr std::array<unsigned, tiers> fixed_bits{96 + 24, 96 + 32, 48, 56, 64, 128};
constexpr std::size_t region_tag = tiers; // hashed where tiers have their number
constexpr std::size_t first_v6 = static_cast<std::size_t>(tier::v6_48);

duration interval_of(const connection_rate& rate) noexcept {
    const auto count = duration::rep{std::max(rate.count, 1U)};
    const auto per = std::max(rate.per.count(), duration::rep{1});
    // Rounded up: a bucket that fills a little too fast would let more in than was said.
    const auto each = per / count + (per % count == 0 ? 0 : 1);
    return std::min(duration{each}, connection_rate::longest_interval);
}

// What an attacker is most likely to have as a whole.
bits region_base(std::uint64_t high, std::uint64_t low, std::size_t where) noexcept {
    return cut({high, low}, where < first_v6 ? 96 + 16 : 32);
}

} // namespace

std::string_view to_text(tier which) noexcept {
    constexpr std::array<std::string_view, tiers> names{"IPv4 /24", "IPv4 /32", "IPv6 /48",
                                                        "IPv6 /56", "IPv6 /64", "IPv6 /128"};
    return names[static_cast<std::size_t>(which)];
}

unsigned prefix_length(tier which) noexcept {
    const auto number = static_cast<std::size_t>(which);
    return fixed_bits[number] - (number < first_v6 ? 96U : 0U);
}

std::string_view to_text(rate_refusal why) noexcept {
    constexpr std::array<std::string_view, rate_refusals> names{"full", "max_open", "rate"};
    return names[static_cast<std::size_t>(why)];
}

std::optional<std::string> find_fault(const connection_rate& rate) {
    if (rate.count == 0) {
        return "a rate of 0 connections lets nobody in; to refuse a prefix write a deny rule";
    }
    if (rate.per <= duration::zero()) {
        return "the time of a rate has to be longer than 0";
    }
    if (rate.per / rate.count > connection_rate::longest_interval) {
        return "the rate is below one connection a day";
    }
    if (rate.burst == 0) {
        return "a burst of 0 lets nobody in; the least is 1";
    }
    if (rate.burst > connection_rate::largest_burst) {
        return "the burst is over " + std::to_string(connection_rate::largest_burst);
    }
    return std::nullopt;
}

rate_tiers::rate_tiers(const config& how, const hash_seed& seed)
    : seed_{seed}, max_connections_{std::min(how.max_connections, most_entries)}, free_{none},
      newest_{none}, oldest_{none} {
    const std::size_t remembered = std::clamp(how.remembered, std::size_t{64}, most_entries);
    const std::size_t cells = std::bit_ceil(remembered);
    const auto row_bits = static_cast<unsigned>(std::countr_zero(cells / rows));
    regions_ = std::size_t{1} << (row_bits / 2);
    region_size_ = std::size_t{1} << (row_bits - row_bits / 2);
    std::array<std::size_t, 2> limited{};
    bool any_rate = false;
    for (std::size_t i = 0; i < tiers; ++i) {
        const auto& limit = how.limits[i];
        auto& bound = bounds_[i];
        bound.limited = limit.max_open || limit.rate;
        bound.max_open = limit.max_open.value_or(none);
        limited[i < first_v6 ? 0 : 1] += bound.limited ? 1U : 0U;
        if (limit.rate) {
            any_rate = true;
            bound.has_rate = true;
            bound.interval = interval_of(*limit.rate);
            const auto burst = std::clamp(limit.rate->burst, 1U, connection_rate::largest_burst);
            bound.tolerance = bound.interval * duration::rep{burst - 1};
            sketches_[i].assign(cells, instant::min());
        }
    }
    // Enough that a connection always finds an entry without open ones, or a free one.
    const std::size_t pinned = max_connections_ * std::max(limited[0], limited[1]);
    entries_.resize(pinned + (any_rate ? remembered : 0));
    heads_.assign(std::bit_ceil(std::max(entries_.size(), std::size_t{1})), none);
    for (std::size_t i = entries_.size(); i != 0; --i) {
        entries_[i - 1].next = free_;
        free_ = static_cast<index>(i - 1);
    }
}

rate_verdict rate_tiers::admit(instant now, const ip::address& from) {
    if (open_ >= max_connections_) {
        ++counts_.full;
        return {};
    }
    places all = look_up(from);
    const std::span known{all.at.data(), all.count};
    for (auto& each : known) {
        const auto& bound = bounds_[each.tier];
        if (each.found != none && entries_[each.found].open >= bound.max_open) {
            return refuse(rate_refusal::max_open, each.tier);
        }
        if (each.found == none && bound.max_open == 0) {
            return refuse(rate_refusal::max_open, each.tier);
        }
        each.due = each.found != none ? entries_[each.found].due : poured(each);
        if (bound.has_rate && each.due > now && each.due - now > bound.tolerance) {
            return refuse(rate_refusal::rate, each.tier);
        }
    }
    // Those that are there first, so that making the others does not evict them.
    for (const auto& each : known) {
        if (each.found != none) {
            wake(each.found);
            auto& entry = entries_[each.found];
            entry.due = std::max(each.due, now) + bounds_[each.tier].interval;
            ++entry.open;
        }
    }
    for (const auto& each : known) {
        if (each.found == none) {
            make(each, now);
        }
    }
    ++open_;
    ++counts_.let_in;
    return {.let_in = true};
}

void rate_tiers::handle_ended(const ip::address& from) {
    const places all = look_up(from);
    const std::span known{all.at.data(), all.count};
    const bool is_open = std::all_of(known.begin(), known.end(), [&](const place& each) {
        return each.found != none && entries_[each.found].open != 0;
    });
    if (!is_open || open_ == 0) {
        ++counts_.unknown_ended;
        return;
    }
    --open_;
    for (const auto& each : known) {
        auto& entry = entries_[each.found];
        --entry.open;
        if (entry.open != 0) {
            continue;
        }
        if (bounds_[each.tier].has_rate) {
            rest(each.found);
        } else {
            release(each.found); // it has nothing more to tell
        }
    }
}

std::size_t rate_tiers::bytes() const noexcept {
    std::size_t sum = entries_.size() * sizeof(slot) + heads_.size() * sizeof(index);
    for (const auto& each : sketches_) {
        sum += each.size() * sizeof(instant);
    }
    return sum;
}

rate_verdict rate_tiers::refuse(rate_refusal why, std::size_t where) noexcept {
    ++(why == rate_refusal::rate ? counts_.rate : counts_.max_open)[where];
    return {false, why, static_cast<tier>(where)};
}

rate_tiers::places rate_tiers::look_up(const ip::address& from) const noexcept {
    const ip::address known = ip::canonical(from);
    const bits whole = bits_of(known);
    places all;
    const bits around = region_base(whole.high, whole.low, known.is_v4() ? 0 : first_v6);
    const auto region = hash_of(around.high, around.low, region_tag);
    const std::size_t end = known.is_v4() ? first_v6 : tiers;
    for (std::size_t i = known.is_v4() ? 0 : first_v6; i < end; ++i) {
        if (bounds_[i].limited) {
            const bits base = cut(whole, fixed_bits[i]);
            auto& made = all.at[all.count++];
            made = {i,      base.high, base.low,      hash_of(base.high, base.low, i),
                    region, none,      instant::min()};
            made.found = find(made);
        }
    }
    return all;
}

rate_tiers::index rate_tiers::find(const place& which) const noexcept {
    index at = heads_[which.hash & (heads_.size() - 1)];
    while (at != none) {
        const auto& each = entries_[at];
        if (each.high == which.high && each.low == which.low && each.where == which.tier) {
            break;
        }
        at = each.next;
    }
    return at;
}

std::uint64_t rate_tiers::hash_of(std::uint64_t high, std::uint64_t low,
                                  std::size_t where) const noexcept {
    return keyed_hash{seed_}.add(high).add(low).add(where).value();
}

// ---- entries: free, resting (nothing open, in the order of use) or pinned by what is open ----

void rate_tiers::make(const place& which, instant now) noexcept {
    const index at = take_entry(now);
    auto& head = heads_[which.hash & (heads_.size() - 1)];
    auto& made = entries_[at];
    made = {};
    made.high = which.high;
    made.low = which.low;
    made.where = static_cast<std::uint32_t>(which.tier) & 7U;
    made.open = 1;
    made.due = std::max(which.due, now) + bounds_[which.tier].interval;
    made.next = head;
    head = at;
    ++used_;
}

// A free entry, or the one that rests longest.
rate_tiers::index rate_tiers::take_entry(instant now) noexcept {
    if (free_ == none) {
        const index victim = oldest_;
        const auto& leaving = entries_[victim];
        if (leaving.due > now) {
            pour(leaving);
            ++counts_.poured;
        } else {
            ++counts_.evicted;
        }
        wake(victim);
        release(victim);
    }
    const index taken = free_;
    free_ = entries_[taken].next;
    return taken;
}

void rate_tiers::release(index which) noexcept {
    auto& leaving = entries_[which];
    const auto hash = hash_of(leaving.high, leaving.low, leaving.where);
    index* link = &heads_[hash & (heads_.size() - 1)];
    while (*link != which) {
        link = &entries_[*link].next;
    }
    *link = leaving.next;
    leaving.next = free_;
    free_ = which;
    --used_;
}

// Into the order of use, as the newest.
void rate_tiers::rest(index which) noexcept {
    auto& entry = entries_[which];
    entry.newer = none;
    entry.older = newest_;
    (newest_ == none ? oldest_ : entries_[newest_].newer) = which;
    newest_ = which;
}

// Out of the order of use, if it rests.
void rate_tiers::wake(index which) noexcept {
    const auto& entry = entries_[which];
    if (entry.open != 0) {
        return;
    }
    (entry.newer == none ? newest_ : entries_[entry.newer].older) = entry.older;
    (entry.older == none ? oldest_ : entries_[entry.older].newer) = entry.newer;
}

// ---- the sketch ----

// 16 bits of either hash for each row: at most 2^14 regions of 2^14 cells.
std::array<std::size_t, 4> rate_tiers::cells_of(std::uint64_t hash,
                                                std::uint64_t region) const noexcept {
    std::array<std::size_t, 4> at{};
    for (std::size_t row = 0; row < at.size(); ++row) {
        const std::size_t which = (region >> (16 * row)) & (regions_ - 1);
        const std::size_t cell = (hash >> (16 * row)) & (region_size_ - 1);
        at[row] = (row * regions_ + which) * region_size_ + cell;
    }
    return at;
}

void rate_tiers::pour(const slot& which) noexcept {
    const bits around = region_base(which.high, which.low, which.where);
    const auto region = hash_of(around.high, around.low, region_tag);
    const auto hash = hash_of(which.high, which.low, which.where);
    auto& sketch = sketches_[which.where];
    for (const auto each : cells_of(hash, region)) {
        sketch[each] = std::max(sketch[each], which.due);
    }
}

instant rate_tiers::poured(const place& which) const noexcept {
    const auto& sketch = sketches_[which.tier];
    if (sketch.empty()) {
        return instant::min();
    }
    instant least = instant::max();
    for (const auto each : cells_of(which.hash, which.region)) {
        least = std::min(least, sketch[each]);
    }
    return least;
}

} // namespace portico::admit
