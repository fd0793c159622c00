// Many random sets of targets with printed seeds, held against rules that every choice keeps.
#include "portico/relay/targets.hpp"

#include "relay/rendezvous.hpp"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <map>
#include <random>
#include <set>

namespace portico::relay {
namespace {

using namespace std::chrono_literals;

constexpr instant start{1000s};

class dice {
public:
    explicit dice(std::uint64_t seed) : engine_{seed} {}
    std::size_t below(std::size_t count) { return static_cast<std::size_t>(engine_() % count); }
    bool one_in(std::size_t count) { return below(count) == 0; }

private:
    std::mt19937_64 engine_;
};

ip::any_endpoint place(std::size_t number, bool is_v6) {
    const auto last = static_cast<std::uint8_t>(number);
    return ip::endpoint{
        is_v6 ? ip::address::v6({0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last})
              : ip::address::v4(192, 0, 2, last),
        80};
}

ip::any_endpoint client(std::size_t number) {
    ip::address::v6_bytes bytes{0x20, 1, 0xd, 0xb8};
    for (std::size_t i = 0; i < 8; ++i) {
        bytes[15 - i] = static_cast<std::uint8_t>(number >> (8 * i));
    }
    return ip::endpoint{ip::address::v6(bytes), 1};
}

std::vector<target_wish> equal_ones(std::size_t count) {
    std::vector<target_wish> made;
    for (std::size_t i = 0; i < count; ++i) {
        made.push_back({"t" + std::to_string(i), 1, 0, {place(i, false)}});
    }
    return made;
}

std::vector<target_wish> weighted(dice& random, std::size_t count, std::size_t most) {
    auto made = equal_ones(count);
    for (auto& each : made) {
        each.weight = static_cast<std::uint16_t>(1 + random.below(most));
    }
    return made;
}

const error refused{
    std::make_error_code(std::errc::connection_refused), operation::connect, side::peer, {}};

// Chooses and ends at once.
target_id brief(balancer& targets, const ip::any_endpoint& who) {
    const auto choice = targets.choose(start, who, {}).value();
    targets.handle_opened(choice.id, way::v4);
    targets.handle_closed(choice.id);
    return choice.id;
}

TEST(targets_random, round_robin_gives_each_its_exact_share_of_every_round) {
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
        SCOPED_TRACE(seed);
        dice random{seed};
        const auto wishes = weighted(random, 1 + random.below(16), 20);
        balancer targets{{.policy = policy::round_robin}, {seed, 1}};
        targets.handle_targets(wishes);
        std::size_t round = 0;
        for (const auto& each : wishes) {
            round += each.weight;
        }
        std::vector<std::size_t> seen(wishes.size());
        std::vector<std::size_t> last(wishes.size());
        for (std::size_t turn = 1; turn <= 3 * round; ++turn) {
            const auto id = brief(targets, client(turn));
            ++seen[id];
            // Nobody waits for much more than its share of the turns.
            ASSERT_LE(turn - last[id], 2 * round / wishes[id].weight + wishes.size());
            last[id] = turn;
        }
        for (std::size_t i = 0; i < wishes.size(); ++i) {
            ASSERT_EQ(seen[i], 3U * wishes[i].weight);
        }
    }
}

TEST(targets_random, hash_gives_each_its_share) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        SCOPED_TRACE(seed);
        dice random{seed};
        const auto wishes = weighted(random, 2 + random.below(8), seed % 2 == 0 ? 1 : 10);
        balancer targets{{.policy = policy::hash}, {seed, 2}};
        targets.handle_targets(wishes);
        double whole = 0;
        for (const auto& each : wishes) {
            whole += each.weight;
        }
        constexpr std::size_t clients = 20'000;
        std::vector<std::size_t> seen(wishes.size());
        for (std::size_t i = 0; i < clients; ++i) {
            ++seen[brief(targets, client(i))];
        }
        for (std::size_t i = 0; i < wishes.size(); ++i) {
            const double share = wishes[i].weight / whole;
            const double expected = share * clients;
            const double deviation = std::sqrt(expected * (1 - share));
            EXPECT_NEAR(static_cast<double>(seen[i]), expected, 5 * deviation);
        }
    }
}

TEST(targets_random, with_hash_only_the_clients_of_what_changes_move) {
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        SCOPED_TRACE(seed);
        dice random{seed};
        auto wishes = weighted(random, 2 + random.below(15), seed % 2 == 0 ? 1 : 10);
        balancer targets{{.policy = policy::hash}, {seed, 3}};
        targets.handle_targets(wishes);
        std::vector<target_id> before;
        for (std::size_t i = 0; i < 500; ++i) {
            before.push_back(brief(targets, client(i)));
        }
        const auto gone = static_cast<target_id>(random.below(wishes.size()));
        const auto removed = wishes[gone];
        if (random.one_in(2)) {
            wishes.erase(wishes.begin() + gone);
            targets.handle_targets(wishes);
        } else {
            for (int i = 0; i < 3; ++i) {
                targets.handle_failed(start, gone, way::v4, refused);
            }
        }
        for (std::size_t i = 0; i < 500; ++i) {
            const auto id = brief(targets, client(i));
            ASSERT_NE(id, gone);
            ASSERT_TRUE(id == before[i] || before[i] == gone);
            const std::vector tried{id};
            if (before[i] == gone && wishes.size() > 2) {
                ASSERT_NE(targets.choose(start, client(i), tried).value().id, gone);
                targets.handle_given_up(id);
            }
        }
        if (wishes.size() < before.size()) {
            wishes.push_back(removed);
            targets.handle_targets(wishes);
        }
    }
}

