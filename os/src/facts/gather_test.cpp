#include "portico/os/facts.hpp"
#include "portico/os/socket.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <unistd.h>

namespace portico::os {
namespace {

// A directory that goes away with the test.
class made_up_files : public ::testing::Test {
protected:
    void SetUp() override {
        std::string pattern = (std::filesystem::temp_directory_path() / "facts-XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        root_ = pattern;
    }
    void TearDown() override { std::filesystem::remove_all(root_); }

    void write(const std::string& path, const std::string& text) {
        std::filesystem::create_directories((root_ / path).parent_path());
        std::ofstream{root_ / path} << text;
    }
    [[nodiscard]] gathered_facts gathered() const {
        auto made = gather_facts({}, {root_.string() + "/proc", root_.string() + "/services"});
        EXPECT_TRUE(made);
        return made ? *made : gathered_facts{};
    }

    std::filesystem::path root_;
};
using facts = made_up_files;

TEST_F(facts, are_read_from_the_sysctls) {
    write("proc/sys/net/core/somaxconn", "321\n");
    write("proc/sys/net/ipv4/ip_unprivileged_port_start", "80\n");
    write("proc/sys/net/ipv6/conf/all/disable_ipv6", "1\n");
    write("services", "odd 7077/tcp\n");
    const auto made = gathered();
    EXPECT_EQ(made.known.max_backlog, 321);
    EXPECT_EQ(made.known.first_unprivileged_port, 80);
    EXPECT_EQ(made.known.v6_disabled, made.known.has_v6);
    EXPECT_EQ(made.known.services.port("odd", ip::transport::tcp), 7077);
    EXPECT_TRUE(made.unknown.empty());
}

TEST_F(facts, survive_without_proc_and_services_and_say_so) {
    const plan::facts defaults;
    const auto made = gathered();
    EXPECT_EQ(made.known.max_backlog, defaults.max_backlog);
    EXPECT_EQ(made.known.first_unprivileged_port, defaults.first_unprivileged_port);
    EXPECT_EQ(made.known.v6_disabled, defaults.v6_disabled);
    EXPECT_EQ(made.known.services.port("http", ip::transport::tcp), 80);
    EXPECT_EQ(made.unknown.size(), made.known.has_v6 ? 3U : 2U);
}

TEST_F(facts, do_not_believe_a_sysctl_that_is_no_number) {
    write("proc/sys/net/core/somaxconn", "lots\n");
    const auto made = gathered();
    EXPECT_EQ(made.known.max_backlog, plan::facts{}.max_backlog);
    EXPECT_TRUE(std::any_of(made.unknown.begin(), made.unknown.end(), [](const auto& each) {
        return each.ends_with("somaxconn: it is not a number");
    }));
}

TEST(real_facts, have_the_loopback_interface_and_families) {
    const auto made = gather_facts({});
    ASSERT_TRUE(made);
    EXPECT_TRUE(made->known.has_v4 || made->known.has_v6);
    EXPECT_EQ(std::count(made->known.interfaces.begin(), made->known.interfaces.end(), "lo"), 1);
    for (const auto& each : made->known.addresses) {
        EXPECT_EQ(each.interface, interface_name(each.index));
    }
}

TEST(real_facts, have_the_inherited_sockets_or_their_error) {
    const auto wrong = gather_facts({"many", std::to_string(::getpid()), {}});
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().what, "LISTEN_FDS=many: it is not a number of sockets");
}

} // namespace
} // namespace portico::os
