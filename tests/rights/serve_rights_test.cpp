// `portico serve` as root of the machine: ports below 1024, another user, a binder, a daemon.

#include "portico/testkit/all_users.hpp"

#include "cli/process_facts.hpp"
#include "cli/serving.hpp"

#include <gmock/gmock.h>

namespace portico {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr const char* other_user = "nobody";
constexpr const char* no_capability = "0000000000000000";

std::string text_of(const std::string& file) {
    std::ifstream from{file};
    return {std::istreambuf_iterator<char>{from}, {}};
}

class serve_rights : public handover_command {
protected:
    void SetUp() override {
        if (const auto why = testkit::all_users_refusal()) {
            GTEST_SKIP() << *why;
        }
        handover_command::SetUp();
        if (!IsSkipped()) {
            // The other user reads the file again, and makes sockets.
            std::filesystem::permissions(std::filesystem::path{config_}.parent_path(),
                                         std::filesystem::perms{0777});
        }
    }
    static std::string serve_as(const std::string& more = {}) {
        return "[serve]\nuser = '" + std::string{other_user} + "'\n" + more;
    }
    static std::string echo(const std::string& name, const std::string& where) {
        return "[service." + name + "]\nlisten = '" + where + "'\nbuiltin = 'echo'\n";
    }
    // Waits until it has read the file again; its output may go to nobody.
    static testing::AssertionResult reloaded(process& server, pid_t which, int number) {
        ::kill(which, SIGHUP);
        return server.wait_for_err("msg=reloaded reloads=" + std::to_string(number) + " ")
                   ? testing::AssertionSuccess()
                   : testing::AssertionFailure() << server.err();
    }
    // 0: there is none.
    static pid_t binder_of(pid_t host) {
        for (const auto each : children_of(host)) {
            if (status_value(each, "Name") == "portico-binder") {
                return each;
            }
        }
        return 0;
    }
};

TEST_F(serve_rights, after_its_start_it_is_the_user_and_keeps_the_right_to_low_ports) {
    write(serve_as() + echo("a", "localhost:80"));
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:80")) << server.err();
    EXPECT_EQ(status_value(server.pid(), "Uid"), "65534\t65534\t65534\t65534");
    EXPECT_EQ(status_value(server.pid(), "CapPrm"), "0000000000000400");
    write(serve_as() + echo("a", "localhost:80") + echo("b", "localhost:81"));
    ASSERT_TRUE(reloaded(server, server.pid(), 1));
    EXPECT_EQ(echoed(at("[::1]:81"), "hi"), "hi");
}

TEST_F(serve_rights, root_that_names_no_user_is_warned_once) {
    const std::string warning = "this process stays root";
    write(echo("a", "localhost:7001"));
    const auto told_by = [](std::vector<std::string> words) {
        process server{std::move(words)};
        EXPECT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:7001")) << server.err();
        EXPECT_TRUE(reloaded(server, server.pid(), 1));
        return server.err();
    };
    const auto told = told_by({command, "serve", config_});
    EXPECT_THAT(told, HasSubstr("level=warning msg=\"" + warning + "\" hint=\"name the user"));
    EXPECT_EQ(told.find(warning), told.rfind(warning)) << "once";
    for (const std::string user : {"nobody", "root"}) {
        EXPECT_THAT(told_by({command, "serve", config_, "--set", "serve.user=" + user}),
                    testing::Not(HasSubstr(warning)))
            << user;
    }
    EXPECT_THAT(
        told_by({"setpriv", "--reuid", "65534", "--clear-groups", command, "serve", config_}),
        testing::Not(HasSubstr(warning)));
}

TEST_F(serve_rights, programs_have_the_home_of_who_they_run_as) {
    const auto tells = [](const std::string& name, int port, const std::string& more) {
        return "[service." + name + "]\nlisten = '127.0.0.1:" + std::to_string(port) +
               "'\nprogram = ['sh', '-c', 'id -u; env | grep -E \"^(HOME|USER|LOGNAME|SHELL)=\" "
               "| sort']\n" +
               more;
    };
    const auto told = [](int port) {
        return read_to_end(connect_to(at("127.0.0.1:" + std::to_string(port)))).text;
    };
    const std::string of_nobody = "65534\nHOME=/nonexistent\nLOGNAME=nobody\nSHELL=";
    const std::string of_daemon = "1\nHOME=/usr/sbin\nLOGNAME=daemon\nSHELL=";
    const auto all = serve_as() + tells("as-the-host", 7001, "") +
                     tells("of-its-own", 7002, "user = 'daemon'\n") +
                     tells("without-a-name", 7003, "user = '70001'\ngroup = '70001'\n");
    write(all);
    testkit::process_options how;
    how.environment = {
        {"HOME", "/root"}, {"USER", "root"}, {"LOGNAME", "root"}, {"SHELL", "/bin/rootsh"}};
    auto server = serve(how);
    ASSERT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:7003")) << server.err();
    EXPECT_THAT(told(7001), testing::StartsWith(of_nobody));
    EXPECT_THAT(told(7002), testing::StartsWith(of_daemon));
    EXPECT_THAT(told(7003),
                testing::AllOf(testing::StartsWith("70001\n"), testing::Not(HasSubstr("root"))));
    write(all + tells("later", 7004, ""));
    ASSERT_TRUE(reloaded(server, server.pid(), 1));
    EXPECT_THAT(told(7004), testing::StartsWith(of_nobody));
}

// As under a manager that gives ambient capabilities.
TEST_F(serve_rights, ambient_capabilities_are_for_it_alone_and_low_ports_all_that_is_kept) {
    const std::string program =
        "[service.p]\nlisten = 'localhost:80'\n"
        "program = ['grep', '-E', '^Cap(Inh|Prm|Eff|Amb)', '/proc/self/status']\n";
    const auto as_other = [this](const std::string& ambient) {
        return process{{"setpriv", "--reuid", "65534", "--regid", "65534", "--groups", "65534",
                        "--inh-caps", ambient, "--ambient-caps", ambient, command, "serve",
                        config_}};
    };
    const std::string none = std::string{"CapInh:\t"} + no_capability + "\nCapPrm:\t" +
                             no_capability + "\nCapEff:\t" + no_capability + "\nCapAmb:\t" +
                             no_capability + '\n';
    const std::string ambient = "+net_bind_service,+sys_admin,+setuid,+setgid";
    write(program);
    {
        auto server = as_other(ambient);
        ASSERT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:80")) << server.err();
        EXPECT_EQ(echoed(at("127.0.0.1:80"), ""), none) << "no user is named";
    }
    write(serve_as() + program);
    auto server = as_other(ambient);
    ASSERT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:80")) << server.err();
    EXPECT_EQ(echoed(at("127.0.0.1:80"), ""), none);
    EXPECT_EQ(status_value(server.pid(), "CapPrm"), "0000000000000400");
    EXPECT_EQ(status_value(server.pid(), "NoNewPrivs"), "1");
    // The next process has what this one has left.
    write(serve_as() + program + echo("b", "localhost:81"));
    const auto next = hand_over(server, server.pid());
    EXPECT_EQ(status_value(next, "CapPrm"), "0000000000000400");
    EXPECT_EQ(echoed(at("[::1]:81"), "hi"), "hi");
    ::kill(next, SIGTERM);
    wait_for_end_of(next);
}

TEST_F(serve_rights, with_a_binder_it_has_no_capability_at_all) {
    const auto how = serve_as("binder = true\nbinder-ports = ['80', '400-500']\n");
    write(how + echo("a", "localhost:80"));
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:80")) << server.err();
    for (const std::string each : {"CapPrm", "CapEff", "CapInh", "CapAmb"}) {
        EXPECT_EQ(status_value(server.pid(), each), no_capability) << each;
    }
    EXPECT_EQ(status_value(server.pid(), "NoNewPrivs"), "1");
    const auto binder = binder_of(server.pid());
    ASSERT_NE(binder, 0);
    EXPECT_EQ(status_value(binder, "Uid"), "65534\t65534\t65534\t65534");
    EXPECT_EQ(status_value(binder, "CapEff"), "0000000000000400");
    EXPECT_EQ(echoed(at("[::1]:80"), "hi"), "hi");
    // With sockets for each thread, over both families, and datagrams.
    write(how + echo("a", "localhost:80") +
          "[service.b]\nlisten = ':443'\nto = 'localhost:80'\nthreads = 2\n"
          "[service.c]\nlisten = 'localhost:500'\nudp = true\nbuiltin = 'echo'\n");
    ASSERT_TRUE(reloaded(server, server.pid(), 1));
    EXPECT_EQ(echoed(at("127.0.0.1:443"), "v4"), "v4");
    EXPECT_EQ(echoed(at("[::1]:443"), "v6"), "v6");
    EXPECT_EQ(ask(connect_to(at("[::1]:500"), ip::transport::udp), "udp"), "udp");
    EXPECT_THAT(server.err(), testing::Not(HasSubstr("share one socket")));
    write(how + echo("a", "localhost:80") + echo("b", "localhost:501"));
    server.signal(SIGHUP);
    EXPECT_TRUE(server.wait_for_err("not reloaded.*Permission denied")) << server.err();
}

TEST_F(serve_rights, a_binder_goes_on_with_a_handover_and_ends_with_its_host) {
    const auto how = serve_as("binder = true\nbinder-ports = '1-1023'\n");
    write(how + echo("a", "localhost:80"));
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:80")) << server.err();
    const auto binder = binder_of(server.pid());
    ASSERT_NE(binder, 0);
    const os::fd watched{static_cast<int>(::syscall(SYS_pidfd_open, binder, 0))};
    const auto held = connect_to(at("[::1]:80")); // the old process stays for it, and its pipes
    EXPECT_EQ(ask(held, "1"), "1");
    // The next process opens one more in its start, and another one later.
    write(how + echo("a", "localhost:80") + echo("b", "localhost:81"));
    const auto next = hand_over(server, server.pid());
    ASSERT_NE(next, 0);
    EXPECT_EQ(status_value(next, "CapPrm"), no_capability);
    EXPECT_EQ(echoed(at("[::1]:81"), "hi"), "hi");
    write(how + echo("a", "localhost:80") + echo("c", "localhost:82"));
    ASSERT_TRUE(reloaded(server, next, 1));
    EXPECT_EQ(echoed(at("127.0.0.1:82"), "hi"), "hi");
    pollfd ended{watched.raw(), POLLIN, 0};
    EXPECT_EQ(::poll(&ended, 1, 0), 0) << "it is still wanted";
    ::kill(next, SIGKILL);
    server.signal(SIGINT);
    EXPECT_EQ(::poll(&ended, 1, 60'000), 1) << "nobody wants it any more";
}

TEST_F(serve_rights, a_binder_opens_low_ports_of_addresses_that_come_later) {
    write(serve_as("binder = true\n") + echo("a", "@lo:80"));
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:80")) << server.err();
    testkit::must_run("ip addr add 127.0.7.7/32 dev lo");
    ASSERT_TRUE(server.wait_for_err("an address has come.*127.0.7.7:80")) << server.err();
    EXPECT_EQ(echoed(at("127.0.7.7:80"), "hi"), "hi");
}

TEST_F(serve_rights, a_binder_that_is_gone_is_told_when_it_is_needed) {
    const auto how = serve_as("binder = true\nbinder-ports = '1-1023'\n");
    write(how + echo("a", "localhost:80"));
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:80")) << server.err();
    const auto binder = binder_of(server.pid());
    ASSERT_NE(binder, 0);
    ::kill(binder, SIGTERM); // it ends with its host, and not by what is sent to all of a service
    ::kill(binder, SIGKILL);
    wait_for_end_of(binder);
    write(how + echo("a", "localhost:80") + echo("b", "localhost:81"));
    server.signal(SIGHUP);
    EXPECT_TRUE(server.wait_for_err("not reloaded.*Broken pipe")) << server.err();
    EXPECT_EQ(echoed(at("[::1]:80"), "hi"), "hi");
}

TEST_F(serve_rights, check_says_which_of_it_applies) {
    write(serve_as("binder = true\n") + echo("a", ":http") + echo("b", ":8080") +
          echo("c", "localhost:443"));
    const auto told = finish({config_, "--check"});
    EXPECT_EQ(told.status, 0) << told.err;
    EXPECT_THAT(told.out,
                AllOf(HasSubstr("rights: becomes user nobody (65534), keeps none"),
                      HasSubstr("binder: a process that binds to 80, 443 and nothing else")));
    process other{{"setpriv", "--reuid", "65534", "--regid", "65534", "--groups", "65534", command,
                   "serve", config_, "--check"}};
    EXPECT_EQ(other.wait(), 0) << other.err();
    EXPECT_THAT(other.out(),
                AllOf(HasSubstr("rights: this process is user nobody already, keeps none"),
                      HasSubstr("binder: none, because this process has no cap_net_bind_service")));
}

// ---- a daemon ----

class serve_daemon : public serve_rights {
protected:
    void TearDown() override {
        if (daemon_ > 0) {
            ::kill(daemon_, SIGKILL);
        }
        serve_rights::TearDown();
    }
    // Its number, from the file; 0 when it did not start.
    pid_t start(const std::vector<std::string>& more = {}) {
        std::string words = command + " serve " + config_ + " --daemon";
        for (const auto& each : more) {
            words += ' ' + each;
        }
        started_ = testkit::run_command(words + " 2>>" + file("log"));
        const auto number = text_of(file("pid"));
        daemon_ = number.empty() ? 0 : std::stoi(number);
        return daemon_;
    }

    void stop(pid_t which) {
        ::kill(which, SIGTERM);
        wait_for_end_of(which);
        daemon_ = 0;
    }

    testkit::command_result started_;
    pid_t daemon_ = 0;
};

TEST_F(serve_daemon, is_live_when_its_start_has_ended) {
    write(serve_as("pid-file = '" + file("pid") + "'\n") + echo("a", "localhost:80"));
    const auto pid = start();
    ASSERT_EQ(started_.status, 0) << started_.output << text_of(file("log"));
    ASSERT_NE(pid, 0);
    EXPECT_EQ(echoed(at("[::1]:80"), "hi"), "hi");
    EXPECT_NE(status_value(pid, "NSsid"), std::to_string(pid)) << "no leader gets no terminal";
    EXPECT_EQ(std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/fd/1"), "/dev/null");
    // Nobody starts it twice.
    const auto twice =
        testkit::run_command(command + " serve " + config_ + " --daemon 2>" + file("twice"));
    EXPECT_NE(twice.status, 0);
    EXPECT_THAT(text_of(file("twice")),
                HasSubstr("process " + std::to_string(pid) + " runs with it"));
    stop(pid);
    EXPECT_EQ(text_of(file("pid")), "");
}

TEST_F(serve_daemon, a_handover_changes_the_number_and_keeps_the_lock) {
    write(serve_as("pid-file = '" + file("pid") + "'\n") + echo("a", "localhost:80"));
    const auto old = start();
    ASSERT_NE(old, 0) << started_.output;
    ::kill(old, SIGUSR2);
    wait_for_end_of(old);
    const auto next = std::stoi(text_of(file("pid")));
    daemon_ = next;
    EXPECT_NE(next, old);
    EXPECT_EQ(echoed(at("[::1]:80"), "hi"), "hi");
    const auto twice = finish({config_});
    EXPECT_EQ(twice.status, 111);
    EXPECT_THAT(twice.err, HasSubstr("process " + std::to_string(next) + " runs with it"));
    stop(next);
    EXPECT_EQ(text_of(file("pid")), "");
}

TEST_F(serve_daemon, where_the_user_may_not_remove_the_file_it_is_emptied) {
    std::filesystem::create_directory(file("run"));
    write(serve_as("pid-file = '" + file("run/pid") + "'\n") + echo("a", "localhost:80"));
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening")) << server.err();
    EXPECT_EQ(text_of(file("run/pid")), std::to_string(server.pid()) + '\n');
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait(), 0);
    EXPECT_EQ(text_of(file("run/pid")), "");
    auto again = serve();
    EXPECT_TRUE(again.wait_for_out("listening")) << again.err();
}

TEST_F(serve_daemon, a_failed_start_is_told_with_its_exit_code) {
    write("[serve]\npid-file = '" + file("pid") + "'\n" + echo("a", "192.0.2.1:80"));
    EXPECT_EQ(start(), 0);
    EXPECT_EQ(started_.status, 111);
    EXPECT_THAT(text_of(file("log")), HasSubstr("192.0.2.1"));
    write("[service.a]\nlisten = 80\n");
    start();
    EXPECT_EQ(started_.status, 100);
}

TEST_F(serve_daemon, is_refused_where_its_log_would_be_lost_or_a_manager_waits) {
    write(echo("a", "localhost:80"));
    const auto lost = testkit::run_command(command + " serve " + config_ + " --daemon 2>/dev/null");
    EXPECT_EQ(lost.status, 100);
    process piped{{command, "serve", config_, "--daemon", "--pid-file", file("pid")}};
    EXPECT_EQ(piped.wait(), 100);
    const auto number = text_of(file("pid"));
    daemon_ = number.empty() ? 0 : std::stoi(number); // which there must not be
    EXPECT_EQ(daemon_, 0);
    EXPECT_THAT(piped.err(), HasSubstr("stderr, which is a pipe"));
    process managed{{command, "serve", config_, "--daemon"},
                    {.environment = {{"NOTIFY_SOCKET", file("notify")}}}};
    EXPECT_EQ(managed.wait(), 100);
    EXPECT_THAT(managed.err(), HasSubstr("--daemon: a manager of services has started this"));
    write("[log]\noutput = 'syslog'\n" + echo("a", "localhost:80"));
    if (!std::filesystem::exists("/dev/log")) {
        EXPECT_EQ(start(), 0);
        EXPECT_EQ(started_.status, 100);
        EXPECT_THAT(text_of(file("log")), HasSubstr("there is no /dev/log"));
    }
}

} // namespace
} // namespace portico
