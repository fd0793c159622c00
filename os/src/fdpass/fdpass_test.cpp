#include "portico/os/fdpass.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <string>
#include <string_view>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace portico::os {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span{text});
}

struct pair_of_sockets {
    fd here;
    fd there;
};

pair_of_sockets joined() {
    auto made = passing_pair();
    EXPECT_TRUE(made);
    return {std::move(made->first), std::move(made->second)};
}

// Which file a descriptor is of, whatever its number.
std::pair<dev_t, ino_t> file_of(int number) {
    struct stat facts {};
    EXPECT_EQ(::fstat(number, &facts), 0);
    return {facts.st_dev, facts.st_ino};
}

// How many descriptors this process has open.
std::size_t open_here() {
    std::size_t count = 0;
    DIR* all = ::opendir("/proc/self/fd");
    while (::readdir(all) != nullptr) {
        ++count;
    }
    ::closedir(all);
    return count;
}

std::vector<int> numbers_of(const std::vector<fd>& all) {
    std::vector<int> numbers;
    for (const auto& each : all) {
        numbers.push_back(each.raw());
    }
    return numbers;
}

std::vector<fd> some_files(std::size_t count) {
    std::vector<fd> made;
    for (std::size_t i = 0; i < count; ++i) {
        made.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        EXPECT_TRUE(made.back());
    }
    return made;
}

std::array<std::byte, 64> buffer{};

std::string text_in_buffer(std::size_t size) {
    std::string text(size, '\0');
    std::memcpy(text.data(), buffer.data(), size);
    return text;
}

// Runs `act` in a process of its own; true when it returned true.
template <class Act>
bool apart(Act act) {
    const pid_t child = ::fork();
    if (child == 0) {
        const bool good = act();
        ::_exit(good && !testing::Test::HasFailure() ? 0 : 1);
    }
    int status = -1;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return status == 0;
}

TEST(fdpass, bytes_and_descriptors_arrive_together_and_in_order) {
    const auto [here, there] = joined();
    std::array<int, 2> pipe{};
    ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
    const fd out{pipe[0]};
    const fd in{pipe[1]};

    EXPECT_EQ(send_descriptors(here.raw(), bytes_of("two"), std::array{in.raw(), out.raw()}), 3U);
    EXPECT_EQ(send_descriptors(here.raw(), bytes_of("none"), {}), 4U);
    const auto two = receive_descriptors(there.raw(), buffer, 8);
    ASSERT_TRUE(two);
    EXPECT_EQ(text_in_buffer(two->size), "two");
    ASSERT_EQ(two->descriptors.size(), 2U);
    EXPECT_EQ(two->surplus, 0U);
    EXPECT_EQ(file_of(two->descriptors[0].raw()), file_of(in.raw()));
    EXPECT_NE(::fcntl(two->descriptors[0].raw(), F_GETFD) & FD_CLOEXEC, 0);
    ASSERT_EQ(::write(two->descriptors[0].raw(), "x", 1), 1);
    char read = 0;
    EXPECT_EQ(::read(two->descriptors[1].raw(), &read, 1), 1);

    const auto none = receive_descriptors(there.raw(), buffer, 8);
    ASSERT_TRUE(none);
    EXPECT_EQ(text_in_buffer(none->size), "none");
    EXPECT_TRUE(none->descriptors.empty());
}

TEST(fdpass, another_process_listens_on_with_what_it_was_given) {
    const auto [here, there] = joined();
    const ip::endpoint loopback{ip::address::loopback(ip::family::v4), 0};
    const auto listening = os::socket(loopback, ip::transport::tcp);
    ASSERT_TRUE(listening && os::bind(*listening, loopback) && os::listen(*listening, 5));
    const auto name = os::getsockname(listening->raw());
    const auto client = os::socket(loopback, ip::transport::tcp);
    static_cast<void>(os::connect(*client, *name));
    EXPECT_TRUE(send_descriptors(here.raw(), bytes_of("x"), std::array{listening->raw()}));
    const int number = listening->raw();
    EXPECT_TRUE(apart([&, &there = there] {
        ::close(number);
        const auto got = receive_descriptors(there.raw(), buffer, 1);
        return got && got->descriptors.size() == 1 &&
               os::getsockname(got->descriptors[0].raw()) == *name &&
               os::accept4(got->descriptors[0].raw()).has_value();
    }));
}

TEST(fdpass, as_many_as_the_kernel_takes_in_one_message_and_no_more) {
    const auto [here, there] = joined();
    const auto files = some_files(most_passed + 1);
    const auto numbers = numbers_of(files);
    const auto one_too_many = send_descriptors(here.raw(), bytes_of("x"), numbers);
    EXPECT_EQ(one_too_many.error().value(), EINVAL);
    ASSERT_TRUE(send_descriptors(here.raw(), bytes_of("x"), std::span{numbers}.first(most_passed)));
    const auto got = receive_descriptors(there.raw(), buffer, SIZE_MAX);
    ASSERT_TRUE(got);
    EXPECT_EQ(got->descriptors.size(), most_passed);
}

TEST(fdpass, a_message_without_bytes_would_be_the_end) {
    const auto [here, there] = joined();
    EXPECT_EQ(send_descriptors(here.raw(), {}, std::array{0}).error().value(), EINVAL);
    EXPECT_EQ(receive_descriptors(there.raw(), buffer, 1).error().value(), EAGAIN);
}

