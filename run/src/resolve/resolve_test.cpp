#include "portico/run/resolve.hpp"

#include "portico/os/clock.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <optional>
#include <sys/wait.h>
#include <unistd.h>

namespace portico::run {
namespace {

using namespace std::chrono_literals;
using ip::family;
using answer = result<os::lookup_answer>;

// A program of the test's own in the place of portico-resolve. It writes its process number beside
// itself before it does anything else.
class script {
public:
    explicit script(const std::string& body) {
        std::string pattern = std::filesystem::temp_directory_path() / "portico-resolve-XXXXXX";
        directory_ = ::mkdtemp(pattern.data());
        std::ofstream{path()} << "#!/bin/sh\necho $$ > " << (directory_ / "pid").string() << '\n'
                              << body << '\n';
        std::filesystem::permissions(path(), std::filesystem::perms::owner_all);
    }
    script(const script&) = delete;
    script& operator=(const script&) = delete;
    ~script() { std::filesystem::remove_all(directory_); }

    [[nodiscard]] std::string path() const { return directory_ / "resolve"; }

    // Whether a process of it has been seen and is no more (or was killed before it could say so).
    [[nodiscard]] bool is_gone() const {
        pid_t pid = 0;
        std::ifstream{directory_ / "pid"} >> pid;
        return pid == 0 || (::kill(pid, 0) == -1 && errno == ESRCH);
    }

private:
    std::filesystem::path directory_;
};

std::optional<answer> resolve(resolve_request request) {
    std::optional<answer> got;
    asio::io_context context;
    async_resolve(context.get_executor(), std::move(request),
                  [&](answer a) { got = std::move(a); });
    EXPECT_FALSE(got) << "it completed within the call";
    context.run();
    return got;
}

TEST(resolve, a_literal_is_answered_later_and_without_a_process) {
    const auto got =
        resolve({{"192.0.2.1", family::v4}, deadline::never(), {"/nonexistent/program"}});
    ASSERT_TRUE(got && *got);
    EXPECT_EQ((*got)->addresses, std::vector{ip::address::v4(192, 0, 2, 1)});
}

TEST(resolve, localhost_is_both_loopbacks_without_a_process) {
    for (const auto which : {family::v4, family::v6}) {
        const auto got =
            resolve({{"localhost", which}, deadline::never(), {"/nonexistent/program"}});
        ASSERT_TRUE(got && *got);
        EXPECT_EQ((*got)->addresses, std::vector{ip::address::loopback(which)});
    }
}

TEST(resolve, a_name_is_answered_by_the_program) {
    // The inet_aton(3) form is no literal of ours, so the program is asked, and needs no network.
    const auto got = resolve({{"127.1", family::v4}});
    ASSERT_TRUE(got);
    ASSERT_TRUE(*got) << to_text(got->error());
    EXPECT_EQ((*got)->addresses, std::vector{ip::address::loopback(family::v4)});
}

TEST(resolve, works_with_a_future) {
    asio::io_context context;
    auto later = async_resolve(context.get_executor(), "127.1", family::v4, false,
                               deadline::never(), asio::use_future);
    context.run();
    EXPECT_TRUE(later.get());
}

TEST(resolve, a_program_that_cannot_be_started_is_an_error) {
    const auto got =
        resolve({{"example.org", family::v4}, deadline::never(), {"/nonexistent/program"}});
    ASSERT_TRUE(got && !*got);
    EXPECT_EQ(got->error().code, os::lookup_errc::program_unusable);
    EXPECT_EQ(got->error().op, operation::resolve);
}

TEST(resolve, an_answer_that_comes_in_pieces_is_read_whole) {
    const script slow{
        "printf 'portico-resolve 1\\naddr'; sleep 0.05; printf 'ess 192.0.2.7\\nend\\n'"};
    const auto got = resolve({{"x.test", family::v4}, deadline::never(), {slow.path()}});
    ASSERT_TRUE(got);
    ASSERT_TRUE(*got) << to_text(got->error());
    EXPECT_EQ((*got)->addresses, std::vector{ip::address::v4(192, 0, 2, 7)});
}

TEST(resolve, a_program_that_dies_or_talks_nonsense_is_an_error) {
    for (const auto* body : {"exit 1", "kill -9 $$", "echo hello", "exec yes"}) {
        const script odd{body};
        const auto got = resolve({{"x.test", family::v4}, deadline::never(), {odd.path()}});
        ASSERT_TRUE(got && !*got) << body;
        EXPECT_EQ(got->error().code, os::lookup_errc::bad_answer) << body;
        EXPECT_TRUE(odd.is_gone()) << body;
    }
}

TEST(resolve, the_deadline_kills_the_program) {
    const script mute{"exec sleep 600"};
    const auto got =
        resolve({{"x.test", family::v4}, deadline::after(os::now(), 100ms), {mute.path()}});
    ASSERT_TRUE(got && !*got);
    EXPECT_EQ(got->error().code, std::errc::timed_out);
    EXPECT_TRUE(mute.is_gone());
}

TEST(resolve, after_the_deadline_nothing_is_started) {
    const auto got =
        resolve({{"x.test", family::v4}, deadline::after(os::now(), 0ms), {"/nonexistent"}});
    ASSERT_TRUE(got && !*got);
    EXPECT_EQ(got->error().code, std::errc::timed_out);
}

TEST(resolve, cancelling_kills_the_program) {
    const script mute{"exec sleep 600"};
    std::optional<answer> got;
    asio::io_context context;
    asio::cancellation_signal stop;
    async_resolve(context.get_executor(),
                  resolve_request{{"x.test", family::v4}, deadline::never(), {mute.path()}},
                  asio::bind_cancellation_slot(stop.slot(), [&](answer a) { got = std::move(a); }));
    stop.emit(asio::cancellation_type::total);
    context.run();
    ASSERT_TRUE(got && !*got);
    EXPECT_EQ(got->error().code, std::errc::operation_canceled);
    EXPECT_TRUE(mute.is_gone());
}

TEST(resolve, the_end_of_the_context_kills_the_program_and_completes_nothing) {
    const script mute{"exec sleep 600"};
    bool completed = false;
    {
        asio::io_context context;
        async_resolve(context.get_executor(),
                      resolve_request{{"x.test", family::v4}, deadline::never(), {mute.path()}},
                      [&](const answer&) { completed = true; });
        context.poll();
    }
    EXPECT_FALSE(completed);
    EXPECT_TRUE(mute.is_gone());
}

std::optional<result<os::service_answer>> resolve_srv(resolve_srv_request request) {
    std::optional<result<os::service_answer>> got;
    asio::io_context context;
    async_resolve_srv(context.get_executor(), std::move(request),
                      [&](result<os::service_answer> a) { got = std::move(a); });
    EXPECT_FALSE(got) << "it completed within the call";
    context.run();
    return got;
}

TEST(resolve_srv, gives_what_the_program_found) {
    const script found{"printf 'portico-resolve 1\\nlifetime 7\\nservice 1 2 3 a.test\\nend\\n'"};
    const auto got = resolve_srv({"_x._tcp.test", deadline::never(), {found.path()}});
    ASSERT_TRUE(got);
    ASSERT_TRUE(*got) << to_text(got->error());
    EXPECT_EQ((*got)->records, (std::vector<os::service_record>{{1, 2, 3, "a.test"}}));
    EXPECT_EQ((*got)->lifetime, 7s);
}

TEST(resolve_srv, says_that_the_service_is_decidedly_not_there) {
    const script none{"printf 'portico-resolve 1\\nlifetime 7\\nservice 0 0 0 .\\nend\\n'"};
    const auto got = resolve_srv({"_x._tcp.test", deadline::never(), {none.path()}});
    ASSERT_TRUE(got && !*got);
    EXPECT_EQ(got->error().code, os::lookup_errc::no_service);
    EXPECT_EQ(got->error().who, side::peer);
}

TEST(resolve_srv, the_deadline_kills_the_program) {
    const script mute{"exec sleep 600"};
    const auto got =
        resolve_srv({"_x._tcp.test", deadline::after(os::now(), 100ms), {mute.path()}});
    ASSERT_TRUE(got && !*got);
    EXPECT_EQ(got->error().code, std::errc::timed_out);
    EXPECT_TRUE(mute.is_gone());
}

TEST(resolve, hundreds_at_once_leave_nothing_behind) {
    asio::io_context context;
    int found = 0;
    for (int i = 0; i < 200; ++i) {
        async_resolve(context.get_executor(), resolve_request{{"127.1", family::v4}},
                      [&](const answer& got) { found += got ? 1 : 0; });
    }
    context.run();
    EXPECT_EQ(found, 200);
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a child was left";
}

} // namespace
} // namespace portico::run
