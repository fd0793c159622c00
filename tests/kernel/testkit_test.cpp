// The testkit's own promises about private networks.

#include "portico/testkit/private_network.hpp"
#include "private_network_test.hpp"

#include <fstream>
#include <sstream>

namespace portico {
namespace {

using private_network = private_network_test;

TEST_F(private_network, has_only_a_loopback) {
    const auto links = testkit::run_command("ip -o link | wc -l");
    EXPECT_TRUE(links.ok());
    // Some kernels make fallback tunnel devices in each namespace; none is up.
    EXPECT_EQ(testkit::run_command("ip -o link show up | grep -vc ': lo:'").output, "0\n");
}

TEST_F(private_network, replaces_a_file_for_this_program_alone) {
    testkit::replace_file("/etc/hosts", "192.0.2.1 somewhere\n");
    EXPECT_EQ(testkit::run_command("getent hosts somewhere | cut -d' ' -f1").output, "192.0.2.1\n");
}

TEST_F(private_network, reaches_a_peer_over_the_cable) {
    const testkit::peer_network peer;
    testkit::must_run("ip addr add 2001:db8::1/64 dev va nodad");
    peer.must_run("ip addr add 2001:db8::2/64 dev vb nodad");
    testkit::must_run("ip route get 2001:db8::2");
    EXPECT_NE(testkit::run_command("ip -br link show va").output.find("UP"), std::string::npos);
    EXPECT_THROW(peer.must_run("ip link show va"), std::runtime_error);
}

TEST_F(private_network, a_failing_command_says_which_and_why) {
    try {
        testkit::must_run("ip link show no-such-device");
        FAIL();
    } catch (const std::runtime_error& why) {
        EXPECT_NE(std::string{why.what()}.find("no-such-device"), std::string::npos);
    }
}

} // namespace
} // namespace portico
