// portico reload and portico handover, and what may happen while one of them is on its way.

#include "serving.hpp"

#include <gmock/gmock.h>

#include <sys/stat.h>

namespace portico {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using testkit::run_command;

const std::string service = "[service.a]\nlisten = 'localhost:7001'\nbuiltin = 'echo'\n";

class serve_orders : public serve_command {
protected:
    [[nodiscard]] std::string control() const {
        return "[serve]\ncontrol = 'unix:" + file("control") + "'\n";
    }
    [[nodiscard]] std::string where() const { return " --control " + file("control") + " 2>&1"; }
    // What is answered to the line of somebody who is not `portico`.
    [[nodiscard]] std::string said(std::string_view line) const {
        const auto socket = connect_to(ip::unix_name::path(file("control")).value());
        put(socket, line);
        return read_to_end(socket).text;
    }
};

TEST_F(serve_orders, a_reload_waits_and_tells_what_is_wrong) {
    write(control() + service);
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening unix:.*control\n")) << server.err();
    struct stat found {};
    ASSERT_EQ(::stat(file("control").c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 0777U, 0600U);
    write(control() + service + "[service.b]\nlisten = 'localhost:7002'\nbuiltin = 'echo'\n");
    const auto done = run_command(command + " reload" + where());
    EXPECT_EQ(done.status, 0) << done.output;
    EXPECT_EQ(done.output, "reloaded 1: 2 services went on, 1 began, 0 ended\n");
    EXPECT_EQ(echoed(at("[::1]:7002"), "hi"), "hi") << "it is there when the order is done";
    write(control() + "[service.a]\nlistn = 1\n");
    const auto wrong = run_command(command + " reload" + where());
    EXPECT_EQ(wrong.status, 100);
    EXPECT_THAT(wrong.output,
                AllOf(StartsWith("portico: reload: not reloaded: everything goes on as it was\n"),
                      HasSubstr("portico.toml:4:1: unknown key 'listn'; did you mean 'listen'?")));
    EXPECT_EQ(echoed(at("[::1]:7002"), "hi"), "hi");
    const os::fd other = connect_to(at("127.0.0.1:7001"));
    write(control() + "[service.a]\nlisten = '127.0.0.1:" +
          std::to_string(std::get<ip::endpoint>(os::getsockname(other.raw()).value()).port) +
          "'\nrequired = true\nprogram = ['/no/such/program']\n");
    const auto failed = run_command(command + " reload" + where());
    EXPECT_EQ(failed.status, 100);
    EXPECT_THAT(failed.output, HasSubstr("/no/such/program"));
}

TEST_F(serve_orders, a_reload_tells_what_is_in_the_way_of_a_socket) {
    write(control() + service);
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening unix:.*control\n")) << server.err();
    const auto taken = at("127.0.0.1:7003");
    const auto other = os::socket(taken, ip::transport::tcp).value();
    ASSERT_TRUE(os::bind(other, taken) && os::listen(other, 1));
    const std::string more = "[service.b]\nbuiltin = 'echo'\nlisten = ";
    write(control() + service + more + "'127.0.0.1:7003'\n");
    const auto none = run_command(command + " reload" + where());
    EXPECT_EQ(none.status, 111);
    EXPECT_THAT(none.output, AllOf(HasSubstr("service b: none of its sockets could be opened\n"),
                                   HasSubstr("127.0.0.1:7003: bind: Address already in use\n    "),
                                   HasSubstr("listens at 127.0.0.1:7003"), Not(HasSubstr("7001"))));
    write(control() + service + more + "'localhost:7003'\n");
    const auto half = run_command(command + " reload" + where());
    EXPECT_EQ(half.status, 111);
    EXPECT_THAT(half.output,
                AllOf(HasSubstr("service b: not all of its new sockets could be opened\n"),
                      HasSubstr("127.0.0.1:7003: bind: Address already in use\n    "),
                      HasSubstr("listens at 127.0.0.1:7003"), Not(HasSubstr("[::1]:7003"))));
    const auto free = at("[::1]:7003");
    EXPECT_TRUE(os::bind(os::socket(free, ip::transport::tcp).value(), free));
    const auto logged = server.err();
    EXPECT_THAT(logged.substr(logged.find("not all of its new sockets")),
                testing::ContainsRegex("not all of [^\n]*listens at 127.0.0.1:7003"));
}

TEST_F(serve_orders, what_could_not_be_opened_at_the_start_does_not_keep_a_reload_back) {
    const auto taken = at("127.0.0.1:7003");
    const auto other = os::socket(taken, ip::transport::tcp).value();
    ASSERT_TRUE(os::bind(other, taken) && os::listen(other, 1));
    const auto with = [&](const std::string& answer) {
        return control() + service + "[service.b]\nlisten = 'localhost:7003'\nbuiltin = '" +
               answer + "'\n";
    };
    write(with("discard"));
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening unix:.*control\n")) << server.err();
    EXPECT_THAT(server.err(), HasSubstr("listens at 127.0.0.1:7003"));
    write(with("echo"));
    const auto done = run_command(command + " reload" + where());
    EXPECT_EQ(done.status, 0);
    EXPECT_THAT(done.output,
                AllOf(StartsWith("reloaded 1: "), HasSubstr("not open:\n"),
                      HasSubstr("127.0.0.1:7003: bind: Address already in use\n"),
                      HasSubstr("listens at 127.0.0.1:7003"), Not(HasSubstr("[::1]:7003"))));
    EXPECT_EQ(echoed(at("[::1]:7003"), "hi"), "hi");
}

TEST_F(serve_orders, a_low_port_that_is_open_is_not_said_to_be_refused) {
    NEEDS("setpriv");
    testkit::must_run("sysctl -qw net.ipv4.ip_unprivileged_port_start=0");
    const auto with = [&](const std::string& answer) {
        return control() + "[service.a]\nlisten = 'localhost:79'\nbuiltin = '" + answer + "'\n";
    };
    write(with("discard"));
    process server{{"setpriv", "--bounding-set=-net_bind_service", command, "serve", config_}};
    ASSERT_TRUE(server.wait_for_out("listening unix:.*control\n")) << server.err();
    testkit::must_run("sysctl -qw net.ipv4.ip_unprivileged_port_start=1024");
    write(with("echo"));
    ASSERT_EQ(run_command(command + " reload" + where()).status, 0);
    EXPECT_THAT(server.err(), Not(HasSubstr("will be refused")));
    EXPECT_EQ(echoed(at("127.0.0.1:79"), "hi"), "hi");
    write(with("echo") + "[service.b]\nlisten = '127.0.0.1:80'\nbuiltin = 'echo'\n");
    EXPECT_EQ(run_command(command + " reload" + where()).status, 111);
    EXPECT_THAT(server.err(), HasSubstr("80 will be refused"));
}

TEST_F(serve_orders, a_handover_waits_and_prints_its_report) {
    write(control() + service);
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening unix:.*control\n")) << server.err();
    const auto held = connect_to(at("127.0.0.1:7001"));
    EXPECT_EQ(ask(held, "x"), "x");
    const auto done = run_command(command + " handover" + where());
    EXPECT_EQ(done.status, 0) << done.output << server.err();
    EXPECT_THAT(done.output,
                testing::MatchesRegex("handed over to process [0-9]+\n"
                                      "sockets: 3\n"
                                      "clients in their queues at the swap: 0\n"
                                      "clients in them when the new process served each: 0\n"
                                      "until it did: [0-9.]+ s\n"
                                      "kernel, whole network namespace +before +after\n"
                                      "  full accept queues +0 +0\n"
                                      "  connection requests dropped +0 +0\n"
                                      "  dropped as too many were half-way in +0 +0\n"
                                      "  resets sent +[0-9]+ +[0-9]+\n"));
    EXPECT_EQ(echoed(at("127.0.0.1:7001"), "hi"), "hi");
    // The new one takes orders at the same place, and a program may be named.
    const auto again = run_command(command + " handover " + command + where());
    EXPECT_EQ(again.status, 0) << again.output << server.err();
    EXPECT_TRUE(os::shutdown_send(held.raw()));
    const auto last =
        server.wait_for_out(R"(handed over to \d+\n(?:.*\n)*.*handed over to (\d+)\n)");
    ASSERT_TRUE(last);
    EXPECT_EQ(::kill(std::stoi(*last), SIGTERM), 0);
    EXPECT_EQ(server.wait(), 0);
}

TEST_F(serve_orders, a_handover_that_cannot_be_is_told_and_changes_nothing) {
    write(control() + service);
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening unix:.*control\n")) << server.err();
    const auto missing = run_command(command + " handover /no/such/portico" + where());
    EXPECT_EQ(missing.status, 100);
    EXPECT_THAT(missing.output, HasSubstr("/no/such/portico: this cannot be run here"));
    const auto other = run_command(command + " handover /bin/false" + where());
    EXPECT_EQ(other.status, 111);
    EXPECT_THAT(other.output, AllOf(HasSubstr("not handed over: everything goes on as it was\n"),
                                    HasSubstr("the new process has ended before it served")));
    EXPECT_EQ(echoed(at("127.0.0.1:7001"), "hi"), "hi");
    EXPECT_EQ(run_command(command + " reload" + where()).status, 0) << "and it takes orders";
}

// What a next process says, and when it goes on from there: as this script is told.
class handover_to_a_script : public serve_orders {
protected:
    void SetUp() override {
        serve_orders::SetUp();
        if (!IsSkipped()) {
            write(file("next"), "#!/usr/bin/python3\n"
                                "import os, socket, sys\n"
                                "old = socket.socket(fileno=int(os.environ['PORTICO_HANDOVER']))\n"
                                "old.setblocking(True)\n"
                                "def hear(what):\n"
                                "    while old.recv(100000) != what: pass\n"
                                "def say(what): old.send(what)\n"
                                "def wait(turn):\n"
                                "    sys.stderr.write('%d waits: %d\\n' % (turn, os.getpid()))\n"
                                "    open('" +
                                    file("go on") + "').read()\n" + "exec(open('" + file("story") +
                                    "').read())\n");
            ASSERT_EQ(::chmod(file("next").c_str(), 0700), 0);
            ASSERT_EQ(::mkfifo(file("go on").c_str(), 0600), 0);
        }
    }
    void let_go_on() const {
        const os::fd told{::open(file("go on").c_str(), O_WRONLY | O_CLOEXEC)};
    }
    [[nodiscard]] process hand_over_to_it() const {
        return process{{command, "handover", file("next"), "--control", file("control")}};
    }
};

TEST_F(handover_to_a_script, that_ends_after_its_turn_has_come_and_nobody_is_lost) {
    write(control() + "sandbox = 'off'\n" + service);
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening unix:.*control\n")) << server.err();
    const std::string until_go = "hear(b'end'); say(b'ready'); hear(b'go'); ";
    int turn = 0;
    for (const auto& [then, why] : {std::pair{"wait(1)", "ended before it served"},
                                    {"wait(2); say(b'failed at all')", "at all"},
                                    {"wait(3); say(b'ready')", "out of turn"},
                                    {"wait(4); say(b'serving'); wait(5)", "ended before"}}) {
        SCOPED_TRACE(then);
        write(file("story"), until_go + then);
        auto order = hand_over_to_it();
        ASSERT_TRUE(server.wait_for_err(std::to_string(++turn) + " waits: ")) << server.err();
        const auto waiting = connect_to(at("127.0.0.1:7001"));
        put(waiting, "hi");
        let_go_on();
        if (turn == 4) {
            ASSERT_TRUE(server.wait_for_err("5 waits: ")) << server.err();
            let_go_on();
        }
        EXPECT_EQ(take(waiting), "hi") << "by the old one";
        EXPECT_EQ(order.wait(), 111);
        EXPECT_THAT(order.err(), AllOf(HasSubstr("everything goes on as it was"), HasSubstr(why)));
    }
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait(), 0);
}

// It reads nothing and says nothing, and would have the sockets as long as it runs.
TEST_F(handover_to_a_script, that_hangs_is_killed_with_the_host) {
    write(control() + "sandbox = 'off'\n" + service);
    write(file("story"), "wait(1)");
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening unix:.*control\n")) << server.err();
    auto order = hand_over_to_it();
    const auto script = server.wait_for_err("1 waits: (\\d+)\n");
    ASSERT_TRUE(script) << server.err();
    const os::fd watched{static_cast<int>(::syscall(SYS_pidfd_open, std::stoi(*script), 0))};
    ASSERT_TRUE(watched);
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait(), 0);
    EXPECT_NE(order.wait(), 0);
    pollfd ended{watched.raw(), POLLIN, 0};
    ASSERT_EQ(::poll(&ended, 1, 60'000), 1) << "it has the ports still";
    const auto again = os::socket(at("127.0.0.1:7001"), ip::transport::tcp).value();
    EXPECT_TRUE(os::set_reuse_address(again, true));
    EXPECT_TRUE(os::bind(again, at("127.0.0.1:7001")));
}

TEST_F(serve_orders, a_handover_to_a_process_that_cannot_read_the_file_tells_what_is_wrong) {
    write(control() + service);
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening unix:.*control\n")) << server.err();
    write(control() + "[service.a]\nlistn = 1\n");
    const auto wrong = run_command(command + " handover" + where());
    EXPECT_EQ(wrong.status, 111);
    EXPECT_THAT(wrong.output,
                AllOf(HasSubstr("not handed over: everything goes on as it was\n"),
                      HasSubstr("portico.toml:4:1: unknown key 'listn'; did you mean 'listen'?")));
    EXPECT_EQ(echoed(at("127.0.0.1:7001"), "hi"), "hi");
    write(control() + "pid-file = '" + file("none/pid") + "'\n" + service);
    const auto other = run_command(command + " handover" + where());
    EXPECT_THAT(other.output, HasSubstr("portico.toml:3:1: 'pid-file': the pid file"));
}

TEST_F(serve_orders, what_is_no_order_is_told_what_there_is) {
    write(control() + service);
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening unix:.*control\n")) << server.err();
    for (const auto& each :
         {std::string{"stop\n"}, std::string{"handover relative\n"}, std::string(10'000, 'x')}) {
        EXPECT_THAT(said(each), StartsWith("100\nthis is no order")) << each.substr(0, 20);
    }
    EXPECT_THAT(said("reload\n"), StartsWith("0\nreloaded 1: "));
}

TEST_F(serve_orders, only_root_and_its_user_are_obeyed) {
    if (::geteuid() != 0) {
        GTEST_SKIP() << "it takes root to become somebody else";
    }
    write(control() + service);
    std::filesystem::permissions(file(""), std::filesystem::perms::all);
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening unix:.*control\n")) << server.err();
    const std::string as_other = "setpriv --reuid 1 --regid 1 --clear-groups ";
    if (run_command(as_other + "true").status != 0) {
        GTEST_SKIP() << "this namespace has no other user";
    }
    const auto refused = run_command(as_other + command + " reload" + where());
    EXPECT_EQ(refused.status, 111);
    EXPECT_THAT(refused.output, HasSubstr("only root and the user of the process may order it"));
    // Even if somebody opens the file to all.
    std::filesystem::permissions(file("control"), std::filesystem::perms::all);
    const auto again = run_command(as_other + command + " reload" + where());
    EXPECT_EQ(again.status, 100);
    EXPECT_THAT(again.output, HasSubstr("only root and the user of this process"));
    EXPECT_THAT(server.out(), Not(HasSubstr("reloaded")));
}

TEST_F(serve_orders, where_nobody_listens_the_message_says_where_to_look) {
    const auto said = run_command(command + " reload" + where());
    EXPECT_EQ(said.status, 111);
    EXPECT_THAT(said.output, AllOf(HasSubstr("No such file"), HasSubstr("'control' of [serve]")));
    const auto by_variable = run_command("PORTICO_CONTROL=unix:@x " + command + " handover 2>&1");
    EXPECT_EQ(by_variable.status, 100);
    EXPECT_THAT(by_variable.output, HasSubstr("abstract name has no mode"));
}

TEST_F(serve_orders, a_directory_of_the_manager_has_the_socket_without_being_asked) {
    std::filesystem::create_directory(file("runtime"));
    const std::map<std::string, std::string> variables{{"RUNTIME_DIRECTORY", file("runtime")}};
    write(service);
    {
        auto server = serve({.environment = variables});
        ASSERT_TRUE(server.wait_for_out("listening unix:.*runtime/control\n")) << server.err();
    }
    write("[serve]\ncontrol = 'none'\n" + service);
    auto server = serve({.environment = variables});
    ASSERT_TRUE(server.wait_for_out("listening tcp \\[::1\\]:7001\n")) << server.err();
    EXPECT_THAT(server.out(), Not(HasSubstr("unix:")));
}

// ---- one thing while another is on its way ----

// The handover is held up by a queue that the new process cannot empty: it is full.
TEST_F(serve_orders, a_reload_that_comes_during_a_handover_is_done_by_the_new_process) {
    const std::string full = "[service.a]\nlisten = '127.0.0.1:7001'\nbuiltin = 'echo'\n"
                             "max-connections = 1\n";
    write(control() + full);
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening unix:.*control\n")) << server.err();
    const auto in_old = connect_to(at("127.0.0.1:7001"));
    EXPECT_EQ(ask(in_old, "old"), "old");
    const auto in_new = connect_to(at("127.0.0.1:7001"));
    const auto in_queue = connect_to(at("127.0.0.1:7001"));
    server.signal(SIGUSR2);
    EXPECT_EQ(ask(in_new, "new"), "new"); // it serves, and has read the file
    write(control() + full + "[service.b]\nlisten = '127.0.0.1:7002'\nbuiltin = 'echo'\n");
    server.signal(SIGHUP);
    EXPECT_TRUE(os::shutdown_send(in_new.raw()));
    EXPECT_EQ(ask(in_queue, "queue"), "queue");
    const auto next = server.wait_for_out(R"(handed over to (\d+)\n)");
    ASSERT_TRUE(next) << server.err();
    ASSERT_TRUE(server.wait_for_out("reloaded 1\n")) << server.err();
    EXPECT_EQ(echoed(at("127.0.0.1:7002"), "b"), "b");
    EXPECT_TRUE(os::shutdown_send(in_old.raw()));
    EXPECT_TRUE(os::shutdown_send(in_queue.raw()));
    EXPECT_EQ(::kill(std::stoi(*next), SIGTERM), 0);
    EXPECT_EQ(server.wait(), 0);
}

TEST_F(serve_orders, an_address_may_come_back_at_once) {
    const std::string other = "[service.other]\nlisten = 'localhost:7009'\nbuiltin = 'echo'\n";
    const std::string relay = "[service.relay]\nlisten = 'localhost:7002'\nto = 'localhost:7009'\n";
    write(control() + other + relay + service);
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening unix:.*control\n")) << server.err();
    for (int i = 0; i < 5; ++i) {
        write(control() + other);
        ASSERT_EQ(run_command(command + " reload" + where()).status, 0);
        write(control() + other + relay + service);
        const auto back = run_command(command + " reload" + where());
        ASSERT_EQ(back.status, 0) << back.output;
        for (const std::string each : {"127.0.0.1:7001", "[::1]:7001", "127.0.0.1:7002"}) {
            EXPECT_EQ(echoed(at(each), "hi"), "hi") << each;
        }
    }
    EXPECT_THAT(server.err(), Not(HasSubstr("could not be opened")));
}

TEST_F(serve_orders, a_reload_that_is_refused_has_not_touched_a_socket_that_goes_on) {
    const auto with = [&](const std::string& mode, const std::string& more) {
        return control() + "[service.a]\nlisten = 'unix:" + file("a") + "'\nmode = '" + mode +
               "'\nbuiltin = 'echo'\n" + more;
    };
    const auto mode = [&] {
        struct stat found {};
        EXPECT_EQ(::stat(file("a").c_str(), &found), 0);
        return found.st_mode & 0777U;
    };
    write(with("0600", ""));
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening unix:.*control\n")) << server.err();
    write(with("0666", "[service.b]\nlisten = ':7002'\nprogram = ['cat']\nchroot = '/no/such'\n"));
    const auto refused = run_command(command + " reload" + where());
    EXPECT_NE(refused.status, 0);
    EXPECT_THAT(refused.output, HasSubstr("/no/such"));
    EXPECT_EQ(mode(), 0600U);
    write(with("0666", ""));
    ASSERT_EQ(run_command(command + " reload" + where()).status, 0);
    EXPECT_EQ(mode(), 0666U);
}

TEST_F(serve_orders, an_address_that_could_not_be_followed_is_tried_again) {
    write("[service.a]\nlisten = ['@10.0.0.0/8:7001', 'localhost:7001']\nbuiltin = 'echo'\n");
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening tcp \\[::1\\]:7001\n")) << server.err();
    const auto coming = at("10.77.0.1:7001");
    auto taken = os::socket(coming, ip::transport::tcp).value();
    ASSERT_TRUE(os::set_freebind(taken, ip::family::v4));
    ASSERT_TRUE(os::bind(taken, coming) && os::listen(taken, 1));
    testkit::must_run("ip addr add 10.77.0.1/32 dev lo");
    ASSERT_TRUE(server.wait_for_err("could not be opened.*10.77.0.1")) << server.err();
    taken.reset();
    ASSERT_TRUE(server.wait_for_err("an address has come.*10.77.0.1:7001")) << server.err();
    EXPECT_EQ(echoed(coming, "hi"), "hi");
}

} // namespace
} // namespace portico
