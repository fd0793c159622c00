// portico listen --to by one device or address only: when that is gone, nothing leaves at all.

#include "listening.hpp"

#include "portico/testkit/virtual_link.hpp"

#include <atomic>
#include <gmock/gmock.h>
#include <memory>
#include <optional>
#include <thread>

namespace portico {
namespace {

using testing::HasSubstr;
using testkit::run_command;

// An echo service in another network, which two ways lead to: a tunnel, and behind it, should it
// be gone, a cable.
class egress_command : public command_test {
protected:
    void SetUp() override {
        command_test::SetUp();
        if (IsSkipped()) {
            return;
        }
        peer_.emplace();
        dig_tunnel();
        testkit::must_run("ip link set va up");
        testkit::must_run("ip addr add 198.51.100.1/24 dev va");
        testkit::must_run("ip route add 192.0.2.0/24 dev va via 198.51.100.2 metric 1000 onlink");
        peer_->must_run("ip link set vb up");
        peer_->must_run("ip addr add 198.51.100.2/24 dev vb");
        peer_->must_run("ip addr add 192.0.2.2/32 dev vb");
        auto echo = peer_->prefix();
        echo.insert(echo.end(), {command, "listen", "192.0.2.2:7", "--echo", "-q"});
        echo_.emplace(echo);
        ASSERT_TRUE(echo_->wait_for_out("listening tcp (.*)\n"));
    }
    void TearDown() override {
        static_cast<void>(
            run_command("ip link del va")); // the network at its other end is gone only later
        command_test::TearDown();
    }
    void dig_tunnel() {
        testkit::link_options how;
        how.addresses_here = {"192.0.2.1/24"};
        how.addresses_there = {"192.0.2.2/24"};
        tunnel_ = std::make_unique<testkit::virtual_link>(*peer_, how);
    }

    std::optional<testkit::peer_network> peer_;
    std::unique_ptr<testkit::virtual_link> tunnel_;
    std::optional<process> echo_;
};

std::string echoed(const listening& server, const std::string& text) {
    return ask(connect_to(server.at("127.0.0.1")), text);
}

// Sends and gets back until that fails, and says how.
std::string echo_until_it_ends(const listening& server, std::atomic<int>& working) {
    const auto client = connect_to(server.at("127.0.0.1"));
    const std::string text(1000, 'x');
    bool is_first = true;
    for (;;) {
        if (!os::send(client.raw(), std::as_bytes(std::span{text}))) {
            return "ECONNRESET"; // its reset came before it could send
        }
        for (std::size_t got = 0; got < text.size();) {
            const auto part = take(client);
            if (part.empty() || part.starts_with("E")) {
                return part;
            }
            got += part.size();
        }
        if (std::exchange(is_first, false)) {
            ++working;
        }
    }
}

TEST_F(egress_command, a_tunnel_that_is_pulled_under_load_takes_everything_along) {
    listening bound{{"127.0.0.1:0", "--egress-device", "ta", "--to", "192.0.2.2:7"}};
    listening free{{"127.0.0.1:0", "--to", "192.0.2.2:7"}};
    constexpr std::size_t many = 12;
    std::atomic<int> working{0};
    std::array<std::string, many> ends;
    std::vector<std::jthread> load;
    for (auto& each : ends) {
        load.emplace_back([&] { each = echo_until_it_ends(bound, working); });
    }
    while (working < static_cast<int>(many)) {
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
    tunnel_.reset();
    load.clear(); // waits for all of them
    for (const auto& each : ends) {
        EXPECT_EQ(each, "ECONNRESET");
    }
    EXPECT_TRUE(bound->wait_for_err("the way out is gone"));
    // Whoever is not bound to it goes by the cable; who is, nowhere.
    EXPECT_EQ(echoed(free, "by cable"), "by cable");
    EXPECT_EQ(echoed(bound, "by cable"), "ECONNRESET");
    EXPECT_TRUE(bound->wait_for_err("Network is down"));

    dig_tunnel();
    EXPECT_TRUE(bound->wait_for_err("the way out is back"));
    EXPECT_EQ(echoed(bound, "again"), "again");
}

TEST_F(egress_command, a_device_that_is_switched_off_is_gone) {
    listening server{{"127.0.0.1:0", "--egress-device", "ta", "--to", "192.0.2.2:7"}};
    const auto client = connect_to(server.at("127.0.0.1"));
    put(client, "a");
    EXPECT_EQ(take(client), "a");
    testkit::must_run("ip link set ta down");
    EXPECT_EQ(take(client), "ECONNRESET");
    EXPECT_TRUE(server->wait_for_err("the device ta is down"));
    EXPECT_EQ(echoed(server, "b"), "ECONNRESET");
}

TEST_F(egress_command, an_address_that_is_taken_away_takes_its_connections_along) {
    testkit::must_run("ip addr add 192.0.2.3/24 dev ta");
    listening server{{"127.0.0.1:0", "--from", "192.0.2.3", "--to", "192.0.2.2:7"}};
    const auto client = connect_to(server.at("127.0.0.1"));
    put(client, "a");
    EXPECT_EQ(take(client), "a");
    EXPECT_THAT(run_command("ss -tnH dst 192.0.2.2").output, HasSubstr("192.0.2.3"));
    testkit::must_run("ip addr del 192.0.2.3/24 dev ta");
    EXPECT_EQ(take(client), "ECONNRESET");
    EXPECT_TRUE(server->wait_for_err("the address 192.0.2.3 is gone"));
    EXPECT_EQ(echoed(server, "b"), "ECONNRESET");
    testkit::must_run("ip addr add 192.0.2.3/24 dev ta");
    EXPECT_TRUE(server->wait_for_err("the way out is back"));
    EXPECT_EQ(echoed(server, "c"), "c");
}

TEST_F(egress_command, it_begins_without_its_way_out_and_waits_for_it) {
    tunnel_.reset();
    listening server{{"127.0.0.1:0", "--egress-device", "ta", "--to", "192.0.2.2:7"}};
    EXPECT_TRUE(server->wait_for_err("the device ta is gone"));
    EXPECT_EQ(echoed(server, "a"), "ECONNRESET");
    dig_tunnel();
    EXPECT_TRUE(server->wait_for_err("the way out is back"));
    EXPECT_EQ(echoed(server, "b"), "b");
}

TEST_F(egress_command, bad_addresses_are_explained) {
    const auto got = run_command(command + " listen :0 --to [::1]:7 --from nowhere");
    EXPECT_EQ(got.status, 100);
    EXPECT_THAT(got.output, HasSubstr("--from: 'nowhere'"));
}

} // namespace
} // namespace portico
