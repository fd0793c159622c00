#include "portico/wire/socks5_datagram.hpp"

#include "portico/testkit/random.hpp"
#include "wire/peer.hpp"

#include <gtest/gtest.h>

#include <set>

namespace portico::wire {
namespace {

using namespace std::string_literals;
using test::bytes_of;
using test::text_of;

const auto v4_head = "\x00\x00\x00\x01\xc0\x00\x02\x01\x00\x35"s;
const auto v6_head = "\x00\x00\x00\x04\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x01\x00\x35"s;

std::string name_head(std::string_view name) {
    return "\x00\x00\x00\x03"s + static_cast<char>(name.size()) + std::string{name} + "\x00\x35"s;
}

ip::endpoint endpoint(std::string_view text) {
    return ip::parse_endpoint(text).value();
}

// "example.org:53", or "dropped: " and the reason.
std::string remote(std::string_view text) {
    const auto got = read_socks5_datagram(bytes_of(text));
    if (!got) {
        return "dropped: " + std::string{to_text(got.error())};
    }
    if (const auto* name = std::get_if<socks5_name>(&got->remote)) {
        return "name " + std::string{name->name} + ':' + std::to_string(name->port);
    }
    return to_text(std::get<ip::endpoint>(got->remote));
}

template <class T>
std::string head_for(const T& where) {
    std::vector<std::byte> made{std::byte{'?'}}; // what was there is gone
    write_socks5_datagram_head(where, made);
    return text_of(made);
}

TEST(socks5_datagram, goes_to_an_address_or_a_name) {
    EXPECT_EQ(remote(v4_head + "query"), "192.0.2.1:53");
    EXPECT_EQ(remote(v6_head + "query"), "[2001:db8::1]:53");
    EXPECT_EQ(remote(name_head("example.org") + "query"), "name example.org:53");
    EXPECT_EQ(remote(name_head(std::string(255, 'n'))), "name " + std::string(255, 'n') + ":53");
}

TEST(socks5_datagram, its_data_may_be_empty_or_anything) {
    for (const auto& head : {v4_head, v6_head, name_head("a")}) {
        for (const auto& data : {""s, "\0"s, "query"s, std::string(65000, '\5')}) {
            const auto whole = head + data;
            const auto got = read_socks5_datagram(bytes_of(whole));
            ASSERT_TRUE(got);
            EXPECT_EQ(text_of(got->data), data);
        }
    }
}

TEST(socks5_datagram, a_name_that_is_an_address_is_that_address) {
    EXPECT_EQ(remote(name_head("127.0.0.1")), "127.0.0.1:53");
    EXPECT_EQ(remote(name_head("::1")), "[::1]:53");
    EXPECT_EQ(remote(name_head("::ffff:127.0.0.1")), "[::ffff:127.0.0.1]:53");
    EXPECT_EQ(remote(name_head("127.1")), "name 127.1:53"); // it is judged when it is resolved
}

TEST(socks5_datagram, a_name_that_could_mean_something_else_is_dropped) {
    for (const auto& name : {""s, "a b"s, "a\0b"s, "user@a"s, "a:80"s, "[::1]"s, "fe80::1%eth0"s,
                             "m\xc3\xbcnchen.example"s, "a\n"s}) {
        EXPECT_EQ(remote(name_head(name) + "query"), "dropped: bad_name") << name;
    }
}

TEST(socks5_datagram, that_ends_within_its_header_is_dropped) {
    for (const auto& head : {v4_head, v6_head, name_head("example.org"), name_head("")}) {
        for (std::size_t size = 0; size < head.size(); ++size) {
            EXPECT_EQ(remote(head.substr(0, size)), "dropped: too_short") << size;
        }
    }
}

TEST(socks5_datagram, that_is_a_fragment_is_dropped) {
    for (const char fragment : "\x01\x7f\x80\xff"s) {
        auto whole = v4_head;
        whole[2] = fragment;
        EXPECT_EQ(remote(whole), "dropped: fragment");
    }
}

TEST(socks5_datagram, with_its_reserved_bytes_in_use_is_dropped) {
    for (const std::size_t at : {0U, 1U}) {
        auto whole = v4_head;
        whole[at] = 1;
        EXPECT_EQ(remote(whole), "dropped: bad_reserved");
    }
}

TEST(socks5_datagram, with_an_unknown_type_of_address_is_dropped) {
    for (const char type : "\x00\x02\x05\xff"s) {
        auto whole = v4_head;
        whole[3] = type;
        EXPECT_EQ(remote(whole), "dropped: unknown_address_type");
    }
}

TEST(socks5_datagram, to_port_0_is_dropped) {
    for (auto head : {v4_head, v6_head, name_head("a")}) {
        head.back() = 0;
        EXPECT_EQ(remote(head), "dropped: bad_port");
    }
}

TEST(socks5_datagram, is_written_as_it_is_read) {
    EXPECT_EQ(head_for(endpoint("192.0.2.1:53")), v4_head);
    EXPECT_EQ(head_for(endpoint("[2001:db8::1]:53")), v6_head);
    EXPECT_EQ(head_for(socks5_name{"example.org", 53}), name_head("example.org"));
    EXPECT_EQ(v6_head.size(), max_socks5_datagram_head);
}

TEST(socks5_datagram, is_written_without_a_zone_and_unmapped) {
    EXPECT_EQ(remote(head_for(endpoint("[fe80::1%eth0]:53"))), "[fe80::1]:53");
    EXPECT_EQ(head_for(endpoint("[::ffff:192.0.2.1]:53")), v4_head);
}

TEST(socks5_datagram, each_reason_has_a_text_of_its_own) {
    std::set<std::string_view> texts{""};
    for (std::size_t i = 0; i < socks5_datagram_drops; ++i) {
        texts.insert(to_text(static_cast<socks5_datagram_drop>(i)));
    }
    EXPECT_EQ(texts.size(), socks5_datagram_drops + 1);
    EXPECT_EQ(to_text(socks5_datagram_drop::bad_port), "bad_port");
}

TEST(socks5_datagram, random_ones_come_back_as_they_were_written) {
    testkit::seeded_random random;
    for (int turn = 0; turn < 2000; ++turn) {
        const auto port = static_cast<std::uint16_t>(1 + random.below(65535));
        ip::address::v6_bytes wide{};
        for (auto& each : wide) {
            each = static_cast<std::uint8_t>(random.below(256));
        }
        const auto address = random.chance(1, 2)
                                 ? ip::address::v6(wide)
                                 : ip::address::v4(wide[0], wide[1], wide[2], wide[3]);
        const ip::endpoint where{address, port};
        EXPECT_EQ(remote(head_for(where) + "data"), to_text(where)) << "turn " << turn;
        std::string name = "n";
        for (auto count = random.below(255); count != 0; --count) {
            name += static_cast<char>('a' + random.below(26));
        }
        EXPECT_EQ(remote(head_for(socks5_name{name, port})),
                  "name " + name + ':' + std::to_string(port))
            << "turn " << turn;
    }
}

} // namespace
} // namespace portico::wire
