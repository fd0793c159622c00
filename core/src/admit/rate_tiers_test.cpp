#include "portico/admit/rate_tiers.hpp"

#include "portico/ip/prefix.hpp"
#include "portico/testkit/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <tuple>

namespace portico::admit {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr instant start{seconds{1000}};
constexpr hash_seed seed{0x0706050403020100U, 0x0f0e0d0c0b0a0908U};

ip::address at(std::string_view text) {
    return ip::parse_address(text).value();
}

// 2001:db8:NNNN:MMMM::1
ip::address network(std::uint64_t number, std::uint8_t host = 1) {
    ip::address::v6_bytes bytes{0x20, 1, 0xd, 0xb8};
    for (std::size_t i = 4; i < 8; ++i) {
        bytes[i] = static_cast<std::uint8_t>(number >> (8 * (7 - i)));
    }
    bytes[15] = host;
    return ip::address::v6(bytes);
}

rate_tiers::config with(tier which, tier_limit limit) {
    rate_tiers::config how;
    how.max_connections = 100;
    how.remembered = 64;
    how[which] = limit;
    return how;
}

constexpr rate_verdict let_in{.let_in = true};
constexpr rate_verdict refused(rate_refusal why, tier where) {
    return {false, why, where};
}

TEST(rate_tiers, without_limits_only_the_number_of_connections_counts) {
    rate_tiers::config how;
    how.max_connections = 2;
    rate_tiers tiers{how, seed};
    EXPECT_EQ(tiers.capacity(), 0U);
    EXPECT_EQ(tiers.admit(start, at("192.0.2.1")), let_in);
    EXPECT_EQ(tiers.admit(start, at("2001:db8::1")), let_in);
    EXPECT_FALSE(tiers.admit(start, at("192.0.2.1")).let_in);
    EXPECT_EQ(tiers.counts().full, 1U);
    tiers.handle_ended(at("2001:db8::1"));
    EXPECT_EQ(tiers.admit(start, at("192.0.2.1")), let_in);
}

TEST(rate_tiers, a_prefix_has_as_many_open_as_it_may) {
    rate_tiers tiers{with(tier::v4_24, {.max_open = 2}), seed};
    EXPECT_EQ(tiers.admit(start, at("192.0.2.1")), let_in);
    EXPECT_EQ(tiers.admit(start, at("192.0.2.2")), let_in);
    EXPECT_EQ(tiers.admit(start, at("192.0.2.3")), refused(rate_refusal::max_open, tier::v4_24));
    EXPECT_EQ(tiers.admit(start, at("192.0.3.3")), let_in);
    EXPECT_EQ(tiers.admit(start, at("2001:db8::1")), let_in); // no limit for IPv6
    tiers.handle_ended(at("192.0.2.1"));
    EXPECT_EQ(tiers.admit(start, at("192.0.2.3")), let_in);
    EXPECT_EQ(tiers.counts().max_open[0], 1U);
    EXPECT_EQ(tiers.size(), 2U);
}

TEST(rate_tiers, a_limit_of_zero_lets_nobody_in) {
    rate_tiers tiers{with(tier::v6_64, {.max_open = 0}), seed};
    EXPECT_EQ(tiers.admit(start, network(1)), refused(rate_refusal::max_open, tier::v6_64));
    EXPECT_EQ(tiers.size(), 0U);
}

TEST(rate_tiers, a_prefix_comes_in_with_its_burst_and_then_at_its_rate) {
    const connection_rate rate{.count = 2, .per = seconds{1}, .burst = 3};
    rate_tiers tiers{with(tier::v6_64, {.rate = rate}), seed};
    instant now = start;
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(tiers.admit(now, network(1, static_cast<std::uint8_t>(i))), let_in);
    }
    const auto no = refused(rate_refusal::rate, tier::v6_64);
    EXPECT_EQ(tiers.admit(now, network(1)), no);
    EXPECT_EQ(tiers.admit(now + milliseconds{499}, network(1)), no);
    EXPECT_EQ(tiers.admit(now + milliseconds{500}, network(1)), let_in);
    EXPECT_EQ(tiers.admit(now + milliseconds{501}, network(1)), no);
    EXPECT_EQ(tiers.admit(now + milliseconds{501}, network(2)), let_in);
    now += seconds{60}; // no more than a burst is ever saved
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(tiers.admit(now, network(1)), let_in);
    }
    EXPECT_EQ(tiers.admit(now, network(1)), no);
    EXPECT_EQ(tiers.counts().rate[static_cast<std::size_t>(tier::v6_64)], 4U);
}

