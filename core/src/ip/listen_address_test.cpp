#include "portico/ip/listen_address.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace portico::ip {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

listen_address parsed(std::string_view text) {
    const auto made = parse_listen_address(text);
    EXPECT_TRUE(made) << text << ": " << (made ? "" : made.error().what);
    return made.value_or(listen_address{});
}

template <class T>
T where(std::string_view text) {
    const auto made = parsed(text);
    const auto* held = std::get_if<T>(&made.where);
    EXPECT_NE(held, nullptr) << text;
    return held != nullptr ? *held : T{};
}

std::uint16_t number(std::string_view text) {
    const auto made = parsed(text);
    const auto* held = std::get_if<std::uint16_t>(&made.port.value);
    EXPECT_NE(held, nullptr) << text;
    return held != nullptr ? *held : std::uint16_t{0};
}

TEST(listen_address, no_address_and_a_star_are_all_addresses_of_both_families) {
    where<every_address>(":80");
    where<every_address>("*:80");
    EXPECT_EQ(number(":80"), 80);
    EXPECT_EQ(parsed(":80"), parsed("*:80"));
    EXPECT_EQ(to_text(parsed("*:80")), ":80");
}

TEST(listen_address, the_unspecified_address_of_a_family_is_that_family_only) {
    EXPECT_EQ(where<address>("0.0.0.0:80"), address::any(family::v4));
    EXPECT_EQ(where<address>("[::]:80"), address::any(family::v6));
    EXPECT_NE(parsed("[::]:80"), parsed(":80"));
    EXPECT_NE(parsed("0.0.0.0:80"), parsed(":80"));
    EXPECT_EQ(to_text(parsed("[0:0::0]:80")), "[::]:80");
}

TEST(listen_address, localhost_is_a_name_like_others) {
    EXPECT_EQ(where<host_name>("localhost:80").name, "localhost");
    EXPECT_EQ(where<host_name>("example.org:80").name, "example.org");
    EXPECT_EQ(where<host_name>("example.org.:80").name, "example.org.");
    EXPECT_EQ(where<host_name>("my_app:80").name, "my_app");
    EXPECT_EQ(where<host_name>("3com.example:80").name, "3com.example");
    EXPECT_EQ(where<host_name>("1.2.3.4.example:80").name, "1.2.3.4.example");
    EXPECT_EQ(where<host_name>("fd.:80").name, "fd.");
    EXPECT_EQ(where<host_name>("a:0").name, "a");
    const std::string longest(63, 'a');
    EXPECT_EQ(where<host_name>(longest + ".org:1").name, longest + ".org");
}

TEST(listen_address, an_address_is_read_as_an_endpoint_is) {
    EXPECT_EQ(to_text(parsed("1.2.3.4:80")), "1.2.3.4:80");
    EXPECT_EQ(to_text(parsed("[2001:DB8:0::1]:80")), "[2001:db8::1]:80");
    EXPECT_EQ(to_text(parsed("[::ffff:1.2.3.4]:80")), "[::ffff:1.2.3.4]:80");
}

TEST(listen_address, a_zone_is_read_in_all_its_spellings) {
    for (const auto* text :
         {"[fe80::1%eth0]:80", "[fe80::1%25eth0]:80", "[fe80::1]:80%eth0", "[fe80::1]:80%25eth0"}) {
        EXPECT_EQ(where<address>(text).zone().text(), "eth0") << text;
        EXPECT_EQ(to_text(parsed(text)), "[fe80::1%eth0]:80") << text;
    }
    EXPECT_EQ(where<address>("[fe80::1%3]:80").zone().index(), 3U);
    EXPECT_EQ(to_text(parsed("[fe80::1]:http%eth0")), "[fe80::1%eth0]:http");
}

