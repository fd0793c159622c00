#include "portico/os/resolve.hpp"

#include "portico/os/socket.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <poll.h>
#include <sstream>
#include <sys/wait.h>
#include <unistd.h>

namespace portico::os {
namespace {

using ip::family;

// A program of the test's own in the place of portico-resolve.
class script {
public:
    explicit script(const std::string& body) {
        std::string pattern = std::filesystem::temp_directory_path() / "portico-lookup-XXXXXX";
        directory_ = ::mkdtemp(pattern.data());
        std::ofstream{path()} << "#!/bin/sh\n" << body << '\n';
        std::filesystem::permissions(path(), std::filesystem::perms::owner_all);
    }
    script(const script&) = delete;
    script& operator=(const script&) = delete;
    ~script() { std::filesystem::remove_all(directory_); }

    [[nodiscard]] std::string path() const { return directory_ / "resolve"; }

private:
    std::filesystem::path directory_;
};

std::string read_all(const lookup& from) {
    std::string all;
    for (;;) {
        pollfd ready{from.answer(), POLLIN, 0};
        ::poll(&ready, 1, -1);
        std::array<std::byte, 4096> part;
        const auto size = read(from.answer(), part);
        if (!size || *size == 0) {
            return all;
        }
        all.append(reinterpret_cast<const char*>(part.data()), *size);
    }
}

result<lookup_answer> look_up(const std::string& name, family which) {
    auto running = start_lookup({name, which});
    if (!running) {
        return tl::unexpected{running.error()};
    }
    return parse_lookup_answer(read_all(*running), which);
}

TEST(lookup, answers_through_its_pipe) {
    const auto v4 = look_up("192.0.2.1", family::v4);
    ASSERT_TRUE(v4) << to_text(v4.error());
    EXPECT_EQ(v4->addresses, std::vector{ip::address::v4(192, 0, 2, 1)});
    const auto v6 = look_up("2001:db8::1", family::v6);
    ASSERT_TRUE(v6) << to_text(v6.error());
    EXPECT_EQ(v6->addresses, std::vector{ip::parse_address("2001:db8::1").value()});
}

TEST(lookup, keeps_the_zone_of_an_address) {
    const auto got = look_up("fe80::1%lo", family::v6);
    ASSERT_TRUE(got) << to_text(got.error());
    EXPECT_EQ(got->addresses, std::vector{ip::parse_address("fe80::1%lo").value()});
}

TEST(lookup, of_the_other_family_finds_no_address) {
    const auto got = look_up("192.0.2.1", family::v6);
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code, errc::no_address);
}

TEST(lookup, refuses_what_cannot_be_a_name) {
    for (const auto& name : {std::string{}, std::string(1025, 'a'), std::string{"a\0b", 3}}) {
        const auto got = start_lookup({name, family::v4});
        ASSERT_FALSE(got);
        EXPECT_EQ(got.error().code, errc::name_not_found);
        EXPECT_EQ(got.error().who, side::caller);
    }
}

TEST(lookup, says_that_the_given_program_cannot_be_started) {
    const auto got = start_lookup({"example.org", family::v4}, {"/nonexistent/portico-resolve"});
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code, lookup_errc::program_unusable);
}

TEST(lookup, hands_the_question_over_as_arguments) {
    const script shows{"echo $# \"$1\" $2 $3"};
    auto running = start_lookup({"a name; with $x", family::v6, true}, {shows.path()});
    ASSERT_TRUE(running);
    EXPECT_EQ(read_all(*running), "3 a name; with $x 6 passive\n");
}

TEST(lookup, asks_for_services_with_one_word) {
    const script shows{"echo $# \"$1\" $2"};
    auto running = start_service_lookup("_x._tcp.a b", {shows.path()});
    ASSERT_TRUE(running);
    EXPECT_EQ(read_all(*running), "2 _x._tcp.a b srv\n");
    EXPECT_EQ(start_service_lookup("").error().code, errc::name_not_found);
}

