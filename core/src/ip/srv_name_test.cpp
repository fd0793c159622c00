#include "portico/ip/srv_name.hpp"

#include <gtest/gtest.h>

namespace portico::ip {
namespace {

text_error refusal(std::string_view text) {
    auto read = parse_srv_name(text);
    EXPECT_FALSE(read) << text;
    return read ? text_error{} : read.error();
}

TEST(srv_name, a_service_a_protocol_and_a_domain_are_read) {
    EXPECT_EQ(parse_srv_name("_imap._tcp.example.org"),
              (srv_name{"_imap._tcp.example.org", transport::tcp}));
    EXPECT_EQ(parse_srv_name("_sip._UDP.a_b.x-y."),
              (srv_name{"_sip._UDP.a_b.x-y", transport::udp}));
    EXPECT_TRUE(parse_srv_name("_x-1._tcp.local"));
}

TEST(srv_name, what_is_wrong_is_pointed_at) {
    EXPECT_EQ(refusal("").at, 0U);
    EXPECT_EQ(refusal("example.org").what, "an SRV name begins with '_' and the name of a service");
    EXPECT_EQ(refusal("_._tcp.x").length, 1U);
    EXPECT_EQ(refusal("_imap").at, 5U);
    EXPECT_EQ(refusal("_imap._tcp").what, "the domain is missing");
    EXPECT_EQ(refusal("_imap._tcp").at, 10U);
    EXPECT_EQ(refusal("_imap._sctp.x").at, 6U);
    EXPECT_EQ(refusal("_imap._sctp.x").length, 5U);
    EXPECT_EQ(refusal("_imap.example.org").at, 6U);
    EXPECT_EQ(refusal("_imap._tcp..x").at, 11U);
    EXPECT_EQ(refusal("_imap._tcp.a b").what, "a space cannot be in the name of a service");
    EXPECT_EQ(refusal("_imap._tcp.b\xc3\xbc").what,
              "a byte outside ASCII cannot be in the name of a service");
}

TEST(srv_name, a_port_is_left_out) {
    const auto why = refusal("_imap._tcp.example.org:143");
    EXPECT_EQ(why.at, 22U);
    EXPECT_EQ(why.length, 4U);
    EXPECT_EQ(why.hint, "leave it out: the records say which port");
    EXPECT_EQ(refusal("_imap:143").at, 5U);
}

TEST(srv_name, it_has_the_length_of_a_name_in_dns) {
    const std::string label(63, 'a');
    EXPECT_TRUE(parse_srv_name("_x._tcp." + label));
    EXPECT_EQ(refusal("_x._tcp." + label + "a").at, 8U + 63U);
    const auto fits = "_x._tcp." + label + "." + label + "." + label + "." + std::string(53, 'b');
    ASSERT_EQ(fits.size(), 253U);
    EXPECT_TRUE(parse_srv_name(fits));
    EXPECT_TRUE(parse_srv_name(fits + "."));
    EXPECT_EQ(refusal(fits + "b").at, 253U);
}

} // namespace
} // namespace portico::ip