TEST(listen_address, a_service_name_stands_for_a_port) {
    EXPECT_EQ(std::get<std::string>(parsed("localhost:http").port.value), "http");
    EXPECT_EQ(std::get<std::string>(parsed(":http-alt").port.value), "http-alt");
    EXPECT_EQ(to_text(parsed("*:http")), ":http");
    EXPECT_NE(parsed(":http"), parsed(":80"));
}

TEST(listen_address, every_port_is_read) {
    EXPECT_EQ(number(":0"), 0);
    EXPECT_EQ(number(":1"), 1);
    EXPECT_EQ(number(":65535"), 65535);
}

TEST(listen_address, an_at_sign_and_a_block_are_the_addresses_of_this_host_in_it) {
    EXPECT_EQ(where<own_addresses>("@10.0.0.0/8:80").block, parse_prefix("10.0.0.0/8").value());
    EXPECT_EQ(where<own_addresses>("@[2001:db8::/32]:80").block,
              parse_prefix("2001:db8::/32").value());
    EXPECT_EQ(to_text(parsed("@[2001:DB8::/32]:http")), "@[2001:db8::/32]:http");
    EXPECT_EQ(to_text(parsed("@10.0.0.0/8:80")), "@10.0.0.0/8:80");
    for (const std::string_view bad : {"@10.0.0.1/8:80", "@[2001:db8::1]:80", "@[eth0]:80",
                                       "@10.0.0.0/33:80", "@/8:80", "@[]:80", "@10.0.0.0/8"}) {
        const auto got = parse_listen_address(bad);
        EXPECT_FALSE(got && std::holds_alternative<own_addresses>(got->where)) << bad;
    }
    const auto wrong = parse_listen_address("@10.0.0.1/8:80");
    ASSERT_FALSE(wrong);
    EXPECT_GE(wrong.error().at, 1U) << "it points behind the '@'";
}

TEST(listen_address, an_at_sign_with_a_port_is_an_interface_and_without_an_abstract_name) {
    EXPECT_EQ(where<interface_name>("@eth0:80").name, "eth0");
    EXPECT_EQ(where<interface_name>("@25eth0:80").name, "25eth0");
    EXPECT_EQ(where<unix_name>("@eth0"), *unix_name::abstract("eth0"));
    EXPECT_EQ(where<unix_name>("unix:@eth0:80"), *unix_name::abstract("eth0:80"));
    EXPECT_EQ(to_text(parsed("@eth0")), "unix:@eth0");
    EXPECT_EQ(to_text(parsed("unix:@eth0:80")), "unix:@eth0:80");
    EXPECT_EQ(to_text(parsed("@eth0:domain")), "@eth0:domain");
}

TEST(listen_address, unix_names_are_read) {
    EXPECT_EQ(where<unix_name>("unix:/run/x.sock"), *unix_name::path("/run/x.sock"));
    EXPECT_EQ(where<unix_name>("unix:///run/x.sock"), *unix_name::path("/run/x.sock"));
    EXPECT_EQ(where<unix_name>("/run/x.sock"), *unix_name::path("/run/x.sock"));
    EXPECT_EQ(where<unix_name>("/run/x:80"), *unix_name::path("/run/x:80"));
    EXPECT_EQ(where<unix_name>("unix:x.sock"), *unix_name::path("x.sock"));
    EXPECT_EQ(to_text(parsed("/run/x.sock")), "unix:/run/x.sock");
}

TEST(listen_address, inherited_sockets_are_read) {
    EXPECT_EQ(where<inherited_fd>("fd:3").number, 3);
    EXPECT_EQ(where<inherited_fd>("fd://3").number, 3);
    EXPECT_EQ(where<inherited_fd>("fd:2147483647").number, 2147483647);
    EXPECT_EQ(where<inherited_name>("sd:web").name, "web");
    EXPECT_EQ(where<inherited_name>("systemd:my.socket").name, "my.socket");
    EXPECT_EQ(to_text(parsed("fd://3")), "fd:3");
    EXPECT_EQ(to_text(parsed("systemd:web")), "sd:web");
}

