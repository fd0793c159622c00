#include "portico/testkit/threads.hpp"

#include <gtest/gtest.h>

#include <atomic>

namespace portico::testkit {
namespace {

TEST(threads, all_have_run_when_they_are_joined) {
    std::atomic<int> ran{0};
    threads many;
    for (int i = 0; i < 2'000; ++i) {
        many.start([&] { ++ran; });
    }
    many.join();
    EXPECT_EQ(ran, 2'000);
}

TEST(threads, can_be_started_again_and_are_waited_for_at_the_end) {
    std::atomic<int> ran{0};
    std::atomic<bool> may_end{false};
    {
        threads many;
        many.start([&] { ++ran; });
        many.join();
        EXPECT_EQ(ran, 1);
        many.start([&] {
            may_end.wait(false);
            ++ran;
        });
        may_end = true;
        may_end.notify_all();
    }
    EXPECT_EQ(ran, 2);
}

} // namespace
} // namespace portico::testkit
