#include "relay/listed_targets_test.hpp"
#include "relay/target_walk.hpp"

#include <gmock/gmock.h>

namespace portico::run {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

constexpr instant start{std::chrono::hours{1}};
const ip::endpoint client{ip::address::v4(192, 0, 2, 1), 4000};
const error refused{
    std::make_error_code(std::errc::connection_refused), operation::receive, side::peer, {}};

ip::any_endpoint place(const char* text) {
    return ip::parse_endpoint(text).value();
}

std::string next(target_walk& walk) {
    const auto* found = walk.next(start);
    return found == nullptr ? "none" : ip::to_text(found->at);
}

using walks = std::vector<std::vector<ip::any_endpoint>>;

TEST(target_walk, the_addresses_of_a_target_come_before_the_next_target) {
    const auto targets = std::make_shared<listed_targets>(
        walks{{place("127.0.0.1:1"), place("[::1]:1")}, {place("127.0.0.2:2")}});
    target_walk walk{targets, client};
    EXPECT_FALSE(walk.has_tried());
    EXPECT_EQ(next(walk), "[::1]:1"); // RFC 6724
    EXPECT_EQ(next(walk), "127.0.0.1:1");
    EXPECT_EQ(walk.target(), 0U);
    EXPECT_EQ(next(walk), "127.0.0.2:2");
    EXPECT_EQ(walk.target(), 1U);
    EXPECT_TRUE(walk.has_tried());
    EXPECT_EQ(next(walk), "none");
    EXPECT_FALSE(walk.has_tried());
    EXPECT_EQ(next(walk), "[::1]:1");
    EXPECT_EQ(targets->clients.front(), ip::any_endpoint{client});
}

TEST(target_walk, an_address_with_several_ports_is_several_places) {
    const auto targets = std::make_shared<listed_targets>(
        walks{{place("127.0.0.1:1"), place("127.0.0.1:2"), place("127.0.0.1:3")}});
    target_walk walk{targets, client};
    EXPECT_EQ(next(walk), "127.0.0.1:1");
    EXPECT_EQ(next(walk), "127.0.0.1:2");
    EXPECT_EQ(next(walk), "127.0.0.1:3");
    EXPECT_EQ(next(walk), "none");
}

TEST(target_walk, the_first_answer_opens_the_target_once) {
    const auto targets = std::make_shared<listed_targets>(walks{{place("127.0.0.1:1")}});
    target_walk walk{targets, client};
    ASSERT_NE(walk.next(start), nullptr);
    walk.handle_sent(start);
    EXPECT_EQ(targets->joining, 1);
    walk.handle_answer();
    walk.handle_answer();
    EXPECT_THAT(targets->opened, ElementsAre(Pair(0U, relay::way::v4)));
    walk.leave();
    EXPECT_EQ(targets->active, 0);
    walk.handle_answer(); // nowhere
    walk.handle_failed(start, refused);
    EXPECT_EQ(targets->opened.size(), 1U);
    EXPECT_THAT(targets->failed, IsEmpty());
}

TEST(target_walk, a_target_that_says_nothing_opens_when_it_has_not_refused_for_a_while) {
    const auto targets = std::make_shared<listed_targets>(walks{{place("[::1]:1")}});
    target_walk walk{targets, client};
    ASSERT_NE(walk.next(start), nullptr);
    walk.handle_sent(start);
    walk.handle_sent(start + target_walk::silence - duration{1});
    EXPECT_THAT(targets->opened, IsEmpty());
    walk.handle_sent(start + target_walk::silence);
    EXPECT_THAT(targets->opened, ElementsAre(Pair(0U, relay::way::v6)));
}

TEST(target_walk, the_silence_of_one_place_says_nothing_of_the_next) {
    const auto targets =
        std::make_shared<listed_targets>(walks{{place("127.0.0.1:1")}, {place("127.0.0.1:2")}});
    target_walk walk{targets, client};
    ASSERT_NE(walk.next(start), nullptr);
    walk.handle_sent(start);
    walk.handle_failed(start, refused);
    EXPECT_THAT(targets->failed, ElementsAre(Pair(0U, refused.code)));
    ASSERT_NE(walk.next(start), nullptr);
    walk.handle_sent(start + target_walk::silence);
    EXPECT_THAT(targets->opened, IsEmpty());
}

TEST(target_walk, after_an_answer_the_others_are_worth_a_try_again) {
    const auto targets =
        std::make_shared<listed_targets>(walks{{place("127.0.0.1:1")}, {place("127.0.0.1:2")}});
    target_walk walk{targets, client};
    EXPECT_EQ(next(walk), "127.0.0.1:1");
    EXPECT_EQ(next(walk), "127.0.0.1:2");
    walk.handle_answer();
    walk.handle_failed(start, refused);
    EXPECT_EQ(next(walk), "127.0.0.1:1");
}

} // namespace
} // namespace portico::run