TEST(targets_random, the_logarithm_never_falls_and_is_nearly_exact) {
    dice random{7};
    std::uint64_t last_cost = minus_log2(0);
    std::uint64_t number = 0;
    for (int i = 0; i < 200'000; ++i) {
        number += random.below(std::uint64_t{1} << (random.below(47)));
        const auto cost = minus_log2(number);
        ASSERT_LE(cost, last_cost) << number;
        last_cost = cost;
        const double exact = 64 - std::log2(static_cast<double>(number | 1));
        ASSERT_NEAR(static_cast<double>(cost) / (1 << 24), exact, 1e-5) << number;
    }
    EXPECT_GE(minus_log2(UINT64_MAX), 1U);
}

// ---- operation sequences ----

struct known_state {
    std::map<target_id, std::size_t> joining;
    std::map<target_id, std::size_t> active;
};

class sequence {
public:
    explicit sequence(std::uint64_t seed)
        : random_{seed}, targets_{{.policy = static_cast<policy>(seed % 3),
                                   .health = {.failures = static_cast<std::uint32_t>(1 + seed % 4),
                                              .rise = 1,
                                              .fall = 2},
                                   .capacity = 1 + random_.below(16)},
                                  {seed, 4}} {
        change_targets();
    }

    void step() {
        now_ += std::chrono::milliseconds{random_.one_in(10) ? random_.below(5000) : 0};
        switch (random_.below(8)) {
        case 0:
            return random_.one_in(20) ? change_targets() : change_addresses();
        case 1:
            return fail();
        case 2:
            targets_.handle_check(any_id(), any_way(), !random_.one_in(3));
            return;
        case 3:
            return end_one();
        default:
            return connect();
        }
    }

    void check() {
        std::size_t expected = 0;
        const auto states = targets_.snapshot();
        for (const auto& each : states) {
            const auto joining = known_.joining[each.id];
            const auto active = known_.active[each.id];
            ASSERT_EQ(each.joining, joining) << each.id;
            ASSERT_EQ(each.active, active) << each.id;
            ASSERT_TRUE(!each.is_leaving || joining + active != 0) << each.id;
            expected += joining + active;
        }
        std::size_t all = 0;
        for (const auto* part : {&known_.joining, &known_.active}) {
            for (const auto& [id, count] : *part) {
                all += count;
            }
        }
        ASSERT_EQ(all, expected) << "a target with connections was forgotten";
    }

private:
    target_id any_id() { return static_cast<target_id>(random_.below(17)); }
    way any_way() { return static_cast<way>(random_.below(3)); }

    std::vector<ip::any_endpoint> some_addresses() {
        std::vector<ip::any_endpoint> made;
        for (auto count = random_.below(4); count != 0; --count) {
            made.push_back(place(random_.below(5), random_.one_in(2)));
        }
        return made;
    }
    void change_targets() {
        std::vector<target_wish> wishes;
        for (auto count = random_.below(18); count != 0; --count) {
            wishes.push_back({"t" + std::to_string(random_.below(20)),
                              static_cast<std::uint16_t>(random_.below(5)),
                              static_cast<std::uint16_t>(random_.below(2)), some_addresses()});
        }
        targets_.handle_targets(wishes);
    }
    void change_addresses() { targets_.handle_addresses(any_id(), some_addresses()); }
    void fail() { targets_.handle_failed(now_, any_id(), any_way(), refused); }

