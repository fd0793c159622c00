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

TEST_F(serve_config, the_example_can_be_served) {
    const auto got =
        run_command(command + " serve " + PORTICO_SOURCES + "/examples/serve/portico.toml --check");
    EXPECT_EQ(got.status, 0) << got.output;
    EXPECT_THAT(got.output, AllOf(HasSubstr("service hello: hello\n"), HasSubstr("relay to"),
                                  HasSubstr("[::]:8080")));
}

} // namespace
} // namespace portico
