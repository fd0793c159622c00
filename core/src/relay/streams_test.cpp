#include "portico/relay/streams.hpp"

#include "portico/testkit/random.hpp"
#include "relay/streams_model.hpp"

#include <gtest/gtest.h>

namespace portico::relay {
namespace {

using namespace std::chrono_literals;
using from = moved::source;
using to = moved::sink;

constexpr limits no_limits{};

instant at(duration since) {
    return instant{since};
}

moved did(std::uint32_t received, std::uint32_t sent, from source = from::drained,
          to sink = to::open) {
    return {received, sent, source, sink};
}

// Both directions have been looked at, and were empty.
streams quiet(const limits& how = no_limits) {
    streams made{how, at(0s)};
    made.handle_moved(at(0s), end::client, did(0, 0));
    made.handle_moved(at(0s), end::target, did(0, 0));
    return made;
}

TEST(streams, both_ends_are_read_at_first) {
    streams s{no_limits, at(0s)};
    EXPECT_EQ(s.poll_step(), step::move_from_client);
    s.handle_moved(at(0s), end::client, did(0, 0));
    EXPECT_EQ(s.poll_step(), step::move_from_target);
    s.handle_moved(at(0s), end::target, did(0, 0));
    EXPECT_EQ(s.poll_step(), step::wait);
}

TEST(streams, a_slow_sink_holds_its_source_back) {
    auto s = quiet();
    s.handle_readable(end::client);
    s.handle_moved(at(1s), end::client, did(100, 60, from::more, to::full));
    EXPECT_EQ(s.held(end::client), 40U);
    EXPECT_EQ(s.poll_step(), step::wait) << "although the client is readable";
    s.handle_writable(end::target);
    EXPECT_EQ(s.poll_step(), step::move_from_client);
    s.handle_moved(at(1s), end::client, did(0, 40, from::drained));
    EXPECT_EQ(s.received(end::client), 100U);
    EXPECT_EQ(s.sent(end::target), 100U);
    EXPECT_EQ(s.poll_step(), step::wait);
}

TEST(streams, an_end_goes_on_when_nothing_is_held) {
    auto s = quiet();
    s.handle_moved(at(0s), end::client, did(10, 4, from::ended, to::full));
    EXPECT_EQ(s.poll_step(), step::wait);
    s.handle_writable(end::target);
    s.handle_moved(at(0s), end::client, did(0, 6, from::ended));
    EXPECT_EQ(s.poll_step(), step::end_to_target);
    s.handle_end_passed(end::target);
    EXPECT_EQ(s.poll_step(), step::wait);
    s.handle_readable(end::target);
    EXPECT_EQ(s.poll_step(), step::move_from_target) << "the other direction goes on";
}

TEST(streams, the_second_end_is_a_close) {
    auto s = quiet();
    s.handle_moved(at(0s), end::client, did(0, 0, from::ended));
    s.handle_end_passed(end::target);
    s.handle_moved(at(0s), end::target, did(5, 5, from::ended));
    EXPECT_EQ(s.poll_step(), step::close);
    EXPECT_EQ(s.how_it_ended(), ending::both_ended);
}

TEST(streams, both_ends_at_once_are_a_close) {
    auto s = quiet();
    s.handle_moved(at(0s), end::client, did(0, 0, from::ended));
    s.handle_moved(at(0s), end::target, did(0, 0, from::ended));
    EXPECT_EQ(s.poll_step(), step::close);
}

TEST(streams, a_reset_goes_on_after_what_was_sent_before_it) {
    auto s = quiet();
    s.handle_failed(end::client);
    EXPECT_EQ(s.poll_step(), step::move_from_client);
    s.handle_moved(at(0s), end::client, did(7, 7, from::failed));
    EXPECT_EQ(s.poll_step(), step::close_reset);
    EXPECT_EQ(s.how_it_ended(), ending::client_failed);
    EXPECT_EQ(s.sent(end::target), 7U);
}

TEST(streams, a_reset_that_the_read_does_not_show_is_one_all_the_same) {
    for (const auto how : {from::ended, from::drained}) {
        auto s = quiet();
        s.handle_failed(end::target);
        s.handle_moved(at(0s), end::target, did(7, 7, how));
        EXPECT_EQ(s.how_it_ended(), ending::target_failed);
        EXPECT_NE(s.poll_step(), step::wait);
    }
}

TEST(streams, a_reset_while_bytes_are_held_does_not_wait_for_the_slow_sink) {
    auto s = quiet();
    s.handle_moved(at(0s), end::target, did(100, 1, from::more, to::full));
    s.handle_failed(end::target);
    EXPECT_EQ(s.poll_step(), step::close_reset);
}

TEST(streams, a_dead_sink_resets_its_source_after_its_last_words) {
    auto s = quiet();
    s.handle_moved(at(0s), end::client, did(10, 0, from::more, to::failed));
    EXPECT_EQ(s.poll_step(), step::move_from_target);
    s.handle_moved(at(0s), end::target, did(3, 3, from::failed));
    EXPECT_EQ(s.poll_step(), step::close_reset);
    EXPECT_EQ(s.how_it_ended(), ending::target_failed);
}

// The target answered, closed, and met the client's further bytes with a reset.
TEST(streams, a_reset_behind_an_end_does_not_destroy_the_answer) {
    auto s = quiet();
    s.handle_moved(at(0s), end::target, did(1000, 1000, from::ended));
    s.handle_end_passed(end::client);
    s.handle_moved(at(0s), end::client, did(5, 0, from::more, to::failed));
    EXPECT_EQ(s.poll_step(), step::close_reset_when_sent);
}

TEST(streams, the_first_failure_is_the_one_that_is_told) {
    auto s = quiet();
    s.handle_failed(end::client);
    s.handle_failed(end::target);
    s.handle_moved(at(0s), end::client, did(0, 0, from::failed));
    EXPECT_EQ(s.how_it_ended(), ending::client_failed);
}

TEST(streams, the_idle_limit_counts_from_the_last_byte) {
    const limits how{.idle = 10s};
    auto s = quiet(how);
    EXPECT_EQ(s.poll_deadline(), deadline::at(at(10s)));
    s.handle_readable(end::client);
    s.handle_moved(at(9s), end::client, did(1, 1));
    s.handle_deadline(at(10s));
    EXPECT_EQ(s.poll_step(), step::wait);
    s.handle_moved(at(15s), end::client, did(0, 0));
    s.handle_deadline(at(19s));
    EXPECT_EQ(s.poll_step(), step::close_reset);
    EXPECT_EQ(s.how_it_ended(), ending::idle);
    EXPECT_TRUE(s.poll_deadline().is_never());
}

TEST(streams, a_half_closed_connection_has_its_own_limit) {
    const limits how{.idle = 1h, .half_closed = 5s};
    auto s = quiet(how);
    s.handle_moved(at(100s), end::target, did(1, 1, from::ended));
    EXPECT_EQ(s.poll_deadline(), deadline::at(at(105s)));
    s.handle_moved(at(104s), end::client, did(1, 1));
    EXPECT_EQ(s.poll_deadline(), deadline::at(at(109s))) << "while the other one sends it lives";
    s.handle_deadline(at(109s));
    EXPECT_EQ(s.how_it_ended(), ending::half_closed);
}

TEST(streams, without_limits_there_is_no_deadline) {
    EXPECT_TRUE(quiet().poll_deadline().is_never());
}

TEST(streams, bytes_from_before_are_sent_first) {
    auto s = quiet();
    s.handle_held(end::target, 12);
    EXPECT_EQ(s.poll_step(), step::move_from_target);
    s.handle_moved(at(0s), end::target, did(0, 12));
    EXPECT_EQ(s.sent(end::client), 12U);
}

// ---- random operation sequences against a model of the two sockets ----

TEST(streams, twenty_thousand_random_connections_lose_nothing_and_end) {
    for (std::uint64_t seed = 1; seed <= 20'000; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        testkit::seeded_random choices{seed};
        ASSERT_EQ(test::streams_model(choices, no_limits).run(200), "");
    }
}

} // namespace
} // namespace portico::relay
