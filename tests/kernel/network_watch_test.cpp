// Changes of addresses that are hard to see.

#include "portico/os/fd.hpp"
#include "portico/run/network_watch.hpp"

#include "private_network_test.hpp"

#include <boost/asio/io_context.hpp>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <gtest/gtest.h>
#include <string>
#include <sys/resource.h>
#include <unistd.h>

namespace portico::run {
namespace {

class network_watch_test : public private_network_test {
protected:
    static void limit_descriptors(rlim_t soft) {
        rlimit limit{};
        ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
        limit.rlim_cur = soft;
        ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
    }

    asio::io_context context_;
};

TEST_F(network_watch_test, what_cannot_be_looked_at_is_told_and_looked_at_again) {
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    int unseen = 0;
    int seen = 0;
    const auto watch = network_watch::open(
        context_.get_executor(),
        [&] {
            ++seen;
            context_.stop();
        },
        [&](const error& why) {
            ++unseen;
            EXPECT_EQ(why.code.value(), EMFILE);
            limit_descriptors(before.rlim_cur); // and no further event comes
        });
    ASSERT_TRUE(watch) << to_text(watch.error());
    testkit::must_run("ip addr add 127.0.8.8/32 dev lo");
    limit_descriptors(3); // what is open stays so
    context_.run();
    limit_descriptors(before.rlim_cur);
    EXPECT_EQ(unseen, 1);
    EXPECT_EQ(seen, 1);
}

TEST_F(network_watch_test, events_that_were_lost_hide_no_change) {
    int seen = 0;
    const auto watch = network_watch::open(context_.get_executor(), [&] {
        ++seen;
        context_.stop();
    });
    ASSERT_TRUE(watch) << to_text(watch.error());
    // More than the kernel keeps for who does not read; the last one is a change.
    std::string changes;
    for (int i = 0; i < 4000; ++i) {
        changes += "addr add 127.0.9.9/32 dev lo\naddr del 127.0.9.9/32 dev lo\n";
    }
    changes += "addr add 127.0.9.9/32 dev lo\n";
    std::array<char, 32> name{"/tmp/network_watch.XXXXXX"};
    const os::fd file{::mkstemp(name.data())};
    ASSERT_EQ(::write(file.raw(), changes.data(), changes.size()),
              static_cast<ssize_t>(changes.size()));
    testkit::must_run(std::string{"ip -batch "} + name.data());
    ::unlink(name.data());
    context_.run();
    EXPECT_EQ(seen, 1);
}

} // namespace
} // namespace portico::run
