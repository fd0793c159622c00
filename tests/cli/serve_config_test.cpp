// The configuration of `portico serve`, as its users meet it.

#include "listening.hpp"

#include <fstream>
#include <gmock/gmock.h>

namespace portico {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testkit::run_command;

class serve_config : public command_test {
protected:
    std::string write(const std::string& name, const std::string& text) {
        const std::filesystem::path path = file(name);
        std::filesystem::create_directories(path.parent_path());
        std::ofstream{path} << text;
        return path.string();
    }
};

TEST_F(serve_config, every_mistake_is_told_and_nothing_is_started) {
    const auto main = write("portico.toml", "[service.a]\nlisten = 80\nbultin = 'echo'\n");
    write("conf.d/b.toml", "[service.b]\nlisten = ':7001'\nbuiltin = 'echo'\nallow = []\n");
    write("conf.d/c.toml", "[service.c\n");
    for (const std::string how : {"", " --check"}) {
        const auto got = run_command(command + " serve " + main + how);
        EXPECT_EQ(got.status, 100);
        EXPECT_THAT(
            got.output,
            AllOf(HasSubstr("/portico.toml:2:10: 'listen' takes a text"),
                  HasSubstr("/portico.toml:3:1: unknown key 'bultin'; did you mean 'builtin'?\n"),
                  HasSubstr("/conf.d/b.toml:4:9: 'allow' is an empty list\n"),
                  HasSubstr("/conf.d/c.toml:1:11: this is no TOML"), Not(HasSubstr("listening"))));
    }
}

TEST_F(serve_config, a_program_gets_its_variables) {
    const auto main = write("portico.toml", R"([service.told]
listen = "localhost:7001"
program = ["sh", "-c", 'echo "$A_2|$PATH|$TCPREMOTEIP|$HOME"']

[service.told.env]
A_2 = "x = 'y'"
PATH = "/bin:/usr/bin:/nowhere"
)");
    testkit::process_options how;
    how.environment["PATH"] = "/usr/bin:/bin";
    how.environment["HOME"] = "/home";
    process server{{command, "serve", main}, how};
    ASSERT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:7001")) << server.err();
    EXPECT_EQ(read_to_end(connect_to(ip::parse_endpoint("127.0.0.1:7001").value())).text,
              "x = 'y'|/bin:/usr/bin:/nowhere|127.0.0.1|/home\n");
}

TEST_F(serve_config, options_and_variables_hold_at_the_start_after_a_reload_and_a_handover) {
    const std::string text = "[log]\nformat = 'logfmt'\n[serve]\nstatus = 'unix:" + file("file") +
                             "'\n[service.a]\nlisten = '127.0.0.1:7001'\nbuiltin = 'echo'\n";
    const auto main = write("portico.toml", text);
    testkit::process_options how;
    how.environment = {{"PORTICO_LOG_FORMAT", "json"},
                       {"PORTICO_SERVE_STATUS", "unix:" + file("variable")},
                       {"PORTICO_SERVE_USR", "nobody"},
                       {"PORTICO_SERVE_PID_FILE", file("pid1")}};
    process server{{command, "serve", "--set", "service.a.listen=127.0.0.1:7009", main, "--set",
                    "serve.pid-file=" + file("pid2"), "--set",
                    "metrics.listen=[::1]:7002,127.0.0.1:7002"},
                   how};
    const auto is_as_it_was_set = [&] {
        const auto where = [](const char* at) { return ip::parse_endpoint(at).value(); };
        EXPECT_EQ(ask(connect_to(where("127.0.0.1:7009")), "hi"), "hi");
        EXPECT_FALSE(
            os::connect(blocking(os::socket(where("127.0.0.1:7001"), ip::transport::tcp).value()),
                        where("127.0.0.1:7001")));
        EXPECT_THAT(ask(connect_to(where("[::1]:7002")), "GET /metrics HTTP/1.0\r\n\r\n"),
                    HasSubstr("200 OK"));
        EXPECT_TRUE(std::filesystem::exists(file("variable")));
        EXPECT_FALSE(std::filesystem::exists(file("file")));
        EXPECT_TRUE(std::filesystem::exists(file("pid2")));
        EXPECT_FALSE(std::filesystem::exists(file("pid1")));
    };
    ASSERT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:7009\n")) << server.err();
    EXPECT_TRUE(server.wait_for_err(R"("msg":"a variable that means nothing".*PORTICO_SERVE_USR)"
                                    R"(.*did you mean 'PORTICO_SERVE_USER')"));
    is_as_it_was_set();

    write("portico.toml", text + "[service.b]\nlisten = '127.0.0.1:7003'\nbuiltin = 'echo'\n");
    server.signal(SIGHUP);
    ASSERT_TRUE(server.wait_for_out("reloaded 1")) << server.err();
    EXPECT_TRUE(server.wait_for_err(R"("msg":"reloaded".*"services.unchanged":3)"));
    is_as_it_was_set();

    server.signal(SIGUSR2);
    const auto next = server.wait_for_out("handed over to (\\d+)\n");
    ASSERT_TRUE(next) << server.err();
    EXPECT_EQ(server.wait(), 0);
    is_as_it_was_set();
    ::kill(std::stoi(*next), SIGTERM);
}

TEST_F(serve_config, options_hold_for_check_and_diff_and_their_mistakes_stand_with_the_file_s) {
    const auto main = write("portico.toml", "[service.a]\nlisten = ':7001'\nbuiltin = 'echo'\n");
    const auto next = write("next.toml", "[service.a]\nlisten = ':7002'\nbuiltin = 'echo'\n");
    const auto serve = command + " serve " + main;
    EXPECT_THAT(run_command(serve + " --check --set service.a.listen=:7009").output,
                AllOf(HasSubstr(":7009"), Not(HasSubstr(":7001"))));
    EXPECT_THAT(run_command(serve + " --diff " + next + " --set service.a.listen=:7009").output,
                AllOf(HasSubstr("go on  service a"), Not(HasSubstr("open"))));
    write("conf.d/b.toml", "[service.b]\nlisten = 'unix:" + file("b") + "'\nbuiltin = 'echo'\n");
    const auto elsewhere = write("elsewhere/next.toml", "[service.a]\nlisten = ':7001'\n"
                                                        "builtin = 'echo'\n");
    EXPECT_THAT(run_command(serve + " --diff " + elsewhere).output,
                AllOf(HasSubstr("go on  service b"), HasSubstr("\nkeep  unix:")))
        << "it takes the place of the file, beside the same conf.d";
    write("elsewhere/conf.d/c.toml", "[service.c]\nlisten = ':7003'\nbuiltin = 'echo'\n");
    EXPECT_THAT(run_command(serve + " --diff " + elsewhere).output,
                AllOf(HasSubstr("start  service c"), HasSubstr("stop   service b")));
    std::filesystem::remove(file("conf.d/b.toml"));
    const auto wrong = run_command("PORTICO_SERVE_SANDBOX=yes PORTICO_SERVE_USR=x " + serve +
                                   " --check --set serve.usr=x");
    EXPECT_EQ(wrong.status, 100);
    EXPECT_EQ(wrong.output,
              "portico: serve: the configuration is wrong:\n"
              "PORTICO_SERVE_SANDBOX: 'yes' is no value of 'sandbox'\n"
              "    one of \"auto\", \"on\", \"off\"\n"
              "--set serve.usr: unknown key 'usr'; did you mean 'user'?\n"
              "portico: serve: PORTICO_SERVE_USR: unknown variable; did you mean "
              "'PORTICO_SERVE_USER'?\n"
              "    variables are called as keys are, PORTICO_SERVE_PID_FILE for pid-file in "
              "[serve]\n");
}

TEST_F(serve_config, a_service_that_an_option_is_about_and_that_is_gone_is_told) {
    const std::string text = "[service.a]\nlisten = '127.0.0.1:7001'\nbuiltin = 'echo'\n";
    const auto main =
        write("portico.toml", text + "[service.b]\nlisten = ':7002'\nbuiltin = 'echo'\n");
    process server{{command, "serve", main, "--set", "service.b.max-connections=7"}};
    ASSERT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:7001\n")) << server.err();
    write("portico.toml", text);
    server.signal(SIGHUP);
    ASSERT_TRUE(server.wait_for_err("not reloaded")) << server.err();
    EXPECT_THAT(server.err(),
                AllOf(HasSubstr("config.setting=\"--set service.b.max-connections\" detail="),
                      HasSubstr("holds until the process ends: without it, start anew")));
}

TEST_F(serve_config, how_much_is_logged_is_no_option_and_the_message_says_what_it_is) {
    EXPECT_THAT(run_command(command + " serve --verbose x").output,
                HasSubstr("level and format in [log]"));
    EXPECT_THAT(run_command(command + " serve --verbosity x").output, Not(HasSubstr("[log]")));
}

TEST_F(serve_config, the_example_can_be_served) {
    const auto got =
        run_command(command + " serve " + PORTICO_SOURCES + "/examples/serve/portico.toml --check");
    EXPECT_EQ(got.status, 0) << got.output;
    EXPECT_THAT(got.output, AllOf(HasSubstr("service hello: hello\n"), HasSubstr("relay to"),
                                  HasSubstr("[::]:8080")));
}

} // namespace
} // namespace portico