TEST(listen_address, the_text_is_kept_as_written) {
    EXPECT_EQ(parsed("*:80").text, "*:80");
    EXPECT_EQ(parsed("unix:///run/x").text, "unix:///run/x");
}

TEST(listen_address, a_comma_separates_several) {
    const auto all = parse_listen_addresses(":80,[::1]:81,unix:/x,@eth0:53");
    ASSERT_TRUE(all);
    ASSERT_THAT(*all, SizeIs(4));
    EXPECT_EQ((*all)[0], parsed(":80"));
    EXPECT_EQ((*all)[1], parsed("[::1]:81"));
    EXPECT_EQ((*all)[2].text, "unix:/x");
    EXPECT_EQ((*all)[3], parsed("@eth0:53"));
    EXPECT_THAT(*parse_listen_addresses("localhost:http"), SizeIs(1));
}

TEST(listen_address, bad_text_in_a_list_is_pointed_at_from_its_start) {
    struct {
        std::string_view text;
        std::size_t at;
        std::string_view what;
    } const cases[] = {
        {"", 0, "the address is empty"},
        {",", 0, "no address on one side"},
        {":80,", 3, "no address on one side"},
        {",:80", 0, "no address on one side"},
        {":80,,:81", 4, "no address on one side"},
        {":80, :81", 4, "a space cannot be in an address"},
        {":80,[::1]:65536", 10, "over 65535"},
        {":80,::1", 4, "needs brackets"},
        {"[::1]:80,[::1]", 14, "the port is missing"},
    };
    for (const auto& each : cases) {
        const auto made = parse_listen_addresses(each.text);
        ASSERT_FALSE(made) << each.text;
        EXPECT_EQ(made.error().at, each.at) << each.text << ": " << made.error().what;
        EXPECT_THAT(made.error().what, HasSubstr(each.what)) << each.text;
    }
}

struct bad_text {
    std::string text;
    std::size_t at;
    std::size_t length;
    std::string_view what; // parts of them
    std::string_view hint = "";
};

void expect_pointed_at(const std::vector<bad_text>& cases) {
    for (const auto& each : cases) {
        const auto made = parse_listen_address(each.text);
        ASSERT_FALSE(made) << each.text << " was read as " << to_text(*made);
        EXPECT_EQ(made.error().at, each.at) << each.text << ": " << made.error().what;
        EXPECT_EQ(made.error().length, each.length) << each.text << ": " << made.error().what;
        EXPECT_THAT(made.error().what, HasSubstr(each.what)) << each.text;
        EXPECT_THAT(made.error().hint, HasSubstr(each.hint)) << each.text;
    }
}

TEST(listen_address, a_missing_or_bad_port_is_pointed_at) {
    expect_pointed_at({
        {"localhost", 9, 1, "the port is missing", "localhost:80"},
        {"80", 2, 1, "the port is missing", "on all addresses write :80"},
        {"1.2.3.4", 7, 1, "the port is missing", "1.2.3.4:80"},
        {"run/live", 8, 1, "the port is missing", "write unix:run/live"},
        {"*", 1, 1, "the port is missing", "*:80"},
        {":", 1, 1, "the port is missing", "service name"},
        {"*:", 2, 1, "the port is missing"},
        {"localhost:", 10, 1, "the port is missing"},
        {"[::1]", 5, 1, "the port is missing", "[::1]:80"},
        {"[::1]:", 6, 1, "the port is missing"},
        {"@eth0:", 6, 1, "the port is missing"},
        {":65536", 1, 5, "over 65535", "from 0 to 65535"},
        {":99999999999999999999", 1, 20, "over 65535"},
        {":080", 1, 1, "begins with a zero", "octal"},
        {":-1", 1, 1, "'-' is not a digit"},
        {":+80", 1, 1, "'+' is not a digit"},
        {":80a", 3, 1, "'a' is not a digit", "http"},
        {":0x50", 2, 1, "'x' is not a digit"},
        {":8.0", 2, 1, "'.' is not a digit"},
        {":80/tcp", 3, 1, "'/' is not a digit"},
        {":ht/tp", 3, 1, "'/' cannot be in a service name"},
        {":a-service-name-as-long-as-no-other-is", 32, 6, "this long"},
        {"1.2.3.4:80%eth0", 10, 1, "'%' is not a digit"},
    });
}

