#include "config/outer_settings.hpp"

#include "config/config.hpp"
#include "config/keys.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace portico::app {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;
using words = std::vector<std::string>;

const std::string service = "[service.web]\nlisten = ':8080'\nbuiltin = 'echo'\n";

// What options say, weakest first.
std::vector<outer_setting> options(const words& set) {
    std::vector<outer_setting> all;
    for (const auto& each : set) {
        all.push_back(parse_outer_setting(each));
    }
    return all;
}

or_diagnostics<serve_config> read(const std::string& text, const words& set) {
    const auto outer = options(set);
    return parse_config({{"p.toml", text}}, read_service, outer);
}

std::string faults(const std::string& text, const words& set) {
    const auto got = read(text, set);
    return got ? "" : to_text(got.error());
}

// The path of a key: "serve.user", "service.web.to".
std::string path_of(const key& which) {
    constexpr std::array tables{"log", "serve", "metrics", "service.web"};
    return std::string{tables[static_cast<std::size_t>(which.in)]} + '.' + std::string{which.name};
}

// ---- every key ----

TEST(outer_settings, every_key_can_be_set_and_what_is_wrong_names_the_option) {
    for (const auto& each : all_keys()) {
        const auto told = faults(service, {path_of(each) + '='});
        EXPECT_THAT(told, HasSubstr("--set " + path_of(each) + ": ")) << each.name;
        EXPECT_THAT(told, HasSubstr('\'' + std::string{each.name} + '\''));
    }
}

TEST(outer_settings, every_key_of_the_process_has_its_variable) {
    std::size_t seen = 0;
    for (const auto& each : all_keys()) {
        const auto name = variable_of(each);
        ASSERT_EQ(name.empty(), each.in == table::service) << each.name;
        if (name.empty()) {
            continue;
        }
        const auto read = read_outer_variables(words{name + "=x"});
        ASSERT_EQ(read.settings.size(), 1U) << name;
        EXPECT_EQ(read.settings[0].source, name);
        EXPECT_EQ(read.settings[0].path, path_of(each));
        EXPECT_EQ(read.settings[0].text, "x");
        EXPECT_THAT(read.unknown, IsEmpty());
        ++seen;
    }
    EXPECT_GE(seen, 14U);
    EXPECT_EQ(variable_of(*find_key(table::serve, "pid-file")), "PORTICO_SERVE_PID_FILE");
    EXPECT_EQ(variable_of(*find_key(table::metrics, "listen")), "PORTICO_METRICS_LISTEN");
}

// ---- values ----

TEST(outer_settings, a_value_is_of_toml_or_a_text_as_it_is) {
    const auto got =
        read(service, {"serve.user=www-data", "serve.group=33", "serve.timeout=5s",
                       "serve.binder=true", "serve.binder-ports=[\"80\", \"443\"]",
                       "log.level=\"debug\"", "metrics.listen=[::1]:9100, 127.0.0.1:9100",
                       "service.web.max-connections=10", "service.web.listen=[':81', ':82']"});
    ASSERT_TRUE(got) << to_text(got.error());
    EXPECT_EQ(got->user, "www-data");
    EXPECT_EQ(got->group, "33");
    EXPECT_EQ(got->timeout, std::chrono::seconds{5});
    EXPECT_TRUE(got->binder);
    EXPECT_THAT(got->binder_ports, ElementsAre("80", "443"));
    EXPECT_EQ(got->log.least, severity::debug);
    ASSERT_EQ(got->services.size(), 2U);
    EXPECT_EQ(got->services[0].request.door.max_connections, 10U);
    EXPECT_EQ(got->services[0].wishes.size(), 2U);
    EXPECT_EQ(got->services[1].wishes.size(), 2U);
    EXPECT_EQ(got->keys.at("user"), (place{"--set serve.user", {}}));
    EXPECT_THAT(got->files, ElementsAre("p.toml"));
    EXPECT_THAT(got->text, HasSubstr("user = \"www-data\"")) << "what --check and a reload compare";
}

TEST(outer_settings, a_variable_of_a_program_is_set_beside_the_others) {
    const auto got = read("[service.web]\nlisten = ':1'\nprogram = ['/bin/cat']\n"
                          "[service.web.env]\nA = 'file'\nB = 'file'\n",
                          {"service.web.env.B=1", "service.web.env.C=x = y"});
    ASSERT_TRUE(got) << to_text(got.error());
    EXPECT_THAT(got->services[0].text, HasSubstr(R"(env = {A = "file", B = "1", C = "x = y"})"));
}

