#include "portico/run/admission.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <semaphore>
#include <thread>
#include <vector>

namespace portico::run {
namespace {

using room = admission::room;

admission_settings sharing(std::shared_ptr<descriptor_budget> with, std::size_t each = 1) {
    admission_settings made;
    made.descriptors = std::move(with);
    made.descriptors_each = each;
    return made;
}

TEST(admission, services_share_the_descriptors_and_each_finds_some) {
    const auto budget = std::make_shared<descriptor_budget>(8);
    int woken = 0;
    admission one{sharing(budget)};
    admission other{sharing(budget, 2)};
    const auto a = one.join([&] { ++woken; });
    const auto b = other.join([] {});
    int taken = 0;
    while (one.take_place(a) == room::taken) {
        ++taken;
    }
    EXPECT_EQ(taken, 6); // 2 of its own, and 4 of all
    EXPECT_EQ(one.times_short(), 1U);
    EXPECT_FALSE(one.has_room(a));
    EXPECT_EQ(one.times_short(), 2U);
    EXPECT_EQ(other.take_place(b), room::taken);
    EXPECT_EQ(other.take_place(b), room::wait);
    other.give_back(b);
    EXPECT_EQ(woken, 1);
    one.give_back(a); // what comes back is for who comes first
    one.give_back(a);
    EXPECT_EQ(other.take_place(b), room::taken);
    EXPECT_EQ(other.take_place(b), room::taken);
    EXPECT_EQ(one.take_place(a), room::wait);
}

TEST(admission, who_is_to_be_refused_does_not_wait_for_descriptors) {
    auto how = sharing(std::make_shared<descriptor_budget>(1));
    how.then = admit::when_full::refuse;
    admission door{how};
    const auto us = door.join([] {});
    EXPECT_EQ(door.take_place(us), room::taken);
    EXPECT_TRUE(door.has_room(us));
    EXPECT_EQ(door.take_place(us), room::refuse);
    door.give_back(us);
    EXPECT_EQ(door.take_place(us), room::taken);
}

TEST(admission, a_service_that_ends_leaves_its_descriptors_to_the_others) {
    const auto budget = std::make_shared<descriptor_budget>(2);
    admission stays{sharing(budget)};
    bool woken = false;
    const auto us = stays.join([&] { woken = true; });
    {
        admission ends{sharing(budget, 2)};
        EXPECT_EQ(ends.take_place(ends.join([] {})), room::taken);
        EXPECT_EQ(stays.take_place(us), room::wait);
    }
    EXPECT_TRUE(woken);
    EXPECT_EQ(stays.take_place(us), room::taken);
}

TEST(admission, the_limit_of_connections_counts_besides) {
    auto how = sharing(std::make_shared<descriptor_budget>(10));
    how.max_connections = 1;
    admission door{how};
    const auto us = door.join([] {});
    EXPECT_EQ(door.take_place(us), room::taken);
    EXPECT_EQ(door.take_place(us), room::wait);
    EXPECT_FALSE(door.has_room(us));
    EXPECT_EQ(door.times_short(), 0U);
}

TEST(admission, more_descriptors_wake_who_waits) {
    const auto budget = std::make_shared<descriptor_budget>(0);
    admission door{sharing(budget)};
    int woken = 0;
    const auto us = door.join([&] { ++woken; });
    EXPECT_EQ(door.take_place(us), room::wait);
    budget->set_left(1);
    EXPECT_EQ(woken, 1);
    EXPECT_EQ(door.take_place(us), room::taken);
    budget->set_left(0); // and the one that is taken
    EXPECT_EQ(budget->total(), 1U);
}

// Nobody waits for ever, and nobody has more than there is.
TEST(admission, threads_that_wait_are_woken) {
    constexpr std::size_t services = 3;
    constexpr std::size_t threads = 2; // of each
    constexpr int clients = 2000;      // of each thread
    constexpr std::size_t total = 4;
    const auto budget = std::make_shared<descriptor_budget>(total);
    std::atomic<std::size_t> open{0};
    std::atomic<bool> is_too_much{false};
    std::vector<std::unique_ptr<admission>> doors;
    for (std::size_t i = 0; i < services; ++i) {
        doors.push_back(std::make_unique<admission>(sharing(budget)));
    }
    std::vector<std::thread> all;
    for (std::size_t i = 0; i < services * threads; ++i) {
        all.emplace_back([&, i] {
            auto& door = *doors[i % services];
            std::counting_semaphore<1 << 20> woken{0};
            const auto us = door.join([&] { woken.release(); });
            for (int served = 0; served < clients;) {
                if (door.take_place(us) != room::taken) {
                    woken.acquire();
                    continue;
                }
                is_too_much = is_too_much || ++open > total;
                std::this_thread::yield();
                --open;
                door.give_back(us);
                ++served;
            }
            door.leave(us);
        });
    }
    for (auto& each : all) {
        each.join();
    }
    EXPECT_FALSE(is_too_much);
}

} // namespace
} // namespace portico::run
