#include "portico/ip/service.hpp"

#include <gtest/gtest.h>

#include <array>

namespace portico::ip {
namespace {

TEST(service, the_common_services_are_known_without_a_file) {
    struct {
        std::string_view name;
        std::uint16_t port;
    } const tcp[] = {
        {"echo", 7},           {"discard", 9},        {"daytime", 13},      {"qotd", 17},
        {"chargen", 19},       {"ftp", 21},           {"ssh", 22},          {"telnet", 23},
        {"smtp", 25},          {"time", 37},          {"whois", 43},        {"domain", 53},
        {"gopher", 70},        {"finger", 79},        {"http", 80},         {"kerberos", 88},
        {"pop3", 110},         {"sunrpc", 111},       {"ident", 113},       {"nntp", 119},
        {"imap", 143},         {"snmp", 161},         {"bgp", 179},         {"irc", 194},
        {"ldap", 389},         {"https", 443},        {"submissions", 465}, {"printer", 515},
        {"rtsp", 554},         {"submission", 587},   {"ipp", 631},         {"ldaps", 636},
        {"domain-s", 853},     {"rsync", 873},        {"imaps", 993},       {"pop3s", 995},
        {"socks", 1080},       {"openvpn", 1194},     {"mqtt", 1883},       {"nfs", 2049},
        {"docker", 2375},      {"etcd-client", 2379}, {"mysql", 3306},      {"stun", 3478},
        {"svn", 3690},         {"sieve", 4190},       {"sip", 5060},        {"sips", 5061},
        {"xmpp-client", 5222}, {"xmpp-server", 5269}, {"postgresql", 5432}, {"amqp", 5672},
        {"x11", 6000},         {"redis", 6379},       {"http-alt", 8080},   {"secure-mqtt", 8883},
        {"git", 9418},         {"memcache", 11211},   {"mongodb", 27017},   {"ms-wbt-server", 3389},
        {"turns", 5349},       {"ircs-u", 6697},
    };
    static_assert(std::size(tcp) >= 60);
    const service_table services;
    for (const auto& each : tcp) {
        EXPECT_EQ(services.port(each.name, transport::tcp), each.port) << each.name;
    }
}

TEST(service, a_service_belongs_to_its_transports) {
    const service_table services;
    EXPECT_EQ(services.port("ntp", transport::udp), 123);
    EXPECT_EQ(services.port("ntp", transport::tcp), std::nullopt);
    EXPECT_EQ(services.port("ssh", transport::udp), std::nullopt);
    EXPECT_EQ(services.port("domain", transport::udp), 53);
    EXPECT_EQ(services.port("https", transport::udp), 443);
    // one port, two services
    EXPECT_EQ(services.port("syslog", transport::udp), 514);
    EXPECT_EQ(services.port("shell", transport::tcp), 514);
    EXPECT_EQ(services.port("syslog", transport::tcp), std::nullopt);
}

TEST(service, names_match_without_regard_to_case) {
    const auto services = service_table::from_text("MyService 4000/tcp Alias\n");
    EXPECT_EQ(services.port("HTTP", transport::tcp), 80);
    EXPECT_EQ(services.port("myservice", transport::tcp), 4000);
    EXPECT_EQ(services.port("ALIAS", transport::tcp), 4000);
}

TEST(service, what_is_no_service_has_no_port) {
    const service_table services;
    EXPECT_EQ(services.port("", transport::tcp), std::nullopt);
    EXPECT_EQ(services.port("80", transport::tcp), std::nullopt);
    EXPECT_EQ(services.port("nosuchservice", transport::tcp), std::nullopt);
}

TEST(service, a_file_is_read_over_the_built_in_table) {
    const auto services = service_table::from_text("# local services\n"
                                                   "http\t\t8000/tcp  web www-local # ours\n"
                                                   "backend 9000/tcp\n"
                                                   "backend 9001/udp\n"
                                                   "\n"
                                                   "last 9002/tcp");
    EXPECT_EQ(services.port("http", transport::tcp), 8000);
    EXPECT_EQ(services.port("http", transport::udp), 80);
    EXPECT_EQ(services.port("web", transport::tcp), 8000);
    EXPECT_EQ(services.port("www-local", transport::tcp), 8000);
    EXPECT_EQ(services.port("ours", transport::tcp), std::nullopt);
    EXPECT_EQ(services.port("backend", transport::tcp), 9000);
    EXPECT_EQ(services.port("backend", transport::udp), 9001);
    EXPECT_EQ(services.port("last", transport::tcp), 9002);
    EXPECT_EQ(services.port("https", transport::tcp), 443);
}

TEST(service, lines_that_cannot_be_read_are_passed_over) {
    const auto services = service_table::from_text("noport\n"
                                                   "noslash 80\n"
                                                   "nonumber x/tcp\n"
                                                   "toobig 65536/tcp\n"
                                                   "notransport 80/\n"
                                                   "other 80/sctp\n"
                                                   "# comment 81/tcp\n"
                                                   " 82/tcp\n"
                                                   "good 83/tcp\r\n");
    for (const auto* name : {"noport", "noslash", "nonumber", "toobig", "notransport", "other",
                             "comment", "#", "82/tcp"}) {
        EXPECT_EQ(services.port(name, transport::tcp), std::nullopt) << name;
    }
    EXPECT_EQ(services.port("good", transport::tcp), 83);
}

TEST(service, of_several_lines_for_a_name_the_first_counts) {
    const auto services = service_table::from_text("a 1/tcp\na 2/tcp\nb 3/tcp a\n");
    EXPECT_EQ(services.port("a", transport::tcp), 1);
}

TEST(service, transports_have_names) {
    EXPECT_EQ(to_text(transport::tcp), "tcp");
    EXPECT_EQ(to_text(transport::udp), "udp");
}

} // namespace
} // namespace portico::ip
