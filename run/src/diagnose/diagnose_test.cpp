#include "portico/run/diagnose.hpp"

#include "portico/os/socket.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <unistd.h>

namespace portico::run {
namespace {

using diagnose::cause;

// A TCP socket of this process at any port of the loopback.
struct server {
    server() {
        const ip::endpoint any{ip::address::loopback(ip::family::v4), 0};
        socket = os::socket(any, ip::transport::tcp).value();
        EXPECT_TRUE(os::bind(socket, any) && os::listen(socket, 5));
        at = os::getsockname(socket.raw()).value();
    }
    os::fd socket;
    ip::any_endpoint at;
};

diagnose::diagnosis ask(diagnose::act what, const ip::any_endpoint& at) {
    diagnose::question asked;
    asked.what = what;
    asked.places = {at};
    return diagnose_here(asked);
}

error failed(operation op, const ip::any_endpoint& at, std::errc why) {
    return {std::make_error_code(why), op, side::system, at};
}

TEST(diagnose_here, says_who_has_a_port) {
    const server mine;
    const auto made = ask(diagnose::act::bind, mine.at);
    ASSERT_EQ(made.answer(), cause::in_use);
    EXPECT_NE(made.findings[0].sentence.find("pid " + std::to_string(::getpid())),
              std::string::npos);
    EXPECT_EQ(ask(diagnose::act::connect, mine.at).answer(), cause::none);
}

TEST(cause_of, is_one_sentence_for_an_errno_that_the_cause_gives) {
    const server mine;
    EXPECT_NE(
        cause_of(failed(operation::bind, mine.at, std::errc::address_in_use), ip::transport::tcp)
            .find(" listens at " + ip::to_text(mine.at)),
        std::string::npos);
    // Somebody has the port, but that is not why.
    const auto told = [&](std::errc other) {
        return cause_of(failed(operation::bind, mine.at, other), ip::transport::tcp);
    };
    EXPECT_EQ(told(std::errc::permission_denied), "");
    EXPECT_NE(told(std::errc::too_many_files_open).find("ulimit -n"), std::string::npos);
    EXPECT_EQ(
        cause_of(failed(operation::accept, mine.at, std::errc::address_in_use), ip::transport::tcp),
        ""); // neither bind nor connect
}

TEST(cause_of, of_a_connection_that_nobody_takes_says_so) {
    auto at = server{}.at; // and closes it
    EXPECT_NE(
        cause_of(failed(operation::connect, at, std::errc::connection_refused), ip::transport::tcp)
            .find("nobody listens"),
        std::string::npos);
    EXPECT_EQ(cause_of(failed(operation::connect, at, std::errc::timed_out), ip::transport::tcp),
              "");
}

TEST(diagnose_process, has_every_place_of_this_one) {
    const server one;
    const server two;
    const auto made = diagnose_process(::getpid());
    ASSERT_TRUE(made) << made.error().message();
    EXPECT_EQ(made->who.pid, ::getpid());
    ASSERT_EQ(made->sockets.size(), made->each.size());
    for (const auto& mine : {one.at, two.at}) {
        const auto found = std::find_if(made->sockets.begin(), made->sockets.end(),
                                        [&](const auto& each) { return each.local == mine; });
        ASSERT_NE(found, made->sockets.end());
        EXPECT_EQ(made->each[static_cast<std::size_t>(found - made->sockets.begin())].answer(),
                  cause::none);
    }
    EXPECT_EQ(diagnose_process(999'999'999).error(), std::errc::no_such_process);
}

} // namespace
} // namespace portico::run