TEST(listen_address, bad_brackets_are_pointed_at) {
    expect_pointed_at({
        {"::1", 0, 3, "needs brackets", "[::1]:80"},
        {"2001:db8::1", 0, 11, "needs brackets", "[2001:db8::1]:80"},
        {"2001:db8::1:80", 0, 14, "needs brackets", "[2001:db8::1]:80"},
        {"fe80::1%eth0:80", 0, 15, "needs brackets", "[fe80::1%eth0]:80"},
        {":::80", 0, 5, "needs brackets", "[::]:80"},
        {"[::1:80", 0, 1, "not closed"},
        {"[", 0, 1, "not closed"},
        {"::1]:80", 3, 1, "no '[' opens this"},
        {"localhost]:80", 9, 1, "no '[' opens this"},
        {"a[::1]:80", 1, 1, "only at the start"},
        {"[::1]80", 5, 1, "after ']' comes ':'"},
        {"[::1].80", 5, 1, "after ']' comes ':'"},
        {"[]:80", 0, 2, "nothing in the brackets", "[::]:80"},
        {"[1.2.3.4]:80", 0, 9, "brackets are for IPv6", "without them"},
        {"[localhost]:80", 0, 11, "brackets are for IPv6", "localhost"},
        {"[::1/128]:80", 4, 4, "a prefix length"},
        {"[::1]:80:81", 8, 1, "':' is not a digit"},
    });
}

TEST(listen_address, a_bad_address_is_pointed_at) {
    expect_pointed_at({
        {"[1::2::3]:80", 5, 2, "a second '::'"},
        {"[:::]:80", 3, 1, "three ':'"},
        {"[2001:db8:1]:80", 11, 1, "here are 3"},
        {"[2001:db8::g]:80", 11, 1, "'g' is not a hexadecimal digit"},
        {"[::12345]:80", 7, 1, "at most four"},
        {"[::ffff:1.2.3.256]:80", 14, 3, "over 255"},
        {"1.2.3:80", 5, 1, "four numbers"},
        {"1.2.3.4.5:80", 7, 2, "ends after four"},
        {"1.2.3.256:80", 6, 3, "over 255"},
        {"01.2.3.4:80", 0, 1, "begins with a zero"},
        {"1..2.3:80", 2, 1, "a number is missing"},
        {"1.2.3.4:80:81", 10, 3, "a second ':'"},
    });
}

TEST(listen_address, a_bad_zone_is_pointed_at) {
    expect_pointed_at({
        {"[fe80::1]:53", 1, 7, "a link-local address needs a zone", "[fe80::1%eth0]:53"},
        {"[FEBF::1]:53", 1, 7, "a link-local address needs a zone"},
        {"[ff02::fb]:5353", 1, 8, "a multicast address of this scope needs a zone"},
        {"[fe80::1%]:53", 8, 1, "the zone after '%' is empty"},
        {"[fe80::1]:53%", 12, 1, "the zone after '%' is empty"},
        {"[fe80::1%0]:53", 9, 1, "zone 0"},
        {"[fe80::1%eth0]:53%eth0", 17, 5, "a second zone"},
        {"[fe80::1%a234567890123456]:53", 24, 1, "longer than 15"},
        {"[fe80::1%eth0%x]:53", 13, 1, "'%' cannot be"},
        {"[fe80::1]:53%a:b", 14, 1, "':' cannot be"},
    });
}

