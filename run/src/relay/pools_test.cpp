#include "relay/pools.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace portico::run {
namespace {

constexpr std::size_t least = 64 << 10;
constexpr std::size_t most = 100;

std::vector<std::unique_ptr<splice_pipe>> borrow_all(pipe_pool& pool) {
    std::vector<std::unique_ptr<splice_pipe>> all;
    while (auto given = pool.borrow()) {
        all.push_back(std::move(given));
    }
    return all;
}

TEST(pipe_pool, lends_no_more_than_it_may_and_what_came_back_again) {
    pipe_pool pool{2};
    auto all = borrow_all(pool);
    ASSERT_EQ(all.size(), 2U);
    const int first = all[0]->in.raw();
    pool.give_back(std::move(all[0]), true);
    all[0] = pool.borrow();
    ASSERT_NE(all[0], nullptr);
    EXPECT_EQ(all[0]->in.raw(), first);
    pool.give_back(std::move(all[1]), false); // what is in it is nobody's
    EXPECT_NE(pool.borrow(), nullptr);
}

// In a child: what is left of the pages of a user that has no privileges.
int lent_to_nobody() {
    if (::getuid() == 0 && ::setuid(65534) != 0) {
        return 2;
    }
    pipe_pool pool{most};
    const auto all = borrow_all(pool);
    for (const auto& each : all) {
        if (each->capacity < least) {
            return 1;
        }
    }
    return all.size() < most ? 0 : 3;
}

TEST(pipe_pool, a_user_who_has_used_up_the_pages_for_pipes_gets_none_that_is_too_small) {
    std::size_t pages = 0;
    std::ifstream{"/proc/sys/fs/pipe-user-pages-soft"} >> pages;
    if (pages == 0 || pages > most * 256) {
        GTEST_SKIP() << "SKIPPED: this system limits nobody's pipes (fs.pipe-user-pages-soft)";
    }
    const pid_t child = ::fork();
    if (child == 0) {
        ::_exit(lent_to_nobody());
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    if (WEXITSTATUS(status) == 2) {
        GTEST_SKIP() << "SKIPPED: no other user can be become here";
    }
    EXPECT_EQ(WEXITSTATUS(status), 0) << "1: one is too small, 3: there was no end of them";
}

} // namespace
} // namespace portico::run