TEST(outer_settings, a_value_cannot_bring_another_key) {
    EXPECT_THAT(faults(service, {"serve.binder=true\nuser = 'root'"}),
                StartsWith("--set serve.binder: 'binder' takes true or false"));
}

TEST(outer_settings, a_text_without_quotes_is_taken_letter_by_letter) {
    const auto got = read(service, {"serve.pid-file=/run/\"a\" \\b\t\u00e9 # c"});
    ASSERT_TRUE(got) << to_text(got.error());
    EXPECT_EQ(got->pid_file, "/run/\"a\" \\b\t\u00e9 # c");
    EXPECT_EQ(faults(service, {"serve.pid-file=/run/\xe9"}),
              "--set serve.pid-file: this is not UTF-8\n");
}

// ---- which one counts ----

TEST(outer_settings, an_option_goes_before_a_variable_and_both_before_every_file) {
    auto outer =
        read_outer_variables(words{"PORTICO_SERVE_USER=variable", "PORTICO_SERVE_GROUP=variable",
                                   "PORTICO_LOG_FORMAT=json", "PORTICO_LOG_LEVEL="})
            .settings;
    outer.push_back(parse_outer_setting("serve.user=first"));
    outer.push_back(parse_outer_setting("serve.user=last"));
    const auto got =
        parse_config({{"p.toml", "[serve]\nuser = 'file'\nsandbox = 'on'\n" + service},
                      {"conf.d/a.toml", "[serve]\ngroup = 'file'\n"
                                        "[log]\nformat = 'logfmt'\nlevel = 'error'\n"}},
                     read_service, outer);
    ASSERT_TRUE(got) << to_text(got.error());
    EXPECT_EQ(got->user, "last");
    EXPECT_EQ(got->group, "variable");
    EXPECT_EQ(got->sandbox, "on");
    EXPECT_EQ(got->log.format, log_format::json);
    EXPECT_EQ(got->log.least, severity::error) << "an empty variable says nothing";
    EXPECT_EQ(got->keys.at("group").file, "PORTICO_SERVE_GROUP");
    EXPECT_EQ(got->keys.at("sandbox"), (place{"p.toml", {3, 1}}));
}

TEST(outer_settings, a_socket_of_the_process_moves) {
    const auto got =
        read("[serve]\nstatus = 'unix:/run/file'\n[metrics]\nlisten = ':9100'\n" + service,
             {"serve.status=unix:/run/option", "metrics.listen=:9200"});
    ASSERT_TRUE(got) << to_text(got.error());
    ASSERT_EQ(got->services.size(), 3U);
    EXPECT_EQ(ip::to_text(got->services[1].wishes.front().where), "unix:/run/option");
    EXPECT_EQ(ip::to_text(got->services[2].wishes.front().where), ":9200");
}

// ---- what is wrong ----

TEST(outer_settings, mistakes_are_told_with_those_of_the_file_and_behind_them) {
    EXPECT_EQ(faults("[serve]\nuser = 5\n" + service,
                     {"serve.usr=x", "sreve.user=x", "user=x", "serve.sandbox=yes", "log.names",
                      "service.wbe.nagle=true", "service.web=1", "service.web.max-conections=1",
                      "service.web.max-connections=many", "a.b.c.d.e=1"}),
              "p.toml:2:8: 'user' takes a text in quotes, and this is a whole number\n"
              "    write \"5\"\n"
              "--set log.names: the value is missing\n"
              "    write --set TABLE.KEY=VALUE\n"
              "--set service.wbe.nagle: no file has a service 'wbe'; did you mean 'web'?\n"
              "    a service begins in a file, with [service.NAME]; and --set service.wbe.nagle "
              "holds until the process ends: without it, start anew\n"
              "--set service.web: this names no key of a service\n"
              "    write --set service.NAME.KEY=VALUE\n"
              "--set a.b.c.d.e: this key has too many dots\n"
              "    the longest is service.NAME.env.VARIABLE\n"
              "--set serve.usr: unknown key 'usr'; did you mean 'user'?\n"
              "--set serve.sandbox: 'yes' is no value of 'sandbox'\n"
              "    one of \"auto\", \"on\", \"off\"\n"
              "--set sreve.user: unknown table 'sreve'; did you mean 'serve'?\n"
              "    there are [log], [serve], [metrics] and [service.NAME]\n"
              "--set user: unknown key 'user' outside of a table\n"
              "    it goes into [serve]\n"
              "--set service.web.max-conections: unknown key 'max-conections'; did you mean "
              "'max-connections'?\n"
              "--set service.web.max-connections: 'max-connections' takes a whole number, and this "
              "is a text\n"
              "    write max-connections = 1\n");
}