TEST(listen_address, a_bad_host_name_is_pointed_at) {
    expect_pointed_at({
        {"-a.org:80", 0, 1, "neither begins nor ends with '-'"},
        {"a-.org:80", 1, 1, "neither begins nor ends with '-'"},
        {"a..org:80", 2, 1, "is empty"},
        {".org:80", 0, 1, "is empty"},
        {"a.org..:80", 6, 1, "is empty"},
        {"a b.org:80", 1, 1, "a space cannot be"},
        {"a!b:80", 1, 1, "'!' cannot be in a host name"},
        {"user@host:80", 4, 1, "'@' cannot be in a host name"},
        {"**:80", 0, 1, "'*' cannot be in a host name"},
        {"eth0%x:80", 4, 1, "'%' cannot be in a host name"},
        {std::string(64, 'a') + ".org:80", 63, 1, "longer than 63"},
        {std::string(70, 'a') + ":80", 63, 7, "longer than 63"},
        {"0x7f000001:80", 0, 10, "not a number", "192.0.2.1"},
        {"a.127:80", 2, 3, "not a number"},
        {"a.0x:80", 2, 2, "not a number"},
        {"b\xc3\xbc"
         "cher.example:80",
         1, 1, "a byte outside ASCII", "xn--"},
    });
    std::string deep;
    for (int i = 0; i < 64; ++i) {
        deep += "abc.";
    }
    expect_pointed_at({{deep + "org:80", 253, 6, "longer than 253"}});
}

TEST(listen_address, a_host_name_alone_is_read_by_the_same_rules) {
    EXPECT_EQ(parse_host_name("www.example.org")->name, "www.example.org");
    EXPECT_EQ(parse_host_name("fd")->name, "fd"); // no port follows that could make it a descriptor
    EXPECT_EQ(parse_host_name("bad host").error().what, "a space cannot be in a host name");
    EXPECT_EQ(parse_host_name("b\xc3\xbc.de").error().hint,
              "write an international name in its ASCII form (xn--...)");
    EXPECT_FALSE(parse_host_name(""));
    EXPECT_FALSE(parse_host_name("0x7f.1"));
    EXPECT_FALSE(parse_host_name("192.0.2.1"));
}

TEST(listen_address, a_character_that_no_address_has_is_pointed_at) {
    expect_pointed_at({
        {"", 0, 1, "the address is empty", ":80"},
        {" :80", 0, 1, "a space", "without spaces"},
        {":80 ", 3, 1, "a space"},
        {":80\n", 3, 1, "a control character"},
        {"\t:80", 0, 1, "a tab"},
        {":80,:81", 3, 1, "only one address"},
        {"unix:/a,b", 7, 1, "',' separates", "\\x2c"},
        {std::string(":8\0", 3), 2, 1, "a control character"},
        {"\xef\xbc\x9a"
         "80",
         0, 1, "a byte outside ASCII"},
    });
}

TEST(listen_address, an_unknown_kind_of_address_is_pointed_at) {
    expect_pointed_at({
        {"tcp://1.2.3.4:80", 0, 4, "no kind of address called tcp:", "write it like :80"},
        {"http://example.org/", 0, 5, "no kind of address called http:"},
        {"vsock:3:80", 0, 6, "no kind of address called vsock:"},
        {"tcp6:[::]:80", 0, 5, "no kind of address called tcp6:"},
        {"UNIX:/x:y", 0, 5, "no kind of address called UNIX:"},
    });
}

