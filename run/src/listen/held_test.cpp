// Starting again on sockets that are open already.

#include "portico/os/listening.hpp"
#include "portico/os/socket.hpp"
#include "portico/run/listen.hpp"
#include "serve/one_thread_test.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

namespace portico::run {
namespace {

using testing::SizeIs;

std::vector<plan::wish> wishes_of(std::initializer_list<std::string> texts) {
    std::vector<plan::wish> made;
    for (const auto& each : texts) {
        made.push_back({ip::parse_listen_address(each).value()});
    }
    return made;
}

class held_sockets : public testing::Test {
protected:
    listen_outcome listen(const std::vector<plan::wish>& wishes,
                          std::vector<held_socket> held = {}) {
        std::optional<listen_outcome> got;
        async_listen(context_.get_executor(), wishes, std::move(held), deadline::never(), {},
                     [&](listen_outcome outcome) { got = std::move(outcome); });
        context_.restart();
        context_.run();
        return std::move(got).value();
    }

    asio::io_context context_;
};

std::uint16_t port_of(const bound_socket& which) {
    return std::get<ip::endpoint>(which.at).port;
}

TEST_F(held_sockets, a_port_is_kept_and_nothing_is_opened) {
    const auto wishes = wishes_of({"127.0.0.1:0"});
    auto first = listen(wishes);
    ASSERT_FALSE(first.report.why) << first.report.text();
    const auto port = port_of(first.sockets->sockets()[0]);
    auto second = listen(wishes, first.sockets->share(wishes).value());
    ASSERT_FALSE(second.report.why) << second.report.text();
    ASSERT_THAT(second.sockets->sockets(), SizeIs(1));
    EXPECT_EQ(port_of(second.sockets->sockets()[0]), port);
    // It is the same socket: what waits in its queue is not lost with the first listener.
    const auto client = os::socket(first.sockets->sockets()[0].at, ip::transport::tcp).value();
    static_cast<void>(os::connect(client, first.sockets->sockets()[0].at));
    first.sockets.reset();
    bool got = false;
    second.sockets->async_accept([&](const result<accepted>& who) {
        got = who.has_value();
        second.sockets->close();
    });
    context_.restart();
    context_.run();
    EXPECT_TRUE(got);
}

TEST_F(held_sockets, what_the_plan_has_not_is_closed) {
    const auto wishes = wishes_of({"127.0.0.1:0", "127.0.0.2:0"});
    auto first = listen(wishes);
    ASSERT_FALSE(first.report.why) << first.report.text();
    const auto gone = first.sockets->sockets()[0].at;
    auto held = first.sockets->share(wishes).value();
    first.sockets.reset();
    auto second = listen(wishes_of({"127.0.0.2:0"}), std::move(held));
    ASSERT_THAT(second.sockets->sockets(), SizeIs(1));
    const auto again = os::socket(gone, ip::transport::tcp).value();
    EXPECT_TRUE(os::set_reuse_address(again, true));
    EXPECT_TRUE(os::bind(again, gone)) << "its port is free";
}

TEST_F(held_sockets, a_start_that_fails_leaves_them_as_they_are) {
    const auto directory =
        std::filesystem::temp_directory_path() / ("held_" + std::to_string(::getpid()));
    std::filesystem::create_directory(directory);
    const auto kept = "unix:" + (directory / "kept").string();
    auto wishes = wishes_of({kept});
    auto first = listen(wishes);
    ASSERT_FALSE(first.report.why) << first.report.text();
    auto worse = wishes_of({kept, "unix:" + (directory / "none" / "x").string(),
                            "unix:" + (directory / "new").string()});
    for (auto& each : worse) {
        each.needed = plan::need::required;
        each.unix_mode = 0600;
    }
    struct stat before {};
    ASSERT_EQ(::stat((directory / "kept").c_str(), &before), 0);
    const auto failed = listen(worse, first.sockets->share(wishes).value());
    EXPECT_TRUE(failed.report.why);
    struct stat after {};
    ASSERT_EQ(::stat((directory / "kept").c_str(), &after), 0) << "the file is the first one's";
    EXPECT_EQ(before.st_mode, after.st_mode);
    EXPECT_FALSE(std::filesystem::exists(directory / "new"));
    // And then one that does not; what it has planned comes when it is told to.
    auto good = wishes_of({kept});
    good.front().unix_mode = 0600;
    auto second = listen(good, first.sockets->share(wishes).value());
    ASSERT_EQ(::stat((directory / "kept").c_str(), &after), 0);
    EXPECT_EQ(before.st_mode, after.st_mode);
    second.sockets->settle();
    ASSERT_EQ(::stat((directory / "kept").c_str(), &after), 0);
    EXPECT_NE(before.st_mode, after.st_mode);
    EXPECT_EQ(after.st_mode & 0777U, 0600U);
    std::vector<os::file_identity> files{second.sockets->sockets()[0].file.value()};
    first.sockets->close(files);
    EXPECT_TRUE(std::filesystem::exists(directory / "kept"));
    second.sockets->close();
    EXPECT_FALSE(std::filesystem::exists(directory / "kept"));
    std::filesystem::remove_all(directory);
}

TEST_F(held_sockets, clones_go_with_them_and_are_accepted_from) {
    const auto wishes = wishes_of({"127.0.0.1:0"});
    auto first = listen(wishes);
    ASSERT_FALSE(first.report.why) << first.report.text();
    EXPECT_THAT(first.sockets->clone(4), SizeIs(0));
    EXPECT_THAT(first.sockets->sockets()[0].clones, SizeIs(3));
    EXPECT_THAT(first.sockets->clone(2), SizeIs(0)) << "there are enough";
    auto second = listen(wishes, first.sockets->share(wishes).value());
    first.sockets.reset();
    const auto& socket = second.sockets->sockets()[0];
    EXPECT_THAT(socket.clones, SizeIs(3));
    // The kernel spreads them over all four, so that most would be lost if one were left out.
    std::vector<os::fd> clients;
    int accepted_ones = 0;
    constexpr int wanted = 32;
    for (int i = 0; i < wanted; ++i) {
        clients.push_back(os::socket(socket.at, ip::transport::tcp).value());
        static_cast<void>(os::connect(clients.back(), socket.at));
    }
    std::function<void()> next = [&] {
        second.sockets->async_accept([&](const result<accepted>& who) {
            ASSERT_TRUE(who);
            if (++accepted_ones == wanted) {
                return second.sockets->close();
            }
            next();
        });
    };
    next();
    context_.restart();
    context_.run();
    EXPECT_EQ(accepted_ones, wanted);
}

TEST_F(held_sockets, who_is_ignored_asks_again_and_who_waits_is_let_in) {
    const auto wishes = wishes_of({"127.0.0.1:0"});
    auto open = listen(wishes);
    ASSERT_FALSE(open.report.why) << open.report.text();
    auto& sockets = *open.sockets;
    const auto at = sockets.sockets()[0].at;
    const auto before = os::socket(at, ip::transport::tcp).value();
    static_cast<void>(os::connect(before, at));
    sockets.ignore_new();
    EXPECT_TRUE(sockets.has_waiting());
    const auto after = os::socket(at, ip::transport::tcp).value();
    static_cast<void>(os::connect(after, at));
    sockets.async_accept([&](const result<accepted>& who) {
        EXPECT_TRUE(who);
        EXPECT_FALSE(sockets.has_waiting());
        sockets.close();
    });
    context_.restart();
    context_.run();
}

} // namespace
} // namespace portico::run
