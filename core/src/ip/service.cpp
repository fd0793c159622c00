#include "portico/ip/service.hpp"

#include "ip/reading.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace portico::ip {
namespace {

enum class carried : std::uint8_t { both, only_tcp, only_udp };

struct known_service {
    std::string_view name;
    std::uint16_t port;
    carried over = carried::both;
};

using enum carried;

// The common services of the IANA registry (RFC 6335), and the aliases that /etc/services files
// have had for them since 4.2BSD.
constexpr std::array known_services = std::to_array<known_service>({
    {"tcpmux", 1, only_tcp},
    {"echo", 7},
    {"discard", 9},
    {"sink", 9},
    {"null", 9},
    {"systat", 11, only_tcp},
    {"users", 11, only_tcp},
    {"daytime", 13},
    {"qotd", 17},
    {"quote", 17},
    {"chargen", 19},
    {"ttytst", 19},
    {"source", 19},
    {"ftp-data", 20, only_tcp},
    {"ftp", 21, only_tcp},
    {"ssh", 22, only_tcp},
    {"telnet", 23, only_tcp},
    {"smtp", 25, only_tcp},
    {"mail", 25, only_tcp},
    {"time", 37},
    {"timserver", 37},
    {"nicname", 43, only_tcp},
    {"whois", 43, only_tcp},
    {"tacacs", 49},
    {"domain", 53},
    {"bootps", 67, only_udp},
    {"bootpc", 68, only_udp},
    {"tftp", 69, only_udp},
    {"gopher", 70, only_tcp},
    {"finger", 79, only_tcp},
    {"http", 80},
    {"www", 80},
    {"kerberos", 88},
    {"kerberos5", 88},
    {"pop3", 110, only_tcp},
    {"pop-3", 110, only_tcp},
    {"sunrpc", 111},
    {"portmapper", 111},
    {"auth", 113, only_tcp},
    {"ident", 113, only_tcp},
    {"nntp", 119, only_tcp},
    {"ntp", 123, only_udp},
    {"epmap", 135},
    {"netbios-ns", 137},
    {"netbios-dgm", 138},
    {"netbios-ssn", 139, only_tcp},
    {"imap", 143, only_tcp},
    {"imap2", 143, only_tcp},
    {"snmp", 161},
    {"snmptrap", 162},
    {"bgp", 179, only_tcp},
    {"irc", 194},
    {"ptp-event", 319, only_udp},
    {"ptp-general", 320, only_udp},
    {"ldap", 389},
    {"https", 443},
    {"microsoft-ds", 445},
    {"kpasswd", 464},
    {"submissions", 465, only_tcp},
    {"isakmp", 500, only_udp},
    {"exec", 512, only_tcp},
    {"biff", 512, only_udp},
    {"login", 513, only_tcp},
    {"who", 513, only_udp},
    {"shell", 514, only_tcp},
    {"syslog", 514, only_udp},
    {"printer", 515, only_tcp},
    {"talk", 517, only_udp},
    {"ntalk", 518, only_udp},
    {"uucp", 540, only_tcp},
    {"dhcpv6-client", 546, only_udp},
    {"dhcpv6-server", 547, only_udp},
    {"rtsp", 554},
    {"nntps", 563, only_tcp},
    {"submission", 587, only_tcp},
    {"ipp", 631},
    {"ldaps", 636},
    {"kerberos-adm", 749},
    {"domain-s", 853},
    {"rsync", 873, only_tcp},
    {"ftps-data", 989, only_tcp},
    {"ftps", 990, only_tcp},
    {"telnets", 992, only_tcp},
    {"imaps", 993, only_tcp},
    {"pop3s", 995, only_tcp},
    {"socks", 1080},
    {"openvpn", 1194},
    {"ms-sql-s", 1433},
    {"l2tp", 1701, only_udp},
    {"radius", 1812},
    {"radius-acct", 1813},
    {"mqtt", 1883},
    {"ssdp", 1900, only_udp},
    {"nfs", 2049},
    {"docker", 2375, only_tcp},
    {"docker-s", 2376, only_tcp},
    {"etcd-client", 2379, only_tcp},
    {"etcd-server", 2380, only_tcp},
    {"cvspserver", 2401},
    {"dict", 2628},
    {"iscsi-target", 3260},
    {"mysql", 3306},
    {"ms-wbt-server", 3389},
    {"stun", 3478},
    {"turn", 3478},
    {"nut", 3493},
    {"teredo", 3544, only_udp},
    {"distcc", 3632},
    {"svn", 3690},
    {"sieve", 4190, only_tcp},
    {"epmd", 4369},
    {"ipsec-nat-t", 4500, only_udp},
    {"iperf", 5001},
    {"sip", 5060},
    {"sips", 5061},
    {"xmpp-client", 5222, only_tcp},
    {"stuns", 5349},
    {"turns", 5349},
    {"xmpp-server", 5269, only_tcp},
    {"mdns", 5353, only_udp},
    {"llmnr", 5355},
    {"postgresql", 5432},
    {"amqps", 5671},
    {"amqp", 5672},
    {"coap", 5683},
    {"coaps", 5684},
    {"rfb", 5900},
    {"x11", 6000},
    {"redis", 6379, only_tcp},
    {"syslog-tls", 6514},
    {"ircs-u", 6697, only_tcp},
    {"http-alt", 8080},
    {"puppet", 8140, only_tcp},
    {"secure-mqtt", 8883},
    {"git", 9418, only_tcp},
    {"zabbix-agent", 10050},
    {"zabbix-trapper", 10051},
    {"nbd", 10809, only_tcp},
    {"memcache", 11211},
    {"mongodb", 27017, only_tcp},
});

bool carries(const known_service& which, transport over) noexcept {
    return which.over == both || (which.over == only_tcp) == (over == transport::tcp);
}

std::string lowered(std::string_view name) {
    std::string made{name};
    std::transform(made.begin(), made.end(), made.begin(), reading::lower);
    return made;
}

// Cuts the next word off the front; empty when there is none.
std::string_view next_word(std::string_view& line) {
    constexpr std::string_view blanks = " \t\r\v\f";
    const auto first = std::min(line.find_first_not_of(blanks), line.size());
    line.remove_prefix(first);
    const auto word = line.substr(0, line.find_first_of(blanks));
    line.remove_prefix(word.size());
    return word;
}

// "80/tcp".
std::optional<std::pair<std::uint16_t, transport>> read_port_and_transport(std::string_view word) {
    const auto slash = word.find('/');
    if (slash == std::string_view::npos) {
        return std::nullopt;
    }
    const auto port = reading::read_number(word.substr(0, slash), 65535, "the port");
    const auto over = word.substr(slash + 1);
    if (!port || (over != "tcp" && over != "udp")) {
        return std::nullopt;
    }
    return std::pair{static_cast<std::uint16_t>(*port),
                     over == "tcp" ? transport::tcp : transport::udp};
}

} // namespace

std::string_view to_text(transport which) noexcept {
    return which == transport::tcp ? "tcp" : "udp";
}

service_table service_table::from_text(std::string_view text) {
    service_table made;
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        auto line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        line = line.substr(0, line.find('#'));

        auto name = next_word(line);
        const auto place = read_port_and_transport(next_word(line));
        if (!place) {
            continue;
        }
        for (; !name.empty(); name = next_word(line)) {
            made.ports_.emplace(std::pair{lowered(name), place->second}, place->first);
        }
    }
    return made;
}

std::optional<std::uint16_t> service_table::port(std::string_view name, transport over) const {
    const auto wanted = lowered(name);
    if (const auto found = ports_.find({wanted, over}); found != ports_.end()) {
        return found->second;
    }
    const auto* const known =
        std::find_if(known_services.begin(), known_services.end(), [&](const known_service& each) {
            return each.name == wanted && carries(each, over);
        });
    return known == known_services.end() ? std::nullopt : std::optional{known->port};
}

} // namespace portico::ip
