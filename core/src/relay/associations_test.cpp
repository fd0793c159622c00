#include "portico/relay/associations.hpp"

#include "relay/association_model.hpp"

#include <gtest/gtest.h>
#include <random>

namespace portico::relay {
namespace {

using namespace std::chrono_literals;
using drop = association_drop;

constexpr instant start{1000s};
constexpr hash_seed seed{3, 4};
const ip::endpoint here{ip::address::v4(192, 0, 2, 1), 53};

ip::endpoint v4(std::uint8_t last, std::uint16_t port = 4000) {
    return {ip::address::v4(198, 51, 100, last), port};
}
ip::endpoint v6(std::uint8_t net, std::uint8_t host, std::uint16_t port = 4000) {
    return {ip::address::v6({0x20, 1, 0xd, 0xb8, 0, 0, 0, net, 0, 0, 0, 0, 0, 0, 0, host}), port};
}

association_id open(associations& table, const ip::endpoint& who, instant now = start) {
    const auto got = table.handle_datagram(now, {who, here});
    EXPECT_TRUE(got.has_value());
    return got ? got->id : association_id{};
}

association_id converse(associations& table, const ip::endpoint& who, instant now = start) {
    const auto id = open(table, who, now);
    EXPECT_TRUE(table.handle_answer(now, id));
    EXPECT_EQ(open(table, who, now), id);
    EXPECT_TRUE(table.is_conversation(id));
    return id;
}

TEST(associations, a_client_keeps_its_place) {
    associations table{{}, seed};
    const auto first = table.handle_datagram(start, {v4(1), here});
    ASSERT_TRUE(first);
    EXPECT_TRUE(first->is_new);
    const auto second = table.handle_datagram(start + 1s, {v4(1), here});
    ASSERT_TRUE(second);
    EXPECT_FALSE(second->is_new);
    EXPECT_EQ(first->id, second->id);
    EXPECT_EQ(table.key(first->id)->client, v4(1));
    EXPECT_EQ(table.size(), 1U);
}

TEST(associations, another_port_or_local_address_is_another_one) {
    associations table{{}, seed};
    const auto id = open(table, v4(1));
    EXPECT_NE(open(table, v4(1, 4001)), id);
    auto there = here;
    there.address = ip::address::v4(192, 0, 2, 2);
    EXPECT_NE(table.handle_datagram(start, {v4(1), there})->id, id);
    there = here;
    there.port = 54;
    EXPECT_NE(table.handle_datagram(start, {v4(1), there})->id, id);
    const ip::endpoint mapped{ip::address::v6(v4(1).address.to_v6()), 4000};
    EXPECT_NE(open(table, mapped), id) << "the answer has to leave from another socket";
    EXPECT_EQ(table.size(), 5U);
}

TEST(associations, what_is_idle_expires_and_its_id_is_nobodys) {
    associations table{{.idle = 120s, .idle_unproven = 30s}, seed};
    const auto asked = open(table, v4(1));
    const auto conversation = converse(table, v4(2));
    EXPECT_EQ(table.poll_deadline(), deadline::at(start + 30s));
    EXPECT_EQ(table.poll_expired(start + 30s - 1ns), std::nullopt);
    EXPECT_EQ(table.poll_expired(start + 30s), asked);
    EXPECT_EQ(table.poll_expired(start + 30s), std::nullopt);
    EXPECT_EQ(table.poll_deadline(), deadline::at(start + 120s));
    EXPECT_EQ(table.key(asked), nullptr);
    EXPECT_FALSE(table.handle_answer(start + 30s, asked));
    EXPECT_FALSE(table.handle_closed(asked));
    const auto next = open(table, v4(1), start + 31s);
    EXPECT_EQ(next.index, asked.index);
    EXPECT_NE(next, asked);
    EXPECT_FALSE(table.handle_answer(start + 31s, asked));
    EXPECT_EQ(table.poll_expired(start + 200s), next);
    EXPECT_EQ(table.poll_expired(start + 200s), conversation);
    EXPECT_EQ(table.poll_deadline(), deadline::never());
    EXPECT_EQ(table.counts().of(drop::expired), 3U);
    EXPECT_EQ(table.counts().opened, 3U);
}

TEST(associations, an_answer_keeps_it_too) {
    associations table{{.idle_unproven = 30s}, seed};
    const auto id = open(table, v4(1));
    EXPECT_TRUE(table.handle_answer(start + 20s, id));
    EXPECT_EQ(table.poll_expired(start + 30s), std::nullopt);
    EXPECT_EQ(table.poll_expired(start + 50s), id);
}

TEST(associations, an_answer_alone_is_no_conversation) {
    associations table{{}, seed};
    const auto id = open(table, v4(1));
    EXPECT_EQ(open(table, v4(1)), id);
    EXPECT_FALSE(table.is_conversation(id)) << "a stranger sends twice without hearing anything";
    table.handle_answer(start, id);
    EXPECT_FALSE(table.is_conversation(id));
    EXPECT_EQ(open(table, v4(1)), id);
    EXPECT_TRUE(table.is_conversation(id));
}

TEST(associations, a_full_table_lets_the_longest_idle_question_go) {
    associations table{{.capacity = 3}, seed};
    const auto conversation = converse(table, v4(1));
    const auto second = open(table, v4(2), start + 1s);
    open(table, v4(3), start + 2s);
    EXPECT_EQ(open(table, v4(2), start + 3s), second);
    const auto got = table.handle_datagram(start + 4s, {v4(4), here});
    ASSERT_TRUE(got);
    EXPECT_TRUE(got->is_new);
    ASSERT_TRUE(got->evicted);
    EXPECT_EQ(table.find({v4(3), here}), std::nullopt);
    EXPECT_EQ(table.key(*got->evicted), nullptr);
    EXPECT_NE(*got->evicted, got->id);
    EXPECT_NE(table.key(conversation), nullptr);
    EXPECT_NE(table.key(second), nullptr);
    EXPECT_EQ(table.counts().of(drop::evicted), 1U);
}

TEST(associations, a_flood_of_forged_senders_throws_no_conversation_out) {
    associations table{{.capacity = 100}, seed};
    for (std::uint8_t i = 0; i < 50; ++i) {
        converse(table, v4(i));
    }
    for (int i = 0; i < 100'000; ++i) {
        const auto who = v6(static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i),
                            static_cast<std::uint16_t>(i >> 16));
        ASSERT_TRUE(table.handle_datagram(start + 1s, {who, here}));
    }
    for (std::uint8_t i = 0; i < 50; ++i) {
        EXPECT_TRUE(table.find({v4(i), here}));
    }
    EXPECT_EQ(table.size(), 100U);
}

TEST(associations, full_of_conversations_it_refuses) {
    associations table{{.capacity = 2}, seed};
    const auto first = converse(table, v4(1));
    converse(table, v4(2));
    const auto refused = table.handle_datagram(start, {v4(3), here});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error(), drop::full);
    EXPECT_EQ(table.counts().of(drop::full), 1U);
    EXPECT_EQ(open(table, v4(1)), first) << "who is known goes on";
    EXPECT_TRUE(table.handle_closed(first));
    EXPECT_TRUE(table.handle_datagram(start, {v4(3), here}));
}

