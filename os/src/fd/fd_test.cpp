#include "portico/os/fd.hpp"

#include <array>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace portico::os {
namespace {

bool is_open(int number) {
    return ::fcntl(number, F_GETFD) >= 0;
}

TEST(fd, closes_at_its_end_and_only_once) {
    int number = -1;
    {
        fd owner{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
        number = owner.raw();
        ASSERT_TRUE(is_open(number));
        const fd moved = std::move(owner);
        EXPECT_FALSE(owner); // NOLINT(bugprone-use-after-move): what moving leaves is the promise
        EXPECT_EQ(moved.raw(), number);
    }
    EXPECT_FALSE(is_open(number));
}

TEST(fd, a_released_descriptor_stays_open) {
    fd owner{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
    const int number = std::move(owner).release();
    EXPECT_TRUE(is_open(number));
    ::close(number);
}

TEST(fd, assignment_closes_what_was_held) {
    fd owner{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
    const int first = owner.raw();
    owner = fd{};
    EXPECT_FALSE(is_open(first));
}

TEST(fd, closed_standard_descriptors_become_dev_null_and_a_closed_stdout_takes_nothing) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::close(STDIN_FILENO);
        ::close(STDOUT_FILENO);
        ::close(STDERR_FILENO);
        keep_standard_descriptors();
        char byte = 0;
        const bool good = ::read(STDIN_FILENO, &byte, 1) == 0 &&
                          ::write(STDOUT_FILENO, &byte, 1) < 0 && errno == EBADF &&
                          ::write(STDERR_FILENO, &byte, 1) == 1 &&
                          ::open("/dev/null", O_RDONLY) > STDERR_FILENO;
        ::_exit(good ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

} // namespace
} // namespace portico::os
