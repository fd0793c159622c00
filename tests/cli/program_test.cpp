// Programs behind `portico listen`: what they are given, how they end, and those that take their
// clients themselves.

#include "listening.hpp"

#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <regex>

namespace portico {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;
using testkit::run_command;

class program : public command_test {
protected:
    void write(const std::string& name, std::string_view text) const {
        std::ofstream{file(name)} << text;
    }
    // Answers one client, and ends.
    static std::vector<std::string> answer_one(const std::string& answer) {
        return {
            "python3", "-Ic",
            "import os, socket\nclient, _ = socket.socket(fileno=0).accept()\nclient.sendall((" +
                answer + ").encode())"};
    }
    static std::vector<std::string> with(std::vector<std::string> options,
                                         const std::vector<std::string>& words) {
        options.emplace_back("--");
        options.insert(options.end(), words.begin(), words.end());
        return options;
    }
};

TEST_F(program, gets_what_the_options_say) {
    write("variables", "# for the test\nB='from file'\nC=gone\n");
    listening server{{"[::1]:0", "--cwd", "/usr", "--umask", "027", "--nice", "5", "--rlimit",
                      "nofile=70:77,core=0", "--env", "A=b c", "--env", "C=1", "--env-file",
                      file("variables"), "--", "sh", "-c",
                      "pwd; umask; nice; ulimit -Sn; ulimit -Hn; ulimit -c; echo $A,$B,$C"}};
    EXPECT_EQ(read_to_end(connect_to(server.at("::1"))).text,
              "/usr\n0027\n5\n70\n77\n0\nb c,from file,1\n");
}

TEST_F(program, has_no_descriptor_but_the_first_three) {
    listening server{{"[::1]:0", "--", "ls", "/proc/self/fd"}};
    EXPECT_EQ(read_to_end(connect_to(server.at("::1"))).text, "0\n1\n2\n3\n"); // 3 is the listing
}

TEST_F(program, is_held_in_its_root) {
    const auto root = file("root");
    testkit::must_run("mkdir -p " + root + "/bin " + root + "/data && cp /bin/sh " + root +
                      "/bin && for each in $(ldd /bin/sh | grep -o '/[^ ]*'); do "
                      "mkdir -p " +
                      root + "$(dirname $each) && cp $each " + root + "$each; done");
    listening server{
        {"[::1]:0", "--chroot", root, "--cwd", "/data", "--", "sh", "-c", "pwd; cd /; echo *"}};
    EXPECT_THAT(read_to_end(connect_to(server.at("::1"))).text,
                MatchesRegex("/data\nbin data lib(.|\n)*"));
}

// In this namespace nobody may become anybody else, as for a user who is not root.
TEST_F(program, that_may_not_become_its_user_is_told_at_the_start) {
    process server{{command, "listen", "[::1]:0", "--user", "nobody", "--", "cat"}};
    EXPECT_EQ(server.wait(), 100);
    EXPECT_THAT(server.err(), MatchesRegex("portico: listen: the program /(usr/)?bin/cat: set the "
                                           "supplementary groups: Operation not permitted; .*\n"));
    EXPECT_EQ(server.out(), "");
}

// ---- stderr ----

TEST_F(program, what_it_says_on_stderr_may_go_to_the_log) {
    listening server{
        {"[::1]:0", "--stderr", "log", "--", "sh", "-c", "echo 'a \"word\"' >&2; echo out"}};
    EXPECT_EQ(read_to_end(connect_to(server.at("::1"))).text, "out\n");
    EXPECT_TRUE(server->wait_for_err("level=warning msg=\"program wrote to stderr\" connection=1 "
                                     "process.pid=[0-9]+ line=\"a \\\\\"word\\\\\"\""));
}

TEST_F(program, what_it_says_on_stderr_may_go_to_the_client) {
    listening server{{"[::1]:0", "--stderr", "connection", "--", "sh", "-c", "echo err >&2"}};
    EXPECT_EQ(read_to_end(connect_to(server.at("::1"))).text, "err\n");
}

TEST_F(program, that_floods_stderr_is_read_but_not_logged) {
    listening server{
        {"[::1]:0", "--stderr", "log", "--", "sh", "-c", "yes | head -c 400000 >&2; echo done"}};
    EXPECT_EQ(read_to_end(connect_to(server.at("::1"))).text, "done\n");
    ASSERT_TRUE(server->wait_for_err("connection ended"));
    EXPECT_EQ(server.end(), 0);
    const auto log = server->err();
    EXPECT_THAT(log, HasSubstr("lines of stderr were dropped"));
    const std::regex line{"line=y\n"};
    const auto lines = std::distance(std::sregex_iterator{log.begin(), log.end(), line}, {});
    EXPECT_GE(lines, 500);
    EXPECT_LT(lines, 100'000); // of 200,000
}

// ---- the end ----

TEST_F(program, that_runs_too_long_is_ended_with_all_it_has_started) {
    listening server{{"[::1]:0", "--time-limit", "100ms", "--", "sh", "-c", "sleep 1000; true"}};
    EXPECT_EQ(read_to_end(connect_to(server.at("::1"))).text, ""); // sleep has the connection, too
    EXPECT_TRUE(server->wait_for_err("connection ended.*process.exit.code=143 "
                                     "error.type=ETIMEDOUT.*time limit"));
    EXPECT_EQ(server.end(), 0);
}

// The host is killed; clients do not notice, and the next host is not kept from its socket.
TEST_F(program, goes_on_when_the_host_is_killed) {
    const auto name = ip::unix_name::path(file("s")).value();
    os::fd client;
    {
        process server{{command, "listen", "unix:" + file("s"), "--", "cat"}};
        ASSERT_TRUE(server.wait_for_out("listening"));
        client = connect_to(name);
        EXPECT_EQ(ask(client, "before"), "before");
        server.signal(SIGKILL);
        EXPECT_EQ(server.wait(), 128 + SIGKILL);
    }
    EXPECT_EQ(ask(client, "after"), "after");
    EXPECT_TRUE(std::filesystem::exists(file("s")));
    process next{{command, "listen", "unix:" + file("s"), "--", "cat"}};
    ASSERT_TRUE(next.wait_for_out("listening"));
    EXPECT_EQ(ask(connect_to(name), "next"), "next");
    EXPECT_EQ(ask(client, "still"), "still");
}

// ---- wait ----

TEST_F(program, may_take_its_clients_itself) {
    NEEDS("python3");
    listening server{with({"[::1]:0", "--wait"},
                          answer_one("os.environ['PROTO'] + ' ' + os.environ['TCPLOCALIP'] + ' ' + "
                                     "str(os.environ['LISTEN_PID'] == str(os.getpid()))"))};
    for (int i = 1; i <= 3; ++i) {
        EXPECT_EQ(read_to_end(connect_to(server.at("::1"))).text, "TCP ::1 True");
        EXPECT_TRUE(server->wait_for_err("program ended.*run=" + std::to_string(i) +
                                         " .*"
                                         "process.exit.code=0"));
    }
    EXPECT_EQ(server.end(), 0);
    EXPECT_THAT(server->err(), Not(HasSubstr("pause=")));
}

// systemd-socket-proxyd takes its sockets from LISTEN_FDS, and only if LISTEN_PID is its own.
TEST_F(program, may_be_one_that_knows_inherited_sockets) {
    const std::string proxy = "/lib/systemd/systemd-socket-proxyd";
    if (!std::filesystem::exists(proxy)) {
        GTEST_SKIP() << proxy << " is not installed";
    }
    const target_here target;
    const auto port = target.name().substr(target.name().rfind(':'));
    listening server{{"[::1]:0", "--wait", "--", proxy, "::1" + port}}; // it wants no brackets
    const auto client = connect_to(server.at("::1"));
    put(client, "through");
    const auto there = target.accept();
    EXPECT_EQ(take(there), "through");
    EXPECT_EQ(server.end(), 0);
}

TEST_F(program, may_take_datagrams_on_both_families) {
    NEEDS("python3");
    listening server{with({":0", "--udp", "--wait"},
                          {"python3", "-Ic",
                           "import os, socket\n"
                           "s = socket.socket(fileno=0)\n"
                           "text, who = s.recvfrom(100)\n"
                           "s.sendto((os.environ['UDPLOCALIP'] + ' ').encode() + text, who)"})};
    for (const auto& [address, answer] :
         {std::pair{"127.0.0.1", "0.0.0.0 query"}, {"::1", ":: query"}}) {
        const auto client = connect_to(server.at(address), ip::transport::udp);
        put(client, "query");
        EXPECT_EQ(take(client), answer);
    }
    EXPECT_EQ(server.end(), 0);
}

TEST_F(program, that_takes_nothing_is_started_less_and_less) {
    listening server{{"[::1]:0", "--wait", "--", "true"}};
    const auto client = connect_to(server.at("::1"));
    EXPECT_TRUE(server->wait_for_err("level=warning msg=\"program ended\" run=1 .*pause=0.1\\d* "
                                     "hint="));
    EXPECT_TRUE(server->wait_for_err("run=2 .*pause=0.2\\d* "));
    EXPECT_EQ(server.end(), 0);
}

TEST_F(program, that_serves_by_itself_is_told_to_end_with_the_service) {
    NEEDS("python3");
    process server{{command, "listen", "unix:" + file("s"), "--wait", "--", "python3", "-Ic",
                    "import signal, socket, sys\n"
                    "signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))\n"
                    "listening = socket.socket(fileno=0)\n"
                    "while True:\n"
                    "    client, _ = listening.accept()\n"
                    "    client.sendall(b'ready')\n"
                    "    client.close()\n"}};
    ASSERT_TRUE(server.wait_for_out("listening"));
    const auto name = ip::unix_name::path(file("s")).value();
    EXPECT_EQ(read_to_end(connect_to(name)).text, "ready");
    EXPECT_EQ(read_to_end(connect_to(name)).text, "ready");
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait(), 0);
    EXPECT_THAT(server.err(), HasSubstr("process.exit.code=9"));
    EXPECT_THAT(server.err(), HasSubstr("programs=1"));
    EXPECT_FALSE(std::filesystem::exists(file("s")));
}

// ---- mistakes ----

struct mistake {
    std::vector<std::string> options;
    std::string said;
};

TEST_F(program, mistakes_are_explained) {
    write("bad", "A=1\nno variable\nexport B=2\n");
    const std::vector<mistake> all{
        {{"--user", "no-such-user"}, "--user: there is no user 'no-such-user'"},
        {{"--group", "no-such-group"}, "--group: there is no group 'no-such-group'"},
        {{"--groups", "root,no-such-group"}, "--groups: there is no group 'no-such-group'"},
        {{"--user", "4294967295"}, "--user: 4294967295 is no number of a user"},
        {{"--user", "4000000000"}, "give --group as well"},
        {{"--umask", "088"}, "--umask: '088' is no umask: write it in octal"},
        {{"--rlimit", "files=1"}, "there is no limit 'files'; there are as, core, cpu"},
        {{"--rlimit", "nofile"}, "there is no '='"},
        {{"--rlimit", "nofile=2:1"}, "cannot be above the hard one"},
        {{"--nice", "20"}, "--nice"},
        {{"--env", "1A=x"}, "--env: '1A=x' is no variable"},
        {{"--env", "REMOTE_ADDR=x"}, "--env: REMOTE_ADDR: that tells programs"},
        {{"--env-file", file("none")}, "--env-file: " + file("none") + ": No such file"},
        {{"--env-file", file("bad")}, "bad:2:1: there is no '=' in this line; write NAME=value"},
        {{"--env-file", file("bad")}, "bad:3:1: this file is read as it is"},
        {{"--cwd", "/no/such/place"}, "--cwd: /no/such/place: No such file or directory"},
        {{"--chroot", "/no/such/place"}, "--chroot: /no/such/place: No such file"},
        {{"--chroot", file("")}, "the program cat: No such file or directory"},
        {{"--chroot", "/", "--cwd", "x"}, "--cwd: 'x' does not begin with '/'"},
        {{"--time-limit", "0"}, "--time-limit: it has to be longer than nothing"},
        {{"--stderr", "file"}, "--stderr"},
        {{"--wait", "--stderr", "connection"}, "--stderr: with --wait there is no connection"},
        {{"--wait", "--deny", "::/0"}, "--deny: with --wait the program takes its clients"},
        {{"--wait", "--max-connections", "5"}, "--max-connections: with --wait"},
    };
    for (const auto& each : all) {
        auto words = with({command, "listen", "[::1]:0"}, {"cat"});
        words.insert(words.begin() + 3, each.options.begin(), each.options.end());
        process server{words};
        EXPECT_EQ(server.wait(), 100) << each.said;
        EXPECT_THAT(server.err(), HasSubstr(each.said));
    }
    process other{{command, "listen", "[::1]:0", "--echo", "--wait"}};
    EXPECT_EQ(other.wait(), 100);
    EXPECT_THAT(other.err(), HasSubstr("--wait: it is for a program"));
}

} // namespace
} // namespace portico
