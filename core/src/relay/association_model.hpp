// The table of UDP clients once more, as plainly as it can be written, to hold the real one against
// (for random tests and for fuzzing).
#pragma once

#include "portico/ip/canonical.hpp"
#include "portico/relay/associations.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace portico::relay::test {

// Everything in one row, the longest idle first.
class association_model {
public:
    struct entry {
        association_key key;
        association_id id;
        instant last{};
        bool answered = false;
        bool conversing = false;
    };

    explicit association_model(const association_settings& how) : how_{how} {}

    // Nothing, or what the table did wrong.
    std::string handle_datagram(instant now, const association_key& from, associations& table) {
        const auto known = find(from);
        const auto got = table.handle_datagram(now, from);
        if (known != row_.end()) {
            if (!got || got->is_new || got->evicted || got->id != known->id) {
                return "a known sender was not recognised";
            }
            known->conversing = known->answered;
            touch(known, now);
            return {};
        }
        const auto kin = static_cast<std::size_t>(std::count_if(
            row_.begin(), row_.end(), [&](const entry& each) { return same(each.key, from); }));
        const bool prefix_full = how_.max_per_prefix != 0 && kin >= how_.max_per_prefix;
        const bool full = row_.size() >= how_.capacity;
        auto victim = row_.end();
        if (prefix_full || full) {
            victim = std::find_if(row_.begin(), row_.end(), [&](const entry& each) {
                return !each.conversing && (!prefix_full || same(each.key, from));
            });
            if (victim == row_.end()) {
                const auto why =
                    prefix_full ? association_drop::prefix_full : association_drop::full;
                return !got && got.error() == why ? "" : "a new one was not refused";
            }
        }
        if (!got || !got->is_new) {
            return "a new sender was not let in";
        }
        if (got->evicted.has_value() != (victim != row_.end())) {
            return "an eviction too many, or too few";
        }
        if (victim != row_.end()) {
            if (*got->evicted != victim->id) {
                return "not the longest idle one was evicted";
            }
            row_.erase(victim);
        }
        if (std::find(seen_.begin(), seen_.end(), got->id) != seen_.end()) {
            return "an id was given twice";
        }
        seen_.push_back(got->id);
        row_.push_back({from, got->id, now});
        return {};
    }

    std::string handle_answer(instant now, association_id id, associations& table) {
        const auto known = find(id);
        if (table.handle_answer(now, id) != (known != row_.end())) {
            return "an answer was for the wrong one";
        }
        if (known != row_.end()) {
            known->answered = true;
            touch(known, now);
        }
        return {};
    }

    std::string handle_closed(association_id id, associations& table) {
        const auto known = find(id);
        if (table.handle_closed(id) != (known != row_.end())) {
            return "it was over, or not";
        }
        if (known != row_.end()) {
            row_.erase(known);
        }
        return {};
    }

    // All that are over at `now`.
    std::string expire(instant now, associations& table) {
        while (const auto over = table.poll_expired(now)) {
            const auto known = find(*over);
            if (known == row_.end() || ends_at(*known) > now) {
                return "one expired too early, or twice";
            }
            row_.erase(known);
        }
        const auto late = std::any_of(row_.begin(), row_.end(),
                                      [&](const entry& each) { return ends_at(each) <= now; });
        return late ? "one did not expire" : "";
    }

    [[nodiscard]] std::string compare(const associations& table) const {
        if (table.size() != row_.size() || table.size() > how_.capacity) {
            return "another number of them";
        }
        auto next = deadline::never();
        for (const auto& each : row_) {
            const auto* const key = table.key(each.id);
            if (key == nullptr || *key != each.key || table.find(each.key) != each.id ||
                table.is_conversation(each.id) != each.conversing) {
                return "one of them is not as it should be";
            }
            next = std::min(next, deadline::at(ends_at(each)));
        }
        if (next != table.poll_deadline()) {
            return "another deadline";
        }
        const auto& counts = table.counts();
        return counts.opened - counts.of(association_drop::expired) -
                           counts.of(association_drop::evicted) -
                           counts.of(association_drop::closed) ==
                       row_.size()
                   ? ""
                   : "the counts do not add up";
    }

    // Ids that were given at some time; most are over.
    [[nodiscard]] const std::vector<association_id>& seen() const { return seen_; }

private:
    using row = std::vector<entry>;

    row::iterator find(const association_key& key) {
        return std::find_if(row_.begin(), row_.end(),
                            [&](const entry& each) { return each.key == key; });
    }
    row::iterator find(association_id id) {
        return std::find_if(row_.begin(), row_.end(),
                            [&](const entry& each) { return each.id == id; });
    }
    void touch(row::iterator which, instant now) {
        which->last = now;
        std::rotate(which, which + 1, row_.end());
    }
    [[nodiscard]] bool same(const association_key& left, const association_key& right) const {
        const auto block = [&](const association_key& key) {
            const auto who = ip::canonical(key.client.address);
            return *ip::prefix::make(who, who.is_v4() ? 32 : how_.v6_prefix);
        };
        return block(left) == block(right);
    }
    [[nodiscard]] instant ends_at(const entry& which) const {
        return which.last + (which.conversing ? how_.idle : how_.idle_unproven);
    }

    association_settings how_;
    row row_;
    std::vector<association_id> seen_;
};

} // namespace portico::relay::test