TEST(lookup, passes_the_environment_on) {
    ::setenv("RES_OPTIONS", "timeout:7", 1);
    const script shows{"echo $RES_OPTIONS"};
    auto running = start_lookup({"x", family::v4}, {shows.path()});
    ::unsetenv("RES_OPTIONS");
    ASSERT_TRUE(running);
    EXPECT_EQ(read_all(*running), "timeout:7\n");
}

TEST(lookup, inherits_no_descriptor_but_its_own_three) {
    const fd open{::fcntl(STDERR_FILENO, F_DUPFD, 200)}; // not close-on-exec
    ASSERT_GE(open.raw(), 200);
    const script shows{"for f in 0 2 " + std::to_string(open.raw()) +
                       "; do readlink /proc/$$/fd/$f || echo closed; done"};
    auto running = start_lookup({"x", family::v4}, {shows.path()});
    ASSERT_TRUE(running);
    EXPECT_EQ(read_all(*running), "/dev/null\n/dev/null\nclosed\n");
}

TEST(lookup, starts_with_default_signals) {
    const auto before = std::signal(SIGPIPE, SIG_IGN);
    // By exec: a shell that starts a child blocks its own signals for a moment.
    const script shows{"exec sed -n -E 's/^Sig(Blk|Ign):.//p' /proc/self/status"};
    auto running = start_lookup({"x", family::v4}, {shows.path()});
    std::signal(SIGPIPE, before);
    ASSERT_TRUE(running);
    std::istringstream masks{read_all(*running)};
    std::uint64_t blocked = 1;
    std::uint64_t ignored = 1;
    masks >> std::hex >> blocked >> ignored;
    EXPECT_EQ(blocked, 0U);
    EXPECT_EQ(ignored & 0x7fffffffU, 0U); // signals 32 and 33 belong to the C library
}

TEST(lookup, stopping_it_kills_and_reaps_it) {
    const script sleeps{"exec sleep 600"};
    auto running = start_lookup({"x", family::v4}, {sleeps.path()});
    ASSERT_TRUE(running);
    const auto pid = running->pid();
    EXPECT_EQ(::kill(pid, 0), 0);
    running->stop();
    EXPECT_EQ(::kill(pid, 0), -1);
    EXPECT_EQ(errno, ESRCH);
}

TEST(lookup, its_end_and_being_assigned_over_kill_it_too) {
    const script sleeps{"exec sleep 600"};
    pid_t first = -1;
    pid_t second = -1;
    {
        auto running = start_lookup({"x", family::v4}, {sleeps.path()}).value();
        first = running.pid();
        running = start_lookup({"x", family::v4}, {sleeps.path()}).value();
        second = running.pid();
        EXPECT_EQ(::kill(first, 0), -1);
        EXPECT_EQ(::kill(second, 0), 0);
    }
    EXPECT_EQ(::kill(second, 0), -1);
}

TEST(lookup, leaves_other_children_to_whoever_started_them) {
    const pid_t other = ::fork();
    if (other == 0) {
        ::_exit(7);
    }
    const script sleeps{"exec sleep 600"};
    start_lookup({"x", family::v4}, {sleeps.path()}).value().stop();
    int status = 0;
    ASSERT_EQ(::waitpid(other, &status, 0), other);
    EXPECT_EQ(WEXITSTATUS(status), 7);
}

TEST(lookup, works_with_the_standard_descriptors_closed) {
    const pid_t child = ::fork();
    if (child == 0) {
        for (const int number : {0, 1, 2}) {
            ::close(number);
        }
        const auto got = look_up("192.0.2.1", family::v4);
        ::_exit(got && got->addresses.size() == 1 ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

TEST(lookup, the_program_refuses_wrong_arguments) {
    const auto beside = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    const auto program = (beside / "portico-resolve").string();
    EXPECT_EQ(WEXITSTATUS(std::system((program + " 2>/dev/null").c_str())), 100);
    EXPECT_EQ(WEXITSTATUS(std::system((program + " x 5 active 2>/dev/null").c_str())), 100);
}

} // namespace
} // namespace portico::os