TEST(associations, a_prefix_takes_places_from_itself_alone) {
    associations table{{.capacity = 10, .max_per_prefix = 2}, seed};
    const auto first = open(table, v6(1, 1));
    open(table, v6(2, 1));
    open(table, v6(1, 2));
    const auto got = table.handle_datagram(start, {v6(1, 3), here});
    ASSERT_TRUE(got);
    EXPECT_EQ(got->evicted, first);
    EXPECT_EQ(table.size(), 3U);
    converse(table, v6(1, 2));
    converse(table, v6(1, 3));
    const auto refused = table.handle_datagram(start, {v6(1, 4), here});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error(), drop::prefix_full);
    EXPECT_TRUE(table.handle_datagram(start, {v6(3, 4), here}));
}

TEST(associations, a_mapped_address_has_the_limit_of_its_ipv4_one) {
    associations table{{.max_per_prefix = 1}, seed};
    converse(table, v4(1));
    const ip::endpoint mapped{ip::address::v6(v4(1).address.to_v6()), 4000};
    EXPECT_FALSE(table.handle_datagram(start, {mapped, here}));
    EXPECT_TRUE(table.handle_datagram(start, {v4(2), here}));
}

TEST(associations, without_capacity_nobody_is_let_in) {
    associations table{{.capacity = 0}, seed};
    EXPECT_EQ(table.handle_datagram(start, {v4(1), here}).error(), drop::full);
    EXPECT_EQ(table.poll_expired(start + 1h), std::nullopt);
    EXPECT_EQ(table.poll_deadline(), deadline::never());
    EXPECT_FALSE(table.handle_answer(start, {}));
    EXPECT_EQ(table.key({}), nullptr);
}