    // Tries targets until one works or none is left.
    void connect() {
        const auto who = client(random_.below(50));
        std::vector<target_id> tried;
        for (;;) {
            const auto before = targets_.snapshot();
            std::map<target_id, way_set> healthy;
            for (const auto& each : before) {
                healthy[each.id] = targets_.usable(now_, each.id);
            }
            const auto choice = targets_.choose(now_, who, tried);
            check_choice(before, healthy, tried, choice);
            if (!choice || testing::Test::HasFatalFailure()) {
                return;
            }
            ++known_.joining[choice->id];
            tried.push_back(choice->id);
            if (random_.one_in(10)) {
                pending_.push_back(choice->id);
                return;
            }
            const auto over = choice->over.has(way::v4) ? way::v4 : way::v6;
            if (!random_.one_in(3)) {
                return open(choice->id, over);
            }
            targets_.handle_failed(now_, choice->id, over, refused);
            give_up(choice->id);
        }
    }
    void check_choice(const std::vector<target_state>& before,
                      const std::map<target_id, way_set>& healthy,
                      const std::vector<target_id>& tried,
                      const std::optional<target_choice>& choice) {
        bool any_left = false;
        std::optional<unsigned> best_priority;
        for (const auto& each : before) {
            const bool is_left = !each.is_leaving && each.addresses != 0 &&
                                 std::count(tried.begin(), tried.end(), each.id) == 0;
            any_left = any_left || is_left;
            if (is_left && !healthy.at(each.id).empty()) {
                best_priority = std::min<unsigned>(best_priority.value_or(9), each.priority);
            }
        }
        ASSERT_EQ(choice.has_value(), any_left);
        if (!choice) {
            return;
        }
        ASSERT_EQ(std::count(tried.begin(), tried.end(), choice->id), 0);
        ASSERT_FALSE(choice->over.empty());
        ASSERT_EQ(choice->is_panic, !best_priority);
        const auto state = std::find_if(before.begin(), before.end(),
                                        [&](const auto& each) { return each.id == choice->id; });
        ASSERT_NE(state, before.end());
        ASSERT_FALSE(state->is_leaving);
        if (best_priority) {
            ASSERT_EQ(state->priority, *best_priority);
            ASSERT_EQ(choice->over, healthy.at(choice->id));
        }
        for (std::size_t i = 0; i < ways; ++i) {
            ASSERT_TRUE(state->over[i].has_addresses || !choice->over.has(static_cast<way>(i)));
        }
    }
    void open(target_id id, way over) {
        targets_.handle_opened(id, over);
        --known_.joining[id];
        ++known_.active[id];
        open_.push_back(id);
    }
    void give_up(target_id id) {
        targets_.handle_given_up(id);
        --known_.joining[id];
    }
    void end_one() {
        if (!pending_.empty() && random_.one_in(2)) {
            const auto id = pending_.back();
            pending_.pop_back();
            return random_.one_in(2) ? open(id, way::v4) : give_up(id);
        }
        if (!open_.empty()) {
            const auto at = random_.below(open_.size());
            targets_.handle_closed(open_[at]);
            --known_.active[open_[at]];
            open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(at));
        }
    }

    dice random_;
    balancer targets_;
    instant now_ = start;
    known_state known_;
    std::vector<target_id> pending_;
    std::vector<target_id> open_;
};

TEST(targets_random, every_choice_keeps_the_rules) {
    for (std::uint64_t seed = 0; seed < 1000; ++seed) {
        SCOPED_TRACE(seed);
        sequence played{seed};
        for (int i = 0; i < 200; ++i) {
            played.step();
            if (HasFatalFailure()) {
                return;
            }
        }
        played.check();
        if (HasFatalFailure()) {
            return;
        }
    }
}

// A third of all targets fails at any time, and changes: the others get all turns, and who comes
// back gets some soon.
TEST(targets_random, nobody_that_is_healthy_starves) {
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
        SCOPED_TRACE(seed);
        dice random{seed};
        const auto wishes = weighted(random, 3 + random.below(13), 5);
        balancer targets{
            {.policy = seed % 2 == 0 ? policy::round_robin : policy::least_connections}, {seed, 5}};
        targets.handle_targets(wishes);
        auto now = start;
        for (int phase = 0; phase < 20; ++phase) {
            std::set<target_id> broken;
            for (std::size_t i = 0; i < wishes.size() / 3; ++i) {
                broken.insert(static_cast<target_id>(random.below(wishes.size())));
            }
            now += 61s; // all rests are over
            std::vector<std::size_t> served(wishes.size());
            for (int i = 0; i < 1000; ++i) {
                std::vector<target_id> tried;
                for (;;) {
                    const auto choice = targets.choose(now, client(0), tried);
                    ASSERT_TRUE(choice);
                    if (broken.count(choice->id) == 0) {
                        targets.handle_opened(choice->id, way::v4);
                        targets.handle_closed(choice->id);
                        ++served[choice->id];
                        break;
                    }
                    targets.handle_failed(now, choice->id, way::v4, refused);
                    targets.handle_given_up(choice->id);
                    tried.push_back(choice->id);
                }
            }
            std::size_t whole = 0;
            for (target_id id = 0; id < wishes.size(); ++id) {
                whole += broken.count(id) == 0 ? wishes[id].weight : 0U;
            }
            for (target_id id = 0; id < wishes.size(); ++id) {
                ASSERT_EQ(served[id] == 0, broken.count(id) != 0);
                if (broken.count(id) == 0 && seed % 2 == 0) { // nearly its share
                    const auto share = 1000 * wishes[id].weight / whole;
                    ASSERT_GE(served[id] + 30, share);
                    ASSERT_LE(served[id], share + 30);
                }
            }
        }
    }
}

} // namespace
} // namespace portico::relay
