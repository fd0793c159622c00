#include "portico/diagnose/proc_text.hpp"

#include <gtest/gtest.h>

namespace portico::diagnose {
namespace {

process of_groups(std::string_view text) {
    process made;
    read_cgroups(text, made);
    return made;
}

TEST(read_stat, finds_the_state_behind_a_name_with_brackets) {
    process made;
    read_stat("42 (a) b (c) S 1 42 42 0", made);
    EXPECT_EQ(made.name, "a) b (c");
    EXPECT_EQ(made.state, 'S');
    process other;
    read_stat("42 (nonsense", other);
    EXPECT_EQ(other.name, "");
    EXPECT_EQ(other.state, '?');
}

TEST(command_of, has_spaces_between_words_and_nothing_that_a_terminal_obeys) {
    using namespace std::string_view_literals;
    EXPECT_EQ(command_of("sh\0-c\0echo \033[1m\0"sv), "sh -c echo ?[1m");
    EXPECT_EQ(command_of(""), "");
    EXPECT_EQ(command_of(std::string(1000, 'x')).size(), 512U);
}

TEST(read_cgroups, knows_units_and_containers) {
    constexpr std::string_view id =
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    EXPECT_EQ(of_groups("0::/system.slice/nginx.service\n").unit, "nginx.service");
    EXPECT_EQ(of_groups("9:cpu:/x.service\n1:name=systemd:/system.slice/a.socket\n").unit,
              "a.socket");
    const auto docker = of_groups("0::/system.slice/docker-" + std::string{id} + ".scope\n");
    EXPECT_EQ(docker.container, "docker 0123456789ab");
    EXPECT_EQ(of_groups("4:memory:/docker/" + std::string{id}).container, "docker 0123456789ab");
    EXPECT_EQ(of_groups("0::/machine.slice/libpod-" + std::string{id} + ".scope").container,
              "podman 0123456789ab");
    EXPECT_EQ(of_groups("0::/kubepods/burstable/pod7/" + std::string{id}).container,
              "kubernetes 0123456789ab");
    EXPECT_EQ(of_groups("0::/lxc.payload.web/init.scope").container, "lxc web");
    EXPECT_EQ(of_groups("0::/\n").container, "");
    EXPECT_FALSE(of_groups("0::/system.slice/nginx.service\n").of_user);
    const auto own = of_groups("0::/user.slice/user-5.slice/user@5.service/app.slice/web.service");
    EXPECT_EQ(own.unit, "web.service");
    EXPECT_TRUE(own.of_user);
    EXPECT_FALSE(of_groups("0::/user.slice/user-5.slice/user@5.service").of_user);
    EXPECT_EQ(of_groups("0::/docker-me.scope\n").container, "");
}

TEST(effective_uid, is_the_second_of_its_line) {
    EXPECT_EQ(effective_uid("Name:\tx\nUid:\t1000\t0\t0\t0\n"), 0U);
    EXPECT_EQ(effective_uid("Uid:\t5\n"), std::nullopt);
    EXPECT_EQ(effective_uid(""), std::nullopt);
}

TEST(descriptor_limit, is_the_soft_one) {
    EXPECT_EQ(descriptor_limit("Max open files            1024                 4096   files\n"),
              1024U);
    EXPECT_EQ(descriptor_limit("Max open files            unlimited   unlimited   files\n"),
              std::nullopt);
}

TEST(parse_port_range, and_list_stop_at_a_mistake) {
    EXPECT_EQ(parse_port_range("32768\t60999"), (port_range{32768, 60999}));
    EXPECT_EQ(parse_port_range("1"), std::nullopt);
    EXPECT_EQ(parse_port_range("70000 1"), std::nullopt);
    EXPECT_EQ(parse_port_list("8080,9000-9010"),
              (std::vector<port_range>{{8080, 8080}, {9000, 9010}}));
    EXPECT_EQ(parse_port_list("8080,x,9"), (std::vector<port_range>{{8080, 8080}}));
    EXPECT_TRUE(parse_port_list("").empty());
}

TEST(addresses_in_hosts, are_those_of_the_name_each_once) {
    const auto of = [](std::string_view text) {
        std::string all;
        for (const auto& each : addresses_in_hosts(text, "localhost")) {
            all += ip::to_text(each) + " ";
        }
        return all;
    };
    EXPECT_EQ(of("127.0.0.1\tLocalHost me\n::1 ip6-localhost localhost\n127.0.0.1 localhost"),
              "127.0.0.1 ::1 ");
    EXPECT_EQ(of("127.0.0.1 localhost.localdomain\n# ::1 localhost\nlocalhost x\n"), "");
    EXPECT_EQ(of("  192.0.2.1 # localhost\n192.0.2.2 a b localhost # c\r\n\n"), "192.0.2.2 ");
}

} // namespace
} // namespace portico::diagnose
