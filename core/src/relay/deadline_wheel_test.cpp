#include "portico/relay/deadline_wheel.hpp"

#include "portico/testkit/random.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <set>

namespace portico::relay {
namespace {

using namespace std::chrono_literals;

instant at(duration since) {
    return instant{since};
}

TEST(deadline_wheel, wakes_nobody_early_and_nobody_more_than_a_tick_late) {
    for (const auto due : {1ns, duration{3999999ns}, duration{4ms}, duration{250ms}, duration{8s},
                           duration{8188ms}, duration{30s}, duration{1h}}) {
        deadline_wheel wheel{at(0s)};
        deadline_wheel::node node;
        wheel.set_at_latest(node, deadline::at(at(due)));
        instant now = at(0s);
        deadline_wheel::node* woken = nullptr;
        for (int i = 0; woken == nullptr; ++i) {
            ASSERT_LT(i, 1000);
            const auto next = wheel.poll_deadline();
            ASSERT_FALSE(next.is_never());
            ASSERT_GE(next.when(), now);
            now = next.when();
            woken = wheel.poll_expired(now);
        }
        EXPECT_EQ(woken, &node);
        EXPECT_GE(now, at(due));
        EXPECT_LE(now, at(due) + deadline_wheel::tick);
        EXPECT_FALSE(node.is_set());
        EXPECT_EQ(wheel.poll_expired(now), nullptr);
        EXPECT_TRUE(wheel.poll_deadline().is_never());
    }
}

TEST(deadline_wheel, an_earlier_deadline_wins) {
    deadline_wheel wheel{at(0s)};
    deadline_wheel::node node;
    wheel.set_at_latest(node, deadline::at(at(5s)));
    wheel.set_at_latest(node, deadline::at(at(1s)));
    wheel.set_at_latest(node, deadline::at(at(3s)));
    wheel.set_at_latest(node, deadline::never());
    EXPECT_EQ(wheel.poll_expired(at(999ms)), nullptr);
    EXPECT_EQ(wheel.poll_expired(at(1005ms)), &node);
    EXPECT_EQ(wheel.poll_expired(at(10s)), nullptr);
}

TEST(deadline_wheel, an_empty_wheel_may_sleep_for_years) {
    deadline_wheel wheel{at(0s)};
    deadline_wheel::node node;
    EXPECT_EQ(wheel.poll_expired(at(100h)), nullptr);
    wheel.set_at_latest(node, deadline::at(at(1s))); // long gone by
    EXPECT_EQ(wheel.poll_expired(at(100h) + 2 * deadline_wheel::tick), &node);
}

TEST(deadline_wheel, random_deadlines_are_kept) {
    testkit::seeded_random random;
    deadline_wheel wheel{at(0s)};
    std::deque<deadline_wheel::node> nodes(200);
    std::set<const deadline_wheel::node*> set;
    instant now = at(0s);
    for (int i = 0; i < 50'000; ++i) {
        auto& node = nodes[random.below(nodes.size())];
        switch (random.below(4)) {
        case 0:
        case 1:
            wheel.set_at_latest(node, deadline::at(now + 1ms * random.below(20'000)));
            set.insert(&node);
            break;
        case 2:
            wheel.cancel(node);
            set.erase(&node);
            break;
        default:
            now += 1ms * random.below(random.chance(1, 50) ? 30'000 : 20);
            while (auto* woken = wheel.poll_expired(now)) {
                ASSERT_LE(woken->due, now);
                ASSERT_EQ(set.erase(woken), 1U);
                // What is done about it may touch others of the same tick.
                auto& another = nodes[random.below(nodes.size())];
                wheel.cancel(another);
                set.erase(&another);
            }
            for (const auto* each : set) {
                ASSERT_GT(each->due + 2 * deadline_wheel::tick, now) << "forgotten";
            }
        }
    }
    for (auto& each : nodes) {
        wheel.cancel(each);
    }
}

} // namespace
} // namespace portico::relay