TEST(rate_tiers, an_ended_connection_is_not_given_back_to_the_rate) {
    rate_tiers tiers{with(tier::v4_32, {.rate = connection_rate{.count = 1, .burst = 1}}), seed};
    EXPECT_EQ(tiers.admit(start, at("192.0.2.1")), let_in);
    tiers.handle_ended(at("192.0.2.1"));
    EXPECT_EQ(tiers.admit(start, at("192.0.2.1")), refused(rate_refusal::rate, tier::v4_32));
    EXPECT_EQ(tiers.admit(start + seconds{1}, at("192.0.2.1")), let_in);
}

TEST(rate_tiers, the_coarsest_tier_that_refuses_is_told_and_no_other_pays) {
    auto how = with(tier::v6_48, {.rate = connection_rate{.count = 1, .burst = 2}});
    how[tier::v6_128] = {.max_open = 1};
    rate_tiers tiers{how, seed};
    EXPECT_EQ(tiers.admit(start, network(1, 1)), let_in);
    EXPECT_EQ(tiers.admit(start, network(1, 1)), refused(rate_refusal::max_open, tier::v6_128));
    EXPECT_EQ(tiers.admit(start, network(1, 2)), let_in); // the refused one has cost nothing
    EXPECT_EQ(tiers.admit(start, network(1, 1)), refused(rate_refusal::rate, tier::v6_48));
    EXPECT_EQ(tiers.admit(start, network(0x10000, 1)), let_in); // another /48
    EXPECT_EQ(tiers.size(), 5U);
}

TEST(rate_tiers, a_mapped_address_is_the_ipv4_one_and_a_zone_does_not_count) {
    auto how = with(tier::v4_32, {.max_open = 1});
    how[tier::v6_128] = {.max_open = 1};
    rate_tiers tiers{how, seed};
    EXPECT_EQ(tiers.admit(start, at("::ffff:192.0.2.1")), let_in);
    EXPECT_FALSE(tiers.admit(start, at("192.0.2.1")).let_in);
    tiers.handle_ended(at("192.0.2.1"));
    EXPECT_EQ(tiers.size(), 0U);
    EXPECT_EQ(tiers.admit(start, at("fe80::1%eth0")), let_in);
    EXPECT_FALSE(tiers.admit(start, at("fe80::1%eth1")).let_in);
}

TEST(rate_tiers, an_end_that_nobody_began_changes_nothing) {
    rate_tiers tiers{with(tier::v4_24, {.max_open = 1}), seed};
    EXPECT_EQ(tiers.admit(start, at("192.0.2.1")), let_in);
    tiers.handle_ended(at("192.0.3.1"));
    EXPECT_EQ(tiers.open(), 1U);
    EXPECT_EQ(tiers.counts().unknown_ended, 1U);
    EXPECT_FALSE(tiers.admit(start, at("192.0.2.1")).let_in);
}

TEST(rate_tiers, an_evicted_prefix_still_owes_what_it_owed) {
    const connection_rate rate{.count = 1, .per = seconds{100}, .burst = 2};
    rate_tiers tiers{with(tier::v6_64, {.rate = rate}), seed};
    const auto come_and_go = [&](std::uint64_t number) {
        const auto verdict = tiers.admit(start, network(number));
        if (verdict.let_in) {
            tiers.handle_ended(network(number));
        }
        return verdict.let_in;
    };
    EXPECT_TRUE(come_and_go(0));
    EXPECT_TRUE(come_and_go(0));
    for (std::uint64_t i = 1; i <= 10 * tiers.capacity(); ++i) {
        (void)come_and_go(i);
    }
    EXPECT_GT(tiers.counts().poured, 0U);
    EXPECT_FALSE(come_and_go(0)); // rotating does not make it forgotten
    EXPECT_TRUE(tiers.admit(start, at("2a01::1")).let_in);
    EXPECT_TRUE(tiers.admit(start, at("192.0.2.1")).let_in);
}

TEST(rate_tiers, open_connections_are_never_forgotten) {
    auto how = with(tier::v6_64, {.max_open = 1, .rate = connection_rate{.count = 1, .burst = 1}});
    rate_tiers tiers{how, seed};
    EXPECT_EQ(tiers.admit(start, network(0)), let_in);
    instant now = start;
    for (std::uint64_t i = 1; i < 2000; ++i) {
        now += seconds{2};
        ASSERT_EQ(tiers.admit(now, network(i)), let_in);
        tiers.handle_ended(network(i));
    }
    EXPECT_EQ(tiers.admit(now, network(0)), refused(rate_refusal::max_open, tier::v6_64));
}

