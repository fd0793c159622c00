#include "config/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <ostream>

namespace portico::app {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

or_diagnostics<serve_config> parse(const std::string& text) {
    return parse_config({{"p.toml", text}});
}

// Everything that is wrong with it, as a person sees it.
std::string faults(const std::string& text) {
    const auto read = parse(text);
    return read ? "" : to_text(read.error());
}

// ---- what is read ----

TEST(config, a_service_needs_an_address_and_a_kind) {
    const auto read = parse("[service.hello]\nlisten = \":8080\"\nbuiltin = \"hello\"\n");
    ASSERT_TRUE(read) << to_text(read.error());
    ASSERT_EQ(read->services.size(), 1U);
    const auto& only = read->services.front();
    EXPECT_EQ(only.name, "hello");
    EXPECT_EQ(only.request.builtin, serve::builtin::hello);
    EXPECT_EQ(only.choice.which, serve::builtin::hello);
    ASSERT_EQ(only.wishes.size(), 1U);
    EXPECT_EQ(only.wishes[0].where.text, ":8080");
    EXPECT_EQ(only.wishes[0].over, ip::transport::tcp);
    EXPECT_EQ(only.where, (place{"p.toml", {1, 10}}));
    EXPECT_EQ(only.keys.at("listen"), (place{"p.toml", {2, 1}}));
    EXPECT_EQ(only.keys.at("builtin"), (place{"p.toml", {3, 1}}));
    EXPECT_THAT(read->files, ElementsAre("p.toml"));
}

TEST(config, every_key_goes_where_its_flag_goes) {
    const auto read = parse(R"(
[log]
format = "json"
level = "debug"
[serve]
timeout = "3s"
[service.relay]
listen = [":1", "localhost:2", "unix:/run/l"]
udp = false
family = "ipv6"
required = true
reuseport = true
freebind = true
backlog = 12
mode = "0660"
to = ["a.example:80,b.example:81", "unix:/run/c"]
balance = "hash"
check-every = "2s"
connect-timeout = "4s"
idle-limit = "1m"
half-closed-limit = "500ms"
threads = 3
proxy-in = ["192.0.2.0/24, 2001:db8::/32"]
proxy-in-timeout = "1s"
proxy-out = "v2"
status = "unix:/run/status"
egress-device = "eth7"
from = "192.0.2.9"
socket-buffer = 4096
fast-open = true
allow = "192.0.2.0/24"
deny = ["192.0.2.1"]
max-per = ["/32=5", "/64=7"]
rate = "/24=20/1s+50"
max-connections = 77
when-full = "refuse"
dead-after = "90s"
nagle = true
[service.socks]
listen = "unix:@socks"
socks = true
allow-to = "*:443"
deny-to = ["192.0.2.0/24:*"]
[service.text]
listen = ":0"
builtin = "chargen"
chargen-limit = 10
udp = true
tcp = true
both-families = true
[service.datagrams]
listen = ":5"
udp = true
to = "192.0.2.1:53"
associations = 10
associations-per-client = 0
[service.program]
listen = "@eth0:80"
program = ["/bin/echo", "", "a,b"]
[service.program.env]
Z = "1"
A_2 = "x=y"
)");
    ASSERT_TRUE(read) << to_text(read.error());
    EXPECT_EQ(read->log.format, log_format::json);
    EXPECT_EQ(read->log.least, severity::debug);
    EXPECT_EQ(read->timeout, std::chrono::seconds{3});
    ASSERT_EQ(read->services.size(), 5U);

    const auto& relay = read->services[0];
    EXPECT_EQ(relay.name, "relay"); // in the order of the file
    ASSERT_EQ(relay.wishes.size(), 3U);
    const auto& wish = relay.wishes[1];
    EXPECT_EQ(wish.where.text, "localhost:2");
    EXPECT_EQ(wish.only, ip::family::v6);
    EXPECT_EQ(wish.needed, plan::need::required);
    EXPECT_TRUE(wish.reuse_port);
    EXPECT_TRUE(wish.freebind);
    EXPECT_EQ(wish.backlog, 12);
    EXPECT_EQ(wish.unix_mode, 0660U);
    const auto& flags = relay.request.relay;
    EXPECT_THAT(flags.to, ElementsAre("a.example:80", "b.example:81", "unix:/run/c"));
    EXPECT_EQ(flags.balance, "hash");
    EXPECT_EQ(flags.check_every, std::chrono::seconds{2});
    EXPECT_EQ(flags.connect_timeout, std::chrono::seconds{4});
    EXPECT_EQ(flags.idle_limit, std::chrono::minutes{1});
    EXPECT_EQ(flags.half_closed_limit, std::chrono::milliseconds{500});
    EXPECT_EQ(flags.threads, 3U);
    EXPECT_THAT(flags.proxy_in, ElementsAre("192.0.2.0/24", "2001:db8::/32"));
    EXPECT_EQ(flags.proxy_in_timeout, std::chrono::seconds{1});
    EXPECT_EQ(flags.proxy_out, "v2");
    EXPECT_EQ(flags.status, "unix:/run/status");
    EXPECT_EQ(flags.egress_device, "eth7");
    EXPECT_EQ(flags.from, "192.0.2.9");
    EXPECT_EQ(flags.socket_buffer, 4096);
    EXPECT_TRUE(flags.fast_open);
    const auto& door = relay.request.door;
    EXPECT_THAT(door.allow, ElementsAre("192.0.2.0/24"));
    EXPECT_THAT(door.deny, ElementsAre("192.0.2.1"));
    EXPECT_THAT(door.max_per, ElementsAre("/32=5", "/64=7"));
    EXPECT_THAT(door.rate, ElementsAre("/24=20/1s+50"));
    EXPECT_EQ(door.max_connections, 77U);
    EXPECT_EQ(door.when_full, "refuse");
    EXPECT_EQ(relay.request.dead_after, std::chrono::seconds{90});
    EXPECT_TRUE(relay.request.nagle);
    ASSERT_TRUE(relay.choice.relay);
    EXPECT_EQ(relay.choice.relay->targets.size(), 3U);

    const auto& socks = read->services[1].request.socks;
    EXPECT_TRUE(socks.is_asked);
    EXPECT_THAT(socks.allow_to, ElementsAre("*:443"));
    EXPECT_THAT(socks.deny_to, ElementsAre("192.0.2.0/24:*"));

    const auto& text = read->services[2];
    EXPECT_EQ(text.request.chargen_limit, 10U);
    ASSERT_EQ(text.wishes.size(), 2U);
    EXPECT_EQ(text.wishes[0].over, ip::transport::tcp);
    EXPECT_EQ(text.wishes[1].over, ip::transport::udp);
    EXPECT_EQ(text.wishes[1].needed, plan::need::both_families);

    const auto& datagrams = read->services[3].request.relay;
    EXPECT_EQ(datagrams.associations, 10U);
    EXPECT_EQ(datagrams.associations_per_client, 0U);

    // And from there into the canonical text.
    for (const auto& service : read->services) {
        for (const auto& [name, at] : service.keys) {
            if (at.at != service.keys.at("listen").at && name != "udp") {
                EXPECT_THAT(service.text, HasSubstr('\n' + name + " = ")) << service.name;
            }
        }
    }

    EXPECT_THAT(read->services[4].request.program, ElementsAre("/bin/echo", "", "a,b"));
    EXPECT_THAT(read->services[4].request.programs.env, ElementsAre("A_2=x=y", "Z=1"));
    EXPECT_THAT(read->services[4].choice.program.environment, Contains("A_2=x=y"));
}

TEST(config, what_is_left_out_is_as_without_the_flag) {
    const auto read = parse("[service.x]\nlisten = \":7\"\nto = \"a.example:80\"\n");
    ASSERT_TRUE(read) << to_text(read.error());
    const auto& request = read->services[0].request;
    EXPECT_EQ(request.relay.balance, relay_flags{}.balance);
    EXPECT_EQ(request.relay.associations, relay_flags{}.associations);
    EXPECT_EQ(request.door.max_connections, admission_flags{}.max_connections);
    EXPECT_EQ(request.chargen_limit, service_request{}.chargen_limit);
    EXPECT_FALSE(read->timeout);
    EXPECT_EQ(read->log.least, severity::info);
}

TEST(config, a_time_without_a_unit_is_seconds_as_it_is_for_the_flag) {
    const auto read = parse("[serve]\ntimeout = '5'\n[service.x]\nlisten = ':7'\n"
                            "program = ['/bin/cat']\ntime-limit = '0.5'\n");
    ASSERT_TRUE(read) << to_text(read.error());
    EXPECT_EQ(read->timeout, std::chrono::seconds{5});
    EXPECT_EQ(read->services[0].request.programs.time_limit, std::chrono::milliseconds{500});
    EXPECT_THAT(read->text, HasSubstr("timeout = \"5s\""));
}

TEST(config, who_is_not_there_is_told_at_its_key_with_the_other_mistakes) {
    const auto nobody_there = [](const std::string& user, const std::string& group) {
        return std::vector<setting_error>{{"user", "no " + user}, {"group", "no " + group}};
    };
    const auto read = parse_config({{"p.toml", "[service.x]\nlisten = ':7'\nbultin = 'echo'\n"},
                                    {"conf.d/s.toml", "[serve]\ngroup = 'g'\nuser = 'u'\n"}},
                                   read_service, {}, nobody_there);
    ASSERT_FALSE(read);
    EXPECT_EQ(to_text(read.error()), "p.toml:3:1: unknown key 'bultin'; did you mean 'builtin'?\n"
                                     "conf.d/s.toml:2:1: 'group': no g\n"
                                     "conf.d/s.toml:3:1: 'user': no u\n");
}

TEST(config, services_know_the_user_of_the_process_wherever_that_stands) {
    std::vector<std::string> users;
    const auto read =
        parse_config({{"p.toml", "[service.x]\nlisten = ':7'\nprogram = ['/bin/cat']\n"},
                      {"conf.d/s.toml", "[serve]\nuser = 'u'\n"}},
                     [&](const service_request& asked, std::span<const plan::wish>) {
                         users.push_back(asked.programs.host_user);
                         return service_choice{};
                     });
    ASSERT_TRUE(read) << to_text(read.error());
    EXPECT_THAT(users, ElementsAre("u"));
}

TEST(config, a_group_of_the_process_needs_a_user) {
    const std::string service = "[service.x]\nlisten = ':7'\nbuiltin = 'echo'\n[serve]\n";
    EXPECT_EQ(faults(service + "group = 'g'\n"),
              "p.toml:5:1: 'group' means nothing without 'user'\n"
              "    name the user that the process is to become, or leave it out\n");
    EXPECT_EQ(faults(service + "group = 'g'\nusr = 'u'\n"),
              "p.toml:6:1: unknown key 'usr'; did you mean 'user'?\n");
    EXPECT_EQ(faults(service + "group = 'g'\nuser = 'u'\n"), "");
}

// ---- the canonical text ----

TEST(config, the_canonical_text_is_the_same_however_it_was_written) {
    const auto b = parse("[service.x]\nbuiltin = 'echo'\nlisten = [ '*:80' ]\nnagle = false\n"
                         "dead-after = \"60s\"\nmax-connections = 1000 # as always\n");
    const auto c = parse("service.x = {dead-after = '1m', listen = ':80', builtin = \"echo\"}");
    ASSERT_TRUE(b) << to_text(b.error());
    ASSERT_TRUE(c) << to_text(c.error());
    EXPECT_EQ(b->services[0].text, "[service.x]\nlisten = [\":80\"]\nbuiltin = \"echo\"\n"
                                   "dead-after = \"60s\"\n");
    EXPECT_EQ(b->services[0].text, c->services[0].text);
}

TEST(config, the_canonical_text_reads_back_as_itself) {
    const auto first = parse(R"(
log.level = "error"
serve.timeout = "1500ms"
[service.b]
listen = "unix:/run/a \"quoted\\\" b"
program = ["/bin/echo", "\t\\\"\u007f"]
env = {PATH = "/bin:\u00e9", A = ""}
[service.a]
listen = ["[2001:DB8::1]:80", "[::1]:http"]
to = "b.example:80"
associations-per-client = 0
udp = true
)");
    ASSERT_TRUE(first) << to_text(first.error());
    const auto second = parse(first->text);
    ASSERT_TRUE(second) << to_text(second.error()) << first->text;
    EXPECT_EQ(first->text, second->text);
    EXPECT_THAT(first->text, HasSubstr("[log]\nlevel = \"error\"\n"));
    EXPECT_EQ(second->services[0].request.program, first->services[0].request.program);
}

// ---- what is wrong, and where ----

struct broken {
    const char* name;
    std::string text;
    std::string said; // all of it
};

void PrintTo(const broken& which, std::ostream* to) {
    *to << which.name;
}

class a_broken_config : public testing::TestWithParam<broken> {};

TEST_P(a_broken_config, is_told_of_with_its_place) {
    EXPECT_EQ(faults(GetParam().text), GetParam().said);
}

const std::string echo = "[service.x]\nlisten = \":7\"\nbuiltin = \"echo\"\n";
const std::string relay = "[service.x]\nlisten = \":7\"\nto = \"a.example:80\"\n";
const std::string hello = "[service.x]\nlisten = \":7\"\nbuiltin = \"hello\"\n";

INSTANTIATE_TEST_SUITE_P(
    in, a_broken_config,
    testing::Values(
        broken{"an_unknown_key", echo + "max-conections = 3\n",
               "p.toml:4:1: unknown key 'max-conections'; did you mean 'max-connections'?\n"},
        broken{"a_key_with_underscores", echo + "  max_connections = 3\n",
               "p.toml:4:3: unknown key 'max_connections'; did you mean 'max-connections'?\n"},
        broken{"a_key_like_no_other", echo + "colour = 'red'\n",
               "p.toml:4:1: unknown key 'colour'\n"
               "    portico.toml(5) lists the keys of [service.NAME]\n"},
        broken{"a_flag_that_is_called_otherwise",
               echo + "verbose = true\nlog-format = 'json'\n4 = true\n",
               "p.toml:4:1: unknown key 'verbose'\n"
               "    write level = \"debug\" in [log]\n"
               "p.toml:5:1: unknown key 'log-format'\n"
               "    write format in [log]\n"
               "p.toml:6:1: unknown key '4'\n"
               "    write family = \"ipv4\"\n"},
        broken{"a_key_of_another_table", echo + "timeout = '3s'\n",
               "p.toml:4:1: unknown key 'timeout'\n"
               "    it goes into [serve]\n"},
        broken{"an_unknown_table", echo + "[sevice.y]\nlisten = ':8'\n",
               "p.toml:4:2: unknown table 'sevice'; did you mean 'service'?\n"
               "    there are [log], [serve], [metrics] and [service.NAME]\n"},
        broken{"a_table_with_a_name_is_meant_for_a_service", "[servce.y]\nlisten = ':8'\n",
               "p.toml:1:2: unknown table 'servce'; did you mean 'service'?\n"
               "    there are [log], [serve], [metrics] and [service.NAME]\n"},
        broken{"a_key_outside_of_a_table", "listen = ':8'\n" + echo,
               "p.toml:1:1: unknown key 'listen' outside of a table\n"
               "    it goes into [service.NAME]\n"},
        broken{"a_service_without_a_name", "[service]\nlisten = ':8'\n",
               "p.toml:2:1: 'listen' belongs to a service, and this is [service]\n"
               "    a service has a name in its header: [service.web]\n"},
        broken{"two_pairs_of_brackets", "[[service.x]]\nlisten = ':8'\n",
               "p.toml:1:11: service 'x' is a list, and a table is expected\n"
               "    begin it with [service.x], in one pair of brackets\n"},
        broken{"a_log_that_is_no_table", "log = 'json'\n" + echo,
               "p.toml:1:1: 'log' is a text, and a table is expected\n"
               "    begin it with [log]\n"},
        broken{"a_list_of_services", "[[service]]\nname = 'x'\n",
               "p.toml:1:3: 'service' is a list, and a table is expected\n"
               "    each service begins with [service.NAME]\n"},
        broken{"a_bad_name", "[service.'a b']\n" + echo,
               "p.toml:1:10: a service cannot be called 'a b'\n"
               "    1 to 63 letters, digits, '-' and '_'\n"},
        broken{"no_service", "[log]\nformat = 'json'\n",
               "p.toml: there is no service in it\n"
               "    for instance\n"
               "    [service.hello]\n"
               "    listen = \":8080\"\n"
               "    builtin = \"hello\"\n"},
        broken{"nothing", "",
               "p.toml: there is no service in it\n"
               "    for instance\n"
               "    [service.hello]\n"
               "    listen = \":8080\"\n"
               "    builtin = \"hello\"\n"},
        broken{"no_kind", "[service.x]\nlisten = ':8'\n",
               "p.toml:1:10: service 'x' does not say what answers its clients\n"
               "    give it one of builtin = \"echo\", program = [\"/bin/cat\"], to = "
               "\"example.org:80\", socks = true\n"},
        broken{"two_kinds", echo + "socks = true\n",
               "p.toml:3:1: service 'x' is a built-in service here, and a service is one thing\n"
               "    keep one of them, and give the others services of their own\n"
               "p.toml:4:1: service 'x' is a SOCKS server here, and a service is one thing\n"
               "    keep one of them, and give the others services of their own\n"},
        broken{"a_kind_that_is_misspelt", "[service.x]\nlisten = ':8'\nbuiltn = 'echo'\n",
               "p.toml:3:1: unknown key 'builtn'; did you mean 'builtin'?\n"},
        broken{"no_address", "[service.x]\nbuiltin = 'echo'\n",
               "p.toml:1:10: service 'x' does not say where it listens\n"
               "    for instance listen = \":8080\", which is all addresses of both families\n"},
        broken{"addresses_that_cannot_be_read",
               "[service.x]\nbuiltin = 'echo'\nlisten = [':8',\n '80', ':http,fe80::1',\n "
               "'[fe80::1]:53']\n",
               "p.toml:4:2: 'listen': '80': the port is missing\n"
               "    for a port on all addresses write :80\n"
               "p.toml:4:8: 'listen': 'fe80::1': an IPv6 address with a port needs brackets\n"
               "    write [fe80::1%eth0]:80 with your port\n"
               "p.toml:5:2: 'listen': '[fe80::1]:53': a link-local address needs a zone\n"
               "    name the interface, e.g. [fe80::1%eth0]:53\n"},
        broken{"a_number_for_an_address", "[service.x]\nbuiltin = 'echo'\nlisten = 80\n",
               "p.toml:3:10: 'listen' takes a text or a list of texts, and this is a whole number\n"
               "    write \":80\"\n"},
        broken{"a_number_in_a_list", "[service.x]\nbuiltin = 'echo'\nlisten = [':80', 81]\n",
               "p.toml:3:18: an item of 'listen' is a whole number, and each is a text in quotes\n"
               "    write \":81\"\n"},
        broken{"a_number_for_a_time", echo + "dead-after = 10\n",
               "p.toml:4:14: 'dead-after' takes a time in quotes, and this is a whole number\n"
               "    a time stands in quotes, with its unit: dead-after = \"10s\"\n"},
        broken{"a_time_without_sense", echo + "dead-after = '10 minutes'\n",
               "p.toml:4:14: 'dead-after': '10 minutes' has the unknown unit ' minutes': use ms, "
               "s, m, h or d\n"},
        broken{"a_time_out_of_range", echo + "dead-after = '0.2s'\n",
               "p.toml:4:1: 'dead-after': from 1s to 24d\n"},
        broken{"a_text_for_a_truth", echo + "nagle = 'yes'\n",
               "p.toml:4:9: 'nagle' takes true or false, and this is a text\n"
               "    write nagle = true or nagle = false, without quotes\n"},
        broken{"a_text_for_a_number", echo + "backlog = '128'\nmax-connections = 'many'\n",
               "p.toml:4:11: 'backlog' takes a whole number, and this is a text\n"
               "    write backlog = 128, without quotes\n"
               "p.toml:5:19: 'max-connections' takes a whole number, and this is a text\n"
               "    write max-connections = 1, without quotes\n"},
        broken{"a_number_out_of_range", echo + "backlog = 0\nmax-connections = 1000001\n",
               "p.toml:4:11: 'backlog' is 0, and goes from 1 to 1048576\n"
               "p.toml:5:19: 'max-connections' is 1000001, and goes from 1 to 1000000\n"},
        broken{"a_fraction", echo + "backlog = 1.5\nmode = 2026-11-21\n",
               "p.toml:4:11: 'backlog' takes a whole number, and this is a number with a fraction\n"
               "p.toml:5:8: 'mode' takes a text in quotes, and this is a date\n"},
        broken{"a_mode", echo + "mode = '0999'\n",
               "p.toml:4:8: 'mode': '0999' is not a mode: write permission bits in octal, e.g. "
               "0660\n"},
        broken{"a_mode_without_quotes", echo + "mode = 0660\n",
               "p.toml:4:12: this is no TOML: leading zeroes are prohibited, in a decimal integer\n"
               "    a mode stands in quotes: mode = \"0660\"\n"},
        broken{"keys_of_xinetd",
               "[service.x]\nport = 21\nserver = '/usr/sbin/in.ftpd'\nserver_args = '-l'\n"
               "only_from = '192.0.2.0/24'\ninstances = 9\nsocket_type = 'stream'\n",
               "p.toml:2:1: unknown key 'port'\n"
               "    the port is part of the address: listen = \":8080\"\n"
               "p.toml:3:1: unknown key 'server'\n"
               "    write program = [\"/usr/sbin/in.x\", \"-a\"]\n"
               "p.toml:4:1: unknown key 'server_args'\n"
               "    write program = [\"/usr/sbin/in.x\", \"-a\"]\n"
               "p.toml:5:1: unknown key 'only_from'\n"
               "    write allow = [\"192.0.2.0/24\", \"2001:db8::/32\"]\n"
               "p.toml:6:1: unknown key 'instances'\n"
               "    write max-connections = 50\n"
               "p.toml:7:1: unknown key 'socket_type'\n"
               "    TCP is what a service has; write udp = true for the other\n"},
        broken{"a_service_that_is_switched_off", echo + "disable = 'yes'\n",
               "p.toml:4:1: unknown key 'disable'\n"
               "    a service is switched off by taking its table out, or by renaming its file in "
               "conf.d so that it does not end in .toml, and a reload\n"},
        broken{"yes_for_true", echo + "nagle = yes\n",
               "p.toml:4:9: this is no TOML: could not determine value type, in a value\n"
               "    write true, or, where a text is meant, \"yes\"\n"},
        broken{"off_for_false", echo + "nagle = off # not now\n",
               "p.toml:4:9: this is no TOML: could not determine value type, in a value\n"
               "    write false, or, where a text is meant, \"off\"\n"},
        broken{"a_program_in_one_text", "[service.x]\nlisten = ':8'\nprogram = '/bin/cat -n'\n",
               "p.toml:3:11: 'program' takes a list of texts, and this is a text\n"
               "    write program = [\"/bin/cat\", \"-n\"]\n"},
        broken{"a_program_that_is_missing", "[service.x]\nlisten = ':8'\nprogram = ['/no/such']\n",
               "p.toml:3:1: the program /no/such: No such file or directory\n"},
        broken{"an_environment",
               "[service.x]\nlisten = ':8'\nprogram = ['/bin/cat']\n[service.x.env]\nA = 1\n2B = "
               "'x'\n\"A=B\" = 'x'\nC = \"\\u0000\"\n",
               "p.toml:5:5: 'env': A is a whole number, and a text in quotes is expected\n"
               "    write A = \"1\"\n"
               "p.toml:6:1: 'env': '2B' is no name of a variable\n"
               "    letters, digits and '_', and no digit first\n"
               "p.toml:7:1: 'env': 'A=B' is no name of a variable\n"
               "    letters, digits and '_', and no digit first\n"
               "p.toml:8:5: 'env' has a zero byte in it\n"},
        broken{"a_misleading_environment",
               "[service.x]\nlisten = ':8'\nprogram = ['/bin/cat']\nenv.LISTEN_FDS = '1'\nenv.A = "
               "''\nenv.REMOTE_ADDR = ''\n",
               "p.toml:4:5: 'env': LISTEN_FDS: that tells programs of their connection, or of the "
               "manager; portico sets it itself, or takes it away; leave it out\n"
               "p.toml:6:5: 'env': REMOTE_ADDR: that tells programs of their connection, or of the "
               "manager; portico sets it itself, or takes it away; leave it out\n"},
        broken{"an_environment_that_is_no_table",
               "[service.x]\nlisten = ':8'\nprogram = ['/bin/cat']\nenv = ['A=b']\n",
               "p.toml:4:7: 'env' takes a table of texts, and this is a list\n"
               "    write env = {NAME = \"value\"}, or a table [service.NAME.env]\n"},
        broken{"an_environment_of_no_program", echo + "env.A = '1'\n",
               "p.toml:4:1: 'env' is about a program ('program'), and service 'x' is a built-in "
               "service\n"
               "    leave it out\n"},
        broken{"an_unknown_word", relay + "balance = 'least-conections'\nproxy-out = '2'\n",
               "p.toml:4:11: 'least-conections' is no value of 'balance'; did you mean "
               "'least-connections'?\n"
               "    one of \"round-robin\", \"least-connections\", \"hash\"\n"
               "p.toml:5:13: '2' is no value of 'proxy-out'; did you mean 'v2'?\n"
               "    one of \"v1\", \"v2\"\n"},
        broken{
            "a_key_of_another_kind",
            echo + "balance = 'hash'\nidle-limit = '3s'\nsocks-users = '/x'\nchargen-limit = 5\n",
            "p.toml:4:1: 'balance' is about a relay ('to'), and service 'x' is a built-in service\n"
            "    leave it out\n"
            "p.toml:5:1: 'idle-limit' is about a relay ('to') or a SOCKS server ('socks'), and "
            "service 'x' is a built-in service\n"
            "    leave it out\n"
            "p.toml:6:1: 'socks-users' is about a SOCKS server ('socks'), and service 'x' is a "
            "built-in service\n"
            "    leave it out\n"
            "p.toml:7:1: 'chargen-limit' is about builtin = \"chargen\", and service 'x' is "
            "builtin = \"echo\"\n"
            "    leave it out\n"},
        broken{"a_key_about_connections", relay + "udp = true\nthreads = 2\nproxy-out = 'v2'\n",
               "p.toml:5:1: 'threads' is about connections, and UDP has none\n"
               "    leave it out, or take 'udp' away\n"
               "p.toml:6:1: 'proxy-out' is about connections, and UDP has none\n"
               "    leave it out, or take 'udp' away\n"},
        broken{"keys_about_connections_of_any_kind",
               echo + "udp = true\nbacklog = 5\ndead-after = '5s'\nnagle = true\n",
               "p.toml:5:1: 'backlog' is about connections, and UDP has none\n"
               "    leave it out, or take 'udp' away\n"
               "p.toml:6:1: 'dead-after' is about connections, and UDP has none\n"
               "    leave it out, or take 'udp' away\n"
               "p.toml:7:1: 'nagle' is about connections, and UDP has none\n"
               "    leave it out, or take 'udp' away\n"},
        broken{"how_many_where_there_are_no_connections",
               echo + "udp = true\nmax-connections = 5\nrate = '/32=1/1s'\n",
               "p.toml:5:1: 'max-connections': it is about connections, and UDP has none; leave it "
               "out, or 'udp'\n"
               "p.toml:6:8: 'rate': it is about connections, and UDP has none; leave it out, or "
               "'udp'\n"},
        broken{"how_many_clients_a_relay_of_datagrams_has",
               relay + "udp = true\nmax-connections = 5\n",
               "p.toml:5:1: 'max-connections': it is about connections, and UDP has none; leave it "
               "out; 'associations' is how many clients a relay of UDP may have\n"},
        broken{"a_mode_without_a_file",
               "[service.x]\nlisten = [':8', 'unix:@x']\n"
               "builtin = 'echo'\nmode = '600'\n",
               "p.toml:4:1: 'mode' is about the file of a UNIX socket, and this service listens at "
               "none\n"
               "    leave it out\n"},
        broken{"a_control_that_is_no_unix_socket",
               echo + "[serve]\ncontrol = 'foo'\nstatus = '127.0.0.1:8'\n",
               "p.toml:5:1: 'control': foo: it is told at a UNIX socket only; write unix:/path\n"
               "p.toml:6:1: 'status': 127.0.0.1:8: it is told at a UNIX socket only; write "
               "unix:/path\n"},
        broken{"a_key_about_datagrams", relay + "associations = 3\n",
               "p.toml:4:1: 'associations' is about UDP, and service 'x' has none\n"
               "    leave it out, or add udp = true\n"},
        broken{"datagrams_over_a_unix_socket",
               "[service.x]\nlisten = 'unix:/run/x'\nto = 'a:80'\nudp = true\n",
               "p.toml:3:1: unix:/run/x: datagrams of UNIX sockets are not relayed; listen on an "
               "IP address, or without 'udp'\n"},
        broken{"socks_over_udp", "[service.x]\nlisten = ':8'\nsocks = true\nudp = true\n",
               "p.toml:4:1: 'udp' does not go with 'socks', which works on connections\n"
               "    leave it out, or relay UDP with 'to'\n"},
        broken{"an_echo_of_broadcasts", echo + "udp = true\nbroadcast = true\n",
               "p.toml:5:1: 'broadcast': echo never answers what was sent to many: one forged "
               "query would bring its victim an answer from each host; leave one of them out\n"},
        broken{"a_relay_of_groups", relay + "udp = true\njoin = 'ff02::1'\n",
               "p.toml:5:1: 'join' is about a built-in service ('builtin') or a program "
               "('program'), and service 'x' is a relay\n"
               "    leave it out\n"},
        broken{"groups_that_are_none", hello + "udp = true\njoin = ['ff02::1', '192.0.2.1']\n",
               "p.toml:5:20: 'join': '192.0.2.1': 192.0.2.1 is no group: it is the address of one "
               "host; write a group like 239.1.2.3, ff02::1:2 or ff02::1:2@eth0; groups are "
               "224.0.0.0/4 and ff00::/8\n"},
        broken{"broadcasts_of_connections", hello + "broadcast = true\n",
               "p.toml:4:1: 'broadcast' is about UDP, and service 'x' has none\n"
               "    leave it out, or add udp = true\n"},
        broken{"tcp_alone", echo + "tcp = true\n",
               "p.toml:4:1: 'tcp' means nothing without 'udp'\n"
               "    TCP is what a service has; tcp = true adds it to udp = true\n"},
        broken{"both_families_of_one",
               echo + "family = 'ipv4'\nboth-families = true\nrequired = true\n",
               "p.toml:4:1: 'family' is one family, and 'both-families' asks for two\n"
               "    leave one of them out\n"
               "p.toml:6:1: 'required' is less than 'both-families' asks for\n"
               "    leave it out\n"},
        broken{"rules_that_cannot_be_read",
               echo + "allow = ['192.0.2.0/24', '192.0.2.0/99',\n'x']\nrate = '/64=1'\nmax-per = "
                      "'/33=1'\n",
               "p.toml:4:26: 'allow': '192.0.2.0/99': the prefix length is over 32; write a number "
               "from 0 to 32 after '/'\n"
               "p.toml:5:1: 'allow': 'x': a part of an IPv4 address is a number, and 'x' is not a "
               "digit; an IPv4 address is four numbers like 192.0.2.1\n"
               "p.toml:6:8: 'rate': '/64=1': a number of connections, a slash and a time are "
               "expected after =; write for instance /64=20/1s, or /64=20/1s+50 for 50 at once\n"
               "p.toml:7:11: 'max-per': '/33=1' begins with no prefix length that clients are "
               "counted by; write /32 or /24 (IPv4), /128, /64, /56 or /48 (IPv6), and =\n"},
        broken{"ports_and_a_sandbox_that_cannot_be_read",
               "[serve]\nsandbox = true\nbinder = 'yes'\nbinder-ports = ['80', '5-4']\n" + echo,
               "p.toml:2:11: 'sandbox' takes a text in quotes, and this is true or false\n"
               "    one of \"auto\", \"on\", \"off\"\n"
               "p.toml:3:10: 'binder' takes true or false, and this is a text\n"
               "    write binder = true or binder = false, without quotes\n"
               "p.toml:4:23: 'binder-ports': '5-4' are no ports: write one from 1 to 65535, such "
               "as 80, or the first and the last, such as 1-1023\n"},
        broken{"a_rule_of_nothing", echo + "allow = []\ndeny = ''\nmax-per = '/32=1,'\n",
               "p.toml:4:9: 'allow' is an empty list\n"
               "    leave the key out where nothing is meant\n"
               "p.toml:5:8: 'deny' is empty\n"
               "    leave the key out where nothing is meant\n"
               "p.toml:6:11: 'max-per' has nothing between two commas, or before or after one\n"},
        broken{"targets_that_cannot_be_read",
               "[service.x]\nlisten = ':8'\nto = ['nowhere', 'a:80', ':80']\nfrom = '1.2.3'\n",
               "p.toml:3:7: 'to': the target is HOST:PORT or unix:/path\n"
               "      nowhere\n"
               "             ^\n"
               "    the port is missing\n"
               "    hint: write nowhere:80 with your port\n"
               "p.toml:3:26: 'to': :80: that says where to listen, not whom to reach; give "
               "HOST:PORT or unix:/path\n"
               "p.toml:4:1: 'from': '1.2.3': an IPv4 address has four numbers, here are 3\n"},
        broken{
            "users_that_are_missing",
            "[service.x]\nlisten = ':8'\nsocks = true\nsocks-users = '/no/such'\nallow-to = 'x'\n",
            "p.toml:4:1: 'socks-users': /no/such: No such file or directory\n"
            "p.toml:5:12: 'allow-to': 'x': the port is missing; write x:* for all ports\n"},
        broken{"a_zero_byte",
               "[service.x]\nlisten = ':8'\nsocks = true\nsocks-users = \"/etc/passwd\\u0000\"\n",
               "p.toml:4:15: 'socks-users' has a zero byte in it\n"},
        broken{"an_address_twice", echo + "[service.y]\nlisten = ['*:7', ':8']\nbuiltin = 'time'\n",
               "p.toml:2:10: service 'y' listens on ':7' as well (p.toml:5)\n"
               "    an address and port belong to one service\n"
               "p.toml:5:11: service 'x' listens on ':7' as well (p.toml:2)\n"
               "    an address and port belong to one service\n"},
        broken{"control_characters", echo + "\"a\\u001b[31m\\n\" = 1\n",
               "p.toml:4:1: unknown key 'a\\x1b[31m\\x0a'\n"
               "    portico.toml(5) lists the keys of [service.NAME]\n"},
        broken{"no_quotes", "[service.x]\nlisten = :80\n",
               "p.toml:2:10: this is no TOML: could not determine value type, in a value\n"
               "    texts stand in quotes: listen = \":8080\"\n"},
        broken{"a_colon", "[service.x]\nlisten: \":80\"\n",
               "p.toml:2:7: this is no TOML: expected '=', saw ':', in a key-value pair\n"
               "    a setting is one line: KEY = VALUE\n"},
        broken{"a_quote_left_open", "[service.x]\nlisten = \":80\n",
               "p.toml:2:14: this is no TOML: unescaped control characters other than TAB (U+0009) "
               "are explicitly prohibited, in a string\n"
               "    the quote at the end of the line may be missing\n"},
        broken{"a_bracket_and_a_brace", "[{",
               "p.toml:1:2: this is no TOML: expected bare key starting character or string "
               "delimiter, saw '{', in a key\n"},
        broken{"a_letter_beyond_ascii", "\xc3\xa9 = 1\n",
               "p.toml:1:1: this is no TOML: expected keys, tables, whitespace or comments, saw "
               "'\\xc3\\xa9', in a root table\n"},
        broken{"a_key_twice", echo + "listen = ':8'\n",
               "p.toml:4:10: this is no TOML: cannot redefine existing string 'listen', in a "
               "key-value pair\n"
               "    each key is set once, and each table has one header\n"},
        broken{"a_service_twice", echo + echo,
               "p.toml:4:1: this is no TOML: cannot redefine existing table 'service.x', in a "
               "table header\n"
               "    each key is set once, and each table has one header\n"},
        broken{"what_is_not_utf8", "# caf\xe9\n" + echo,
               "p.toml:1:5: this is not UTF-8\n"
               "    save the file as UTF-8, which TOML always is\n"}),
    [](const auto& which) { return which.param.name; });

// ---- several files ----

TEST(config, files_are_read_together_and_told_of_in_their_order) {
    const auto read = parse_config({{"z.toml", "[log]\nlevel = 'error'\nformat = 'xml'\n"},
                                    {"conf.d/a.toml", "[service.x\n"},
                                    {"conf.d/b.toml", echo + "nagel = true\n[service.y]\n"}});
    ASSERT_FALSE(read);
    EXPECT_EQ(to_text(read.error()),
              "z.toml:3:10: 'xml' is no value of 'format'\n"
              "    one of \"logfmt\", \"json\"\n"
              "conf.d/a.toml:1:11: this is no TOML: expected ']', saw '\\n', in a table header\n"
              "conf.d/b.toml:4:1: unknown key 'nagel'; did you mean 'nagle'?\n"
              "conf.d/b.toml:5:10: service 'y' does not say what answers its clients\n"
              "    give it one of builtin = \"echo\", program = [\"/bin/cat\"], to = "
              "\"example.org:80\", socks = true\n"
              "conf.d/b.toml:5:10: service 'y' does not say where it listens\n"
              "    for instance listen = \":8080\", which is all addresses of both families\n");
}

TEST(config, services_of_several_files_are_in_their_order) {
    const auto read = parse_config({{"z.toml", "[log]\nlevel = 'error'\n" + echo},
                                    {"a.toml", "[serve]\ntimeout = '1s'\n"},
                                    {"b.toml", "service.a = {listen = ':9', builtin = 'time'}"}});
    ASSERT_TRUE(read) << to_text(read.error());
    ASSERT_EQ(read->services.size(), 2U);
    EXPECT_EQ(read->services[0].name, "x");
    EXPECT_EQ(read->services[1].where, (place{"b.toml", {1, 9}}));
    EXPECT_EQ(read->timeout, std::chrono::seconds{1});
    EXPECT_EQ(read->log.least, severity::error);
}

TEST(config, what_is_set_in_two_files_is_told_at_both_places) {
    const auto read =
        parse_config({{"a.toml", "log.level = 'info'\n" + echo},
                      {"b.toml", "log.level = 'info'\nservice.x = {listen = ':8', socks = true}"}});
    ASSERT_FALSE(read);
    EXPECT_EQ(to_text(read.error()), "a.toml:1:5: 'level' is in b.toml:1 as well\n"
                                     "    it is of the whole process: set it in one file\n"
                                     "a.toml:2:10: service 'x' is in b.toml:2 as well\n"
                                     "    each service has a name of its own\n"
                                     "b.toml:1:5: 'level' is in a.toml:1 as well\n"
                                     "    it is of the whole process: set it in one file\n"
                                     "b.toml:2:9: service 'x' is in a.toml:2 as well\n"
                                     "    each service has a name of its own\n");
}

TEST(config, one_address_of_two_services_is_told_at_both_places) {
    const auto read = parse_config({{"a.toml", echo},
                                    {"b.toml", "[service.y]\nbuiltin = 'time'\nlisten = "
                                               "['localhost:7', '0.0.0.0:7']\n"}});
    ASSERT_FALSE(read);
    EXPECT_EQ(to_text(read.error()),
              "a.toml:2:10: service 'y' listens on '0.0.0.0:7' as well (b.toml:3)\n"
              "    an address and port belong to one service\n"
              "b.toml:3:26: service 'x' listens on ':7' as well (a.toml:2)\n"
              "    an address and port belong to one service\n");
}

TEST(config, addresses_that_differ_in_family_or_transport_or_port_are_not_the_same) {
    const auto read = parse(R"(
[service]
a = {listen = ':7', builtin = 'echo', family = 'ipv4'}
b = {listen = ':7', builtin = 'echo', family = 'ipv6'}
c = {listen = [':7', '[::]:7'], builtin = 'time', udp = true}
d = {listen = ':0', builtin = 'time'}
e = {listen = ':0', builtin = 'time'}
f = {listen = 'unix:@x', builtin = 'time'}
g = {listen = ['unix:@y', '@eth0:8', 'sd:g'], builtin = 'time'}
h = {listen = ['sd:h', '127.0.0.1:8', '@eth1:8', 'a.example:8'], builtin = 'time'}
)");
    EXPECT_TRUE(read) << to_text(read.error());
}

TEST(config, a_unix_socket_is_one_service_whatever_goes_over_it) {
    EXPECT_THAT(faults("service.a = {listen = 'unix:/x', builtin = 'time'}\n"
                       "service.b = {listen = '/x', builtin = 'time', udp = true}\n"),
                HasSubstr("p.toml:2:23: service 'a' listens on 'unix:/x' as well (p.toml:1)\n"));
}

// ---- limits ----

TEST(config, mistakes_are_told_up_to_a_limit) {
    std::string text = echo;
    for (std::size_t i = 0; i < 300; ++i) {
        text += "zzzzzzzzzzz" + std::to_string(i) + " = 1\n";
    }
    const auto read = parse(text);
    ASSERT_FALSE(read);
    ASSERT_EQ(read.error().size(), 201U);
    EXPECT_EQ(read.error().back().text, "there are more than 200 mistakes in this file");
    EXPECT_EQ(read.error().back().where.at.line, 204U);
}

TEST(config, a_deep_document_is_refused_and_not_followed) {
    std::string dots = "a";
    std::string quoted_dots = "x = [\"\"\"text\"\"\"\", \"\"\"a.b\"\"\"] # c.d\n'a'";
    for (int i = 0; i < 200'000; ++i) {
        dots += ".a";
        quoted_dots += " . 'a'";
    }
    for (const auto& each : {dots + " = 1\n", '[' + dots + "]\n", quoted_dots + " = 1\n",
                             "x = {" + dots + " = 1}\n"}) {
        EXPECT_THAT(faults(each), HasSubstr("this key has too many dots")) << each.substr(0, 50);
    }
    EXPECT_THAT(faults("x = " + std::string(1000, '[')), HasSubstr("nested"));
    EXPECT_THAT(faults("[service.x]\n# 1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17.18\n"
                       "listen = ':1'\nbuiltin = 'echo'\n"
                       "allow = '192.0.2.1,192.0.2.2,192.0.2.3,192.0.2.4,192.0.2.5,192.0.2.6'\n"
                       "deny = '''1.2.3.4,1.2.3.5,1.2.3.6,1.2.3.7,1.2.3.8,1.2.3.9'''\n"),
                IsEmpty());
}

TEST(config, a_long_text_is_cut_in_a_message) {
    const auto said =
        faults(echo + std::string(100'000, 'k') + " = 1\ndead-after = '" +
               std::string(100'000, 'v') + "'\nallow = '" + std::string(100'000, 'w') + "'\n");
    EXPECT_LT(said.size(), 3000U);
    EXPECT_THAT(said, HasSubstr("kkk...'"));
    EXPECT_THAT(said, HasSubstr("vvv..."));
    EXPECT_THAT(said, HasSubstr("www..."));
}

// ---- later errors ----

TEST(config, a_later_error_of_the_process_is_told_where_its_setting_stands) {
    const auto read =
        parse_config({{"p.toml", echo}, {"conf.d/a.toml", "[serve]\nuser = 'nobody'\n"}});
    ASSERT_TRUE(read) << to_text(read.error());
    EXPECT_EQ(read->user, "nobody");
    EXPECT_EQ(to_text({read->locate({"user", "there is no such user"})}),
              "conf.d/a.toml:2:1: 'user': there is no such user\n");
    EXPECT_EQ(to_text({read->locate({"group", "there is no such group"})}),
              "p.toml: 'group': there is no such group\n");
}

TEST(config, a_later_error_is_told_where_its_setting_stands) {
    const auto read = parse(relay + "from = '192.0.2.1'\n");
    ASSERT_TRUE(read) << to_text(read.error());
    const auto& service = read->services.front();
    EXPECT_EQ(to_text({service.locate({"from", "no device has it"})}),
              "p.toml:4:1: 'from': no device has it\n");
    EXPECT_EQ(to_text({service.locate({"threads", "too many"})}),
              "p.toml:1:10: 'threads': too many\n");
    EXPECT_EQ(to_text({service.locate({"", "it failed\nlook"})}),
              "p.toml:1:10: service 'x': it failed\n    look\n");
}

} // namespace
} // namespace portico::app
