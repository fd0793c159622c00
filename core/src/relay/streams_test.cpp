#include "portico/relay/streams.hpp"

#include "portico/testkit/random.hpp"

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

// One socket as the kernel shows it: what can be read, and how much room there is.
struct model_socket {
    std::uint64_t unread = 0;
    std::uint64_t room = 0;
    bool fin = false;   // behind `unread`
    bool reset = false; // behind `unread`
    bool got_fin = false;
    std::uint64_t got = 0;
};

class model {
public:
    model(std::uint64_t seed, const limits& how) : random_{seed}, s_{how, instant{}} {}

    void run() {
        for (int i = 0; i < 200 && !over_; ++i) {
            something_happens();
            pump();
        }
        settle();
    }

private:
    model_socket& of(end which) { return sockets_[static_cast<std::size_t>(which)]; }

    void something_happens() {
        const auto which = random_.below(2) == 0 ? end::client : end::target;
        auto& socket = of(which);
        switch (random_.below(8)) {
        case 0:
        case 1:
        case 2:
            if (!socket.fin && !socket.reset) {
                socket.unread += random_.below(5000);
                s_.handle_readable(which);
            }
            break;
        case 3:
        case 4:
        case 5:
            socket.room += random_.below(5000);
            s_.handle_writable(which);
            break;
        case 6:
            if (random_.below(4) == 0 && !socket.reset) {
                socket.fin = true;
                s_.handle_readable(which);
            }
            break;
        default:
            if (random_.below(30) == 0) {
                socket.reset = true;
                reset_ = true;
                s_.handle_failed(which);
            }
        }
    }

    void pump() {
        for (int turns = 0; !over_; ++turns) {
            ASSERT_LT(turns, 1000) << "it spins";
            const auto what = s_.poll_step();
            switch (what) {
            case step::wait:
                return;
            case step::move_from_client:
                move(end::client);
                break;
            case step::move_from_target:
                move(end::target);
                break;
            case step::end_to_client:
                pass_end(end::client);
                break;
            case step::end_to_target:
                pass_end(end::target);
                break;
            default:
                handle_close(what);
            }
        }
    }

    void move(end which) {
        auto& source = of(which);
        auto& sink = of(other(which));
        moved did;
        std::uint64_t held = s_.held(which);
        if (held == 0) {
            did.received = static_cast<std::uint32_t>(std::min<std::uint64_t>(source.unread, 1000));
            source.unread -= did.received;
            held = did.received;
        }
        did.from = source.unread != 0 || held != 0 ? from::more
                   : source.reset                  ? from::failed
                   : source.fin                    ? from::ended
                                                   : from::drained;
        if (sink.reset) {
            did.to = to::failed;
        } else {
            did.sent = static_cast<std::uint32_t>(std::min(held, sink.room));
            sink.room -= did.sent;
            sink.got += did.sent;
            did.to = did.sent == held ? to::open : to::full;
        }
        ASSERT_FALSE(sink.got_fin && did.sent != 0) << "bytes behind the FIN";
        s_.handle_moved(instant{}, which, did);
    }

    void pass_end(end which) {
        const auto& source = of(other(which));
        ASSERT_TRUE(source.fin && source.unread == 0);
        ASSERT_EQ(s_.held(other(which)), 0U);
        ASSERT_FALSE(of(which).got_fin) << "twice";
        of(which).got_fin = true;
        s_.handle_end_passed(which);
    }

    void handle_close(step what) {
        over_ = true;
        if (what == step::close) {
            for (const auto each : {end::client, end::target}) {
                EXPECT_EQ(of(each).unread, 0U);
                EXPECT_EQ(s_.held(each), 0U);
                EXPECT_TRUE(of(each).fin || of(each).reset);
                EXPECT_EQ(s_.received(each), s_.sent(other(each)));
                EXPECT_EQ(of(each).got, s_.sent(each));
            }
        } else {
            EXPECT_TRUE(reset_) << "a reset that nobody sent";
        }
    }

    // When both read on and say that they are done, it ends.
    void settle() {
        for (int i = 0; i < 1000 && !over_; ++i) {
            for (const auto each : {end::client, end::target}) {
                of(each).fin = of(each).fin || !of(each).reset;
                of(each).room += 100000;
                s_.handle_readable(each);
                s_.handle_writable(each);
            }
            pump();
        }
        EXPECT_TRUE(over_) << "it never ended";
    }

    testkit::seeded_random random_;
    streams s_;
    std::array<model_socket, 2> sockets_{};
    bool reset_ = false;
    bool over_ = false;
};

TEST(streams, twenty_thousand_random_connections_lose_nothing_and_end) {
    for (std::uint64_t seed = 1; seed <= 20'000; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        model{seed, no_limits}.run();
        ASSERT_FALSE(testing::Test::HasFailure());
    }
}

} // namespace
} // namespace portico::relay
