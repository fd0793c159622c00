// The examples are run as a reader of them would run them, over both families.

#include "portico/testkit/process.hpp"
#include "private_network_test.hpp"

#include <filesystem>
#include <unistd.h>

namespace portico {
namespace {

using testkit::process;

const std::string examples_directory = PORTICO_EXAMPLES;

struct pair_of_examples {
    std::string server;
    std::string client;
};

// For the names of the tests.
void PrintTo(const pair_of_examples& which, std::ostream* out) {
    *out << which.server << " with " << which.client;
}

class examples : public private_network_test, public testing::WithParamInterface<pair_of_examples> {
protected:
    static std::string path(const std::string& name) {
        return examples_directory + "/example_" + name;
    }
};

TEST_P(examples, a_line_comes_back_over_both_families) {
    const auto& [server_name, client_name] = GetParam();
    if (::access(path(server_name).c_str(), X_OK) != 0) {
        GTEST_SKIP() << server_name << " was not built: its library is not installed";
    }
    process server{{path(server_name), ":0"}};
    const auto port = server.wait_for_out(R"(tcp 0\.0\.0\.0:(\d+): open)");
    ASSERT_TRUE(port) << server.err();
    ASSERT_TRUE(server.wait_for_out(R"(tcp \[::\]:)" + *port + ": open"));
    for (const std::string host : {"127.0.0.1", "::1", "localhost"}) {
        process client{{path(client_name), host, *port}};
        EXPECT_EQ(client.wait(), 0) << client.err();
        EXPECT_EQ(client.out(), "hello\n");
        EXPECT_NE(client.err().find("won"), std::string::npos) << client.err();
    }
}

TEST_P(examples, a_client_without_a_server_names_every_address) {
    process client{{path(GetParam().client), "localhost", "9"}};
    (void)client.wait();
    EXPECT_NE(client.err().find("[::1]:9"), std::string::npos) << client.err();
    EXPECT_NE(client.err().find("127.0.0.1:9"), std::string::npos) << client.err();
}

INSTANTIATE_TEST_SUITE_P(all, examples,
                         testing::Values(pair_of_examples{"modern_server", "modern_client"},
                                         pair_of_examples{"modern_server", "client_in_poll"},
                                         pair_of_examples{"server_in_libev", "modern_client"}),
                         [](const auto& each) {
                             return each.param.server + "_with_" + each.param.client;
                         });

TEST(example_sources, the_modern_ones_have_at_most_40_lines) {
    for (const char* const each : {"modern_server", "modern_client"}) {
        const auto lines = testkit::run_command(std::string{"wc -l < "} + PORTICO_SOURCES +
                                                "/examples/" + each + ".cpp");
        EXPECT_LE(std::stoi(lines.output), 40) << each;
    }
}

} // namespace
} // namespace portico