TEST(listen_address, a_bad_name_is_pointed_at) {
    expect_pointed_at({
        {"unix:", 5, 1, "has no name", "unix:@name"},
        {"unix:@", 5, 1, "abstract name after '@' is empty"},
        {"@", 0, 1, "abstract name after '@' is empty"},
        {"unix://x", 5, 2, "three in the URL form"},
        {"/" + std::string(107, 'a'), 107, 1, "longer than 107"},
        {"unix:/" + std::string(110, 'a'), 112, 4, "longer than 107"},
        {"@:80", 1, 1, "the interface after '@' is empty"},
        {"@eth 0:80", 4, 1, "a space"},
        {"@eth/0:80", 4, 1, "'/' cannot be in the name of an interface"},
        {"@eth0:1:80", 7, 3, "a second ':'"},
        {"@a234567890123456:80", 16, 1, "longer than 15"},
        {"fd:", 3, 1, "the descriptor number is missing", "fd:3"},
        {"fd://", 5, 1, "the descriptor number is missing"},
        {"fd:x", 3, 1, "'x' is not a digit", "fd.:80"},
        {"fd:-1", 3, 1, "'-' is not a digit"},
        {"fd:2147483648", 3, 10, "over 2147483647"},
        {"fd:03", 3, 1, "begins with a zero"},
        {"sd:", 3, 1, "the name of the inherited sockets is missing"},
        {"systemd:", 8, 1, "the name of the inherited sockets is missing"},
        {"sd:a:b", 4, 1, "':' cannot be"},
        {"sd:" + std::string(256, 'a'), 258, 1, "at most 255"},
    });
}

// Wishes of every kind, made at random.
class wishes {
public:
    explicit wishes(std::uint64_t seed) : random_{seed} {}

    listen_address next() {
        listen_address made;
        switch (below(8)) {
        case 0:
            made.where = every_address{};
            break;
        case 1:
            made.where = any_address();
            break;
        case 2:
            made.where = host_name{word(20, "abcxyz0123") + "-x." + word(5, "orgcomABC")};
            break;
        case 3:
            made.where = interface_name{word(15, "abceth0123.-_@25")};
            break;
        case 4:
            made.where = *unix_name::path('/' + word(100, "/ab,\\x@: \xc3\n"));
            return made;
        case 7:
            made.where =
                own_addresses{*prefix::make(any_address(), static_cast<unsigned>(below(33)))};
            break;
        case 5:
            made.where = inherited_fd{static_cast<int>(below(1U << 31U))};
            return made;
        default:
            made.where = inherited_name{word(20, "abc.-_/@%[]")};
            return made;
        }
        made.port = below(2) == 0 ? port_name{static_cast<std::uint16_t>(below(65536))}
                                  : port_name{'a' + word(10, "abc012-")};
        return made;
    }

private:
    std::uint64_t below(std::uint64_t end) { return random_() % end; }
    std::string word(std::size_t most, std::string_view of) {
        std::string made;
        for (auto left = below(most) + 1; left > 0; --left) {
            made += of[below(of.size())];
        }
        return made;
    }
    address any_address() {
        if (below(2) == 0) {
            return address::v4(static_cast<std::uint8_t>(below(256)), 0, 2, 1);
        }
        const address::v6_bytes bytes{static_cast<std::uint8_t>(below(256)), 0x80};
        const auto which = address::v6(bytes);
        return which.needs_zone() || below(3) == 0 ? which.with_zone(zone::from_index(7)) : which;
    }

    std::mt19937_64 random_;
};

TEST(listen_address, every_wish_reads_back_as_the_equal_wish) {
    constexpr std::uint64_t seed = 7020;
    wishes some{seed};
    for (int round = 0; round < 20000; ++round) {
        const auto which = some.next();
        const auto text = to_text(which);
        const auto again = parse_listen_address(text);
        ASSERT_TRUE(again) << "seed " << seed << ": " << text << ": " << again.error().what;
        ASSERT_EQ(*again, which) << text;
        ASSERT_EQ(to_text(*again), text);
        const auto listed = parse_listen_addresses(text + ',' + text);
        ASSERT_TRUE(listed) << text;
        ASSERT_THAT(*listed, testing::ElementsAre(which, which)) << text;
    }
}

} // namespace
} // namespace portico::ip