// Somebody with a whole /32 comes from another /64 each time, and from as many as can be open.
TEST(rate_tiers, whoever_rotates_networks_does_not_shut_others_out) {
    const connection_rate rate{.count = 10, .per = seconds{1}, .burst = 20};
    rate_tiers::config how;
    how.max_connections = 1000;
    how.remembered = 1024;
    for (const auto which : {tier::v6_48, tier::v6_56, tier::v6_64, tier::v6_128, tier::v4_32}) {
        how[which] = {.max_open = 20, .rate = rate};
    }
    rate_tiers tiers{how, seed};
    testkit::seeded_random random;
    instant now = start;
    std::uint64_t innocents_refused = 0;
    for (std::uint64_t i = 0; i < 200'000; ++i) {
        now += milliseconds{1} / 100; // 100,000 in a second
        const auto attacker = network(random() & 0xffff'ffff);
        if (tiers.admit(now, attacker).let_in) {
            tiers.handle_ended(attacker);
        }
        if (i % 100 == 0) {
            const auto number = static_cast<std::uint8_t>(i / 100 % 250);
            const auto innocent = i % 200 == 0 ? ip::address::v4(192, 0, 2, number)
                                               : ip::address::v6({0x2a, 1, number});
            const bool is_in = tiers.admit(now, innocent).let_in;
            innocents_refused += is_in ? 0U : 1U;
            if (is_in) {
                tiers.handle_ended(innocent);
            }
        }
        ASSERT_LE(tiers.size(), tiers.capacity());
    }
    EXPECT_EQ(innocents_refused, 0U);
    EXPECT_GT(tiers.counts().poured, 1'000U); // the table was full, and not with what is harmless
}

// ---- any operations, against a model that forgets nothing ----

struct model_entry {
    std::uint32_t open = 0;
    instant due = instant::min();
};

class model {
public:
    explicit model(const rate_tiers::config& how) : how_{how} {}

    rate_verdict judge(instant now, const ip::address& from) const {
        if (open_ >= how_.max_connections) {
            return {};
        }
        for (const auto& [which, block] : prefixes(from)) {
            const auto& limit = how_.limits[which];
            const auto found = entries_.find({which, block});
            const auto known = found == entries_.end() ? model_entry{} : found->second;
            if (limit.max_open && known.open >= *limit.max_open) {
                return refused(rate_refusal::max_open, static_cast<tier>(which));
            }
            if (limit.rate && known.due > now &&
                known.due - now > interval(*limit.rate) * (limit.rate->burst - 1)) {
                return refused(rate_refusal::rate, static_cast<tier>(which));
            }
        }
        return let_in;
    }

    void handle_let_in(instant now, const ip::address& from) {
        ++open_;
        for (const auto& key : prefixes(from)) {
            auto& known = entries_[key];
            ++known.open;
            if (const auto& rate = how_.limits[key.first].rate) {
                known.due = std::max(known.due, now) + interval(*rate);
            }
        }
    }

    void handle_ended(const ip::address& from) {
        --open_;
        for (const auto& key : prefixes(from)) {
            --entries_[key].open;
        }
    }

    // Prefixes that have to be in the table now.
    std::size_t pinned() const {
        return static_cast<std::size_t>(
            std::count_if(entries_.begin(), entries_.end(),
                          [](const auto& each) { return each.second.open != 0; }));
    }

private:
    using tier_block = std::pair<std::size_t, ip::prefix>;

    static duration interval(const connection_rate& rate) {
        return duration{(rate.per.count() + rate.count - 1) / rate.count};
    }

    std::vector<tier_block> prefixes(const ip::address& from) const {
        std::vector<tier_block> all;
        for (std::size_t i = 0; i < tiers; ++i) {
            const bool is_v4_tier = i < 2;
            if ((how_.limits[i].max_open || how_.limits[i].rate) && is_v4_tier == from.is_v4()) {
                const auto length = prefix_length(static_cast<tier>(i));
                all.emplace_back(i, ip::prefix::make(from, length).value());
            }
        }
        return all;
    }

    rate_tiers::config how_;
    std::map<tier_block, model_entry> entries_;
    std::size_t open_ = 0;
};

rate_tiers::config random_config(testkit::seeded_random& random) {
    rate_tiers::config how;
    how.max_connections = 1 + random.below(40);
    how.remembered = random.below(130);
    for (auto& limit : how.limits) {
        if (random.chance(1, 2)) {
            limit.max_open = static_cast<std::uint32_t>(random.below(8));
        }
        if (random.chance(2, 3)) {
            limit.rate = connection_rate{.count = static_cast<std::uint32_t>(1 + random.below(7)),
                                         .per = milliseconds{1 + random.below(3000)},
                                         .burst = static_cast<std::uint32_t>(1 + random.below(5))};
        }
    }
    return how;
}

ip::address random_client(testkit::seeded_random& random, std::uint64_t spread) {
    const auto number = random.below(spread);
    if (random.chance(1, 3)) {
        return ip::address::v4(10, static_cast<std::uint8_t>(number >> 8),
                               static_cast<std::uint8_t>(number),
                               static_cast<std::uint8_t>(random.below(4)));
    }
    return network(number * 0x4080, static_cast<std::uint8_t>(random.below(4)));
}

// What it lets in, the model lets in. What it refuses without need was poured by somebody.
void run_against_model(testkit::seeded_random& random, std::uint64_t spread, int steps) {
    const auto how = random_config(random);
    rate_tiers real{how, {random(), random()}};
    model plain{how};
    const auto bytes = real.bytes();
    std::vector<ip::address> open;
    instant now = start;
    for (int i = 0; i < steps; ++i) {
        now += random.chance(1, 4) ? milliseconds{random.below(500)} : milliseconds{0};
        if (!open.empty() && random.chance(2, 5)) {
            std::swap(open[random.below(open.size())], open.back());
            real.handle_ended(open.back());
            plain.handle_ended(open.back());
            open.pop_back();
        } else {
            const auto from = random_client(random, spread);
            const auto expected = plain.judge(now, from);
            const auto got = real.admit(now, from);
            if (got.let_in) {
                ASSERT_TRUE(expected.let_in) << to_text(expected.where) << " " << to_text(from);
                plain.handle_let_in(now, from);
                open.push_back(from);
            } else if (real.counts().poured == 0) {
                ASSERT_EQ(got, expected) << to_text(from);
            } else if (expected.let_in) {
                ASSERT_EQ(got.why, rate_refusal::rate);
            }
        }
        ASSERT_EQ(real.open(), open.size());
        ASSERT_LE(real.size(), real.capacity());
        ASSERT_EQ(real.bytes(), bytes);
        if (i % 64 == 0) {
            ASSERT_LE(plain.pinned(), real.size());
        }
    }
    EXPECT_EQ(real.counts().unknown_ended, 0U);
    for (const auto& each : open) {
        real.handle_ended(each);
    }
    EXPECT_EQ(real.counts().unknown_ended, 0U);
    EXPECT_EQ(real.open(), 0U);
}

TEST(rate_tiers, with_few_prefixes_it_is_exactly_the_model) {
    testkit::seeded_random random;
    for (int round = 0; round < 100; ++round) {
        run_against_model(random, 4, 500);
    }
}

TEST(rate_tiers, with_many_prefixes_it_never_lets_in_more_than_the_model) {
    testkit::seeded_random random;
    for (int round = 0; round < 60; ++round) {
        run_against_model(random, 2000, 2000);
    }
}

TEST(connection_rate, a_rate_that_cannot_be_kept_is_told) {
    EXPECT_EQ(find_fault({}), std::nullopt);
    EXPECT_EQ(find_fault({.count = 1, .per = hours{24}, .burst = 10'000}), std::nullopt);
    EXPECT_NE(find_fault({.count = 0}), std::nullopt);
    EXPECT_NE(find_fault({.per = seconds{0}}), std::nullopt);
    EXPECT_NE(find_fault({.count = 1, .per = hours{25}}), std::nullopt);
    EXPECT_EQ(find_fault({.count = 2, .per = hours{25}}), std::nullopt);
    EXPECT_NE(find_fault({.burst = 0}), std::nullopt);
    EXPECT_NE(find_fault({.burst = 10'001}), std::nullopt);
}

TEST(rate_tiers, memory_is_what_the_header_says) {
    auto how = with(tier::v4_32, {.max_open = 1, .rate = connection_rate{}});
    for (const auto which : {tier::v6_48, tier::v6_56, tier::v6_64, tier::v6_128}) {
        how[which] = {.max_open = 1};
    }
    how.max_connections = 10'000;
    how.remembered = 4096;
    const rate_tiers tiers{how, seed};
    EXPECT_EQ(tiers.capacity(), 4 * 10'000U + 4096U);
    EXPECT_LE(tiers.bytes(), tiers.capacity() * 48 + 4096 * 8);
}

} // namespace
} // namespace portico::admit