TEST(associations, limits_without_end_never_expire) {
    associations table{{.idle = duration::max(), .idle_unproven = duration::max()}, seed};
    open(table, v4(1));
    EXPECT_EQ(table.poll_deadline(), deadline::never());
    EXPECT_EQ(table.poll_expired(instant::max()), std::nullopt);
}

TEST(associations, a_time_before_the_latest_counts_as_that_one) {
    associations table{{.idle_unproven = 30s}, seed};
    open(table, v4(1), start + 10s);
    open(table, v4(2), start);
    EXPECT_EQ(table.poll_deadline(), deadline::at(start + 40s));
    EXPECT_EQ(table.poll_expired(start + 39s), std::nullopt);
}

// ---- against the model ----

std::string play(std::uint64_t number) {
    std::mt19937_64 engine{number};
    const auto below = [&](std::uint64_t count) { return engine() % count; };
    const association_settings how{.capacity = below(40),
                                   .max_per_prefix = below(8),
                                   .v6_prefix = below(2) == 0 ? 64U : 128U,
                                   .idle = std::chrono::seconds{1 + below(60)},
                                   .idle_unproven = std::chrono::seconds{1 + below(30)}};
    associations table{how, {number, 1}};
    test::association_model model{how};
    auto now = start;
    std::string wrong;
    for (int step = 0; step < 500 && wrong.empty(); ++step) {
        now += std::chrono::milliseconds{below(10) == 0 ? below(5000) : 0};
        const auto byte = [&](std::uint64_t count) {
            return static_cast<std::uint8_t>(below(count));
        };
        const auto port = static_cast<std::uint16_t>(1 + below(4));
        const auto who = below(2) == 0 ? v4(byte(8), port) : v6(byte(4), byte(4), port);
        const auto some = model.seen().empty()
                              ? association_id{}
                              : model.seen()[model.seen().size() - 1 -
                                             below(std::min<std::size_t>(model.seen().size(), 50))];
        switch (below(8)) {
        case 0:
            wrong = model.expire(now, table);
            break;
        case 1:
            wrong = model.handle_closed(some, table);
            break;
        case 2:
        case 3:
            wrong = model.handle_answer(now, some, table);
            break;
        default:
            wrong = model.handle_datagram(now, {who, here}, table);
        }
        wrong = wrong.empty() ? model.compare(table) : wrong;
    }
    return wrong;
}

TEST(associations, any_sequence_agrees_with_the_model) {
    for (std::uint64_t number = 0; number < 300; ++number) {
        ASSERT_EQ(play(number), "") << "seed " << number;
    }
}

} // namespace
} // namespace portico::relay