TEST(outer_settings, a_service_is_not_missed_where_a_file_cannot_be_read) {
    EXPECT_THAT(faults("[service.web\n", {"service.web.nagle=true"}),
                AllOf(HasSubstr("this is no TOML"), Not(HasSubstr("no file has"))));
}

TEST(outer_settings, two_that_take_the_same_address_name_each_other) {
    EXPECT_EQ(faults(service, {"metrics.listen=:8080"}),
              "p.toml:2:10: service 'metrics' listens on ':8080' as well (--set "
              "metrics.listen)\n"
              "    an address and port belong to one service\n"
              "--set metrics.listen: service 'web' listens on ':8080' as well (p.toml:2)\n"
              "    an address and port belong to one service\n");
}

TEST(outer_settings, a_later_mistake_of_a_service_names_the_option) {
    const auto got = read(service, {"service.web.backlog=7"});
    ASSERT_TRUE(got) << to_text(got.error());
    EXPECT_EQ(to_text({got->services[0].locate({"backlog", "why"})}),
              "--set service.web.backlog: 'backlog': why\n");
}

// ---- variables that are none ----

TEST(outer_settings, a_variable_that_is_called_like_one_is_told_and_no_other) {
    const auto read = read_outer_variables(
        words{"PORTICO_SERVE_USR=x", "PORTICO_METRICS_PORT=tcp://10.0.0.1:1",
              "PORTICO_LOG_FORMAT=", "PORTICO_CONFIG=x", "PORTICO_CONTROL=x", "PORTICO_RESOLVE=x",
              "PORTICO_HANDOVER=3", "PORTICO_SERVICE_HOST=10.0.0.1",
              "PORTICO_SERVE_USRR=", "PORTICO_INTERFACE=eth0", "serve", "PORTICO_LOG_"});
    EXPECT_THAT(read.settings, IsEmpty());
    ASSERT_EQ(read.unknown.size(), 2U);
    EXPECT_THAT(to_text(read.unknown),
                AllOf(StartsWith("PORTICO_SERVE_USR: unknown variable; did you mean "
                                 "'PORTICO_SERVE_USER'?\n"),
                      HasSubstr("\nPORTICO_METRICS_PORT: unknown variable")));
}

TEST(outer_settings, a_variable_is_missed_by_a_letter_of_its_table_too_and_links_are_none) {
    const auto read = read_outer_variables(words{
        "PORTICO_METRIC_LISTEN=:1", "PORTICO_SERVER_USER=x", "PORTICO_PORT=tcp://10.0.0.1:80",
        "PORTICO_PORT_80_TCP_ADDR=10.0.0.1", "PORTICO_PORT_80_TCP_PROTO=tcp",
        "PORTICO_SERVICE_PORT=80", "PORTICO_SERVICE_PORT_HTTP=80", "PORTICO_SERVICE_PORT_METRICS=1",
        "PORTICO_NAME=/a/b", "PORTICO_ENV_LOG=x", "PORTICO_VERSION=1", "PORTICO_=x"});
    EXPECT_THAT(read.settings, IsEmpty());
    ASSERT_EQ(read.unknown.size(), 2U) << to_text(read.unknown);
    EXPECT_THAT(to_text(read.unknown),
                AllOf(StartsWith("PORTICO_METRIC_LISTEN: unknown variable; did you mean "
                                 "'PORTICO_METRICS_LISTEN'?\n"),
                      HasSubstr("PORTICO_SERVER_USER: unknown variable; did you mean "
                                "'PORTICO_SERVE_USER'?\n")));
}

} // namespace
} // namespace portico::app
