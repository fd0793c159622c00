// That the kernel counts what a full queue costs, in a network where nobody else is counted.

#include "portico/os/counters.hpp"
#include "portico/os/queue.hpp"
#include "private_network_test.hpp"

#include <vector>

namespace portico {
namespace {

using counters_kernel = private_network_test;

const ip::endpoint loopback{ip::address::loopback(ip::family::v4), 0};

os::fd socket_for_tcp() {
    auto made = os::socket(loopback, ip::transport::tcp);
    EXPECT_TRUE(made);
    return std::move(*made);
}

// Reads until `holds`; the kernel may count a little later than the call returns.
template <class Holds>
os::tcp_counters counted_since(const os::tcp_counters& before, Holds holds) {
    for (;;) {
        const auto now = os::read_tcp_counters();
        if (!now) {
            ADD_FAILURE() << now.error().message();
            return {};
        }
        const auto since = os::difference(before, *now);
        if (holds(since)) {
            return since;
        }
    }
}

TEST_F(counters_kernel, a_full_queue_is_an_overflow_and_a_drop_and_no_reset) {
    const auto listening = socket_for_tcp();
    ASSERT_TRUE(os::bind(listening, loopback) && os::listen(listening, 1));
    const auto name = os::getsockname(listening.raw()).value();
    const auto before = os::read_tcp_counters();
    ASSERT_TRUE(before) << before.error().message();

    std::vector<os::fd> clients;
    for (int i = 0; i < 3; ++i) { // one more than the limit can wait, and one too many
        clients.push_back(socket_for_tcp());
        static_cast<void>(os::connect(clients.back(), name));
        if (i < 2) {
            while (os::accept_queue_of(listening.raw()).value().waiting < clients.size()) {
            }
        }
    }
    const auto since =
        counted_since(*before, [](const auto& each) { return each.listen_drops != 0U; });
    EXPECT_GE(since.listen_overflows, 1U);
    EXPECT_EQ(since.listen_drops, since.listen_overflows);
    EXPECT_EQ(since.resets_sent, 0U);
    EXPECT_EQ(os::accept_queue_of(listening.raw()).value(), (os::accept_queue{2, 1}));
}

TEST_F(counters_kernel, who_waits_when_the_socket_is_closed_is_a_reset) {
    auto listening = socket_for_tcp();
    ASSERT_TRUE(os::bind(listening, loopback) && os::listen(listening, 5));
    const auto client = socket_for_tcp();
    static_cast<void>(os::connect(client, os::getsockname(listening.raw()).value()));
    while (os::accept_queue_of(listening.raw()).value().waiting < 1) {
    }
    const auto before = os::read_tcp_counters();
    ASSERT_TRUE(before) << before.error().message();
    listening.reset();
    const auto since =
        counted_since(*before, [](const auto& each) { return each.resets_sent != 0U; });
    EXPECT_EQ(since, (os::tcp_counters{0, 0, 0, 1, 0, 0, 0}));
}

} // namespace
} // namespace portico