TEST(fdpass, a_descriptor_that_is_not_open_is_told) {
    const auto [here, there] = joined();
    EXPECT_EQ(send_descriptors(here.raw(), bytes_of("x"), std::array{0, -1}).error().value(),
              EBADF);
}

TEST(fdpass, the_end_of_the_connection_is_an_empty_message_and_then_nobody_is_there) {
    auto [here, there] = joined();
    ASSERT_TRUE(send_descriptors(here.raw(), bytes_of("last"), std::array{0}));
    here.reset();
    EXPECT_EQ(receive_descriptors(there.raw(), buffer, 1)->descriptors.size(), 1U);
    const auto end = receive_descriptors(there.raw(), buffer, 1);
    ASSERT_TRUE(end);
    EXPECT_EQ(end->size, 0U);
    EXPECT_EQ(send_descriptors(there.raw(), bytes_of("x"), {}).error().value(), EPIPE);
}

TEST(fdpass, a_receiver_that_does_not_read_is_told_as_eagain) {
    const auto [here, there] = joined();
    sys_result<std::size_t> sent = 1U;
    std::size_t count = 0;
    while ((sent = send_descriptors(here.raw(), bytes_of("x"), std::array{0}))) {
        ++count;
    }
    EXPECT_EQ(sent.error().value(), EAGAIN);
    for (; count > 0; --count) {
        ASSERT_TRUE(receive_descriptors(there.raw(), buffer, 1));
    }
    EXPECT_TRUE(send_descriptors(here.raw(), bytes_of("x"), std::array{0}));
}

TEST(fdpass, more_descriptors_than_were_asked_for_are_counted_and_closed) {
    const auto [here, there] = joined();
    const auto files = some_files(5);
    const auto before = open_here();
    ASSERT_TRUE(send_descriptors(here.raw(), bytes_of("x"), numbers_of(files)));
    {
        const auto got = receive_descriptors(there.raw(), buffer, 2);
        ASSERT_TRUE(got);
        EXPECT_EQ(got->descriptors.size(), 2U);
        EXPECT_EQ(got->surplus, 3U);
        EXPECT_EQ(open_here(), before + 2);
    }
    EXPECT_EQ(open_here(), before);
}

TEST(fdpass, bytes_that_do_not_fit_are_an_error_that_leaks_nothing) {
    const auto [here, there] = joined();
    const auto files = some_files(5);
    const auto before = open_here();
    ASSERT_TRUE(send_descriptors(here.raw(), bytes_of("too long"), numbers_of(files)));
    ASSERT_TRUE(send_descriptors(here.raw(), bytes_of("next"), {}));
    const auto small = std::span{buffer}.first(3);
    EXPECT_EQ(receive_descriptors(there.raw(), small, 5).error().value(), EMSGSIZE);
    EXPECT_EQ(open_here(), before);
    EXPECT_EQ(receive_descriptors(there.raw(), buffer, 5)->size, 4U);
}

TEST(fdpass, too_few_free_descriptors_are_an_error_that_leaks_nothing) {
    const auto [here, there] = joined();
    ASSERT_TRUE(send_descriptors(here.raw(), bytes_of("x"), numbers_of(some_files(5))));
    EXPECT_TRUE(apart([there = there.raw()] {
        const int lowest = ::dup(0); // all below are taken
        const auto some_left = static_cast<rlim_t>(lowest) + 3;
        const rlimit few{some_left, some_left};
        ::close(lowest);
        if (::setrlimit(RLIMIT_NOFILE, &few) != 0) {
            return false;
        }
        const auto got = receive_descriptors(there, buffer, 5);
        EXPECT_FALSE(got);
        EXPECT_EQ(got.error().value(), EMFILE);
        return ::dup(0) == lowest;
    }));
}

TEST(fdpass, credentials_in_the_same_message_are_in_nobodys_way) {
    const auto [here, there] = joined();
    const int on = 1;
    ASSERT_EQ(::setsockopt(there.raw(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on), 0);
    const auto files = some_files(most_passed);
    ASSERT_TRUE(send_descriptors(here.raw(), bytes_of("x"), numbers_of(files)));
    EXPECT_EQ(receive_descriptors(there.raw(), buffer, most_passed)->descriptors.size(),
              most_passed);
}

TEST(fdpass, a_socket_with_a_name_is_connected_to) {
    const auto at = ip::unix_name::abstract("portico-fdpass-" + std::to_string(::getpid()));
    ASSERT_TRUE(at);
    const auto listening = passing_socket();
    ASSERT_TRUE(listening && os::bind(*listening, *at) && os::listen(*listening, 1));
    const auto here = passing_socket();
    ASSERT_TRUE(here && os::connect(*here, *at));
    const auto there = os::accept4(listening->raw());
    ASSERT_TRUE(there);
    ASSERT_TRUE(send_descriptors(here->raw(), bytes_of("x"), std::array{0}));
    const auto got = receive_descriptors(there->socket.raw(), buffer, 1);
    ASSERT_TRUE(got);
    EXPECT_EQ(got->descriptors.size(), 1U);
}

TEST(fdpass, what_is_no_socket_is_told) {
    EXPECT_EQ(send_descriptors(-1, bytes_of("x"), {}).error().value(), EBADF);
    EXPECT_EQ(receive_descriptors(-1, buffer, 1).error().value(), EBADF);
}

} // namespace
} // namespace portico::os
