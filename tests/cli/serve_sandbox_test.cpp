// `portico serve` takes system calls and files away from itself, and goes on serving.

#include "process_facts.hpp"
#include "serving.hpp"

#include "portico/os/sandbox.hpp"

#include <gmock/gmock.h>

namespace portico {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class serve_sandbox : public handover_command {
protected:
    void SetUp() override {
        handover_command::SetUp();
        if (!IsSkipped() && (!os::call_filters_available() || !os::landlock_abi())) {
            GTEST_SKIP() << "this kernel has no system call filters, or no Landlock";
        }
    }
    [[nodiscard]] std::string echo(const std::string& more = {}) const {
        return "[service.a]\nlisten = 'localhost:7001'\nbuiltin = 'echo'\n" + more;
    }
    // A reload is refused for this reason, and all goes on.
    void expect_refusal(process& server, const std::string& next, const std::string& why) {
        write(next);
        server.signal(SIGHUP);
        ASSERT_TRUE(server.wait_for_err("not reloaded: everything goes on as it was.*" + why))
            << server.err();
        EXPECT_EQ(echoed(at("[::1]:7001"), "as ever"), "as ever");
    }
};

TEST_F(serve_sandbox, is_there_by_default) {
    write(echo());
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:7001")) << server.err();
    EXPECT_EQ(status_value(server.pid(), "NoNewPrivs"), "1");
    EXPECT_EQ(status_value(server.pid(), "Seccomp"), "2");
    EXPECT_EQ(echoed(at("127.0.0.1:7001"), "hi"), "hi");
    ASSERT_TRUE(reload(server, 1));
    EXPECT_EQ(echoed(at("[::1]:7001"), "hi"), "hi");
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait(), 0) << server.err();
}

TEST_F(serve_sandbox, can_be_left_out) {
    write("[serve]\nsandbox = 'off'\n" + echo());
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening")) << server.err();
    for (const std::string each : {"NoNewPrivs", "Seccomp"}) {
        EXPECT_EQ(status_value(server.pid(), each), status_value(::getpid(), each));
    }
}

TEST_F(serve_sandbox, a_relay_resolves_names_and_reloads_and_hands_over_in_it) {
    testkit::replace_file("/etc/hosts", "127.0.0.1 localhost\n127.0.0.1 origin.example\n");
    const auto text = [this](const std::string& name) {
        return echo() + "[service.relay]\nlisten = [':7002', 'unix:" + file("s") +
               "']\nthreads = 2\nto = '" + name + ":7001'\nstatus = 'unix:" + file("status") +
               "'\n";
    };
    write(text("localhost"));
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening unix")) << server.err();
    write(text("origin.example")); // a program asks for it, within the sandbox
    ASSERT_TRUE(reload(server, 1));
    EXPECT_EQ(echoed(at("127.0.0.1:7002"), "by name"), "by name") << server.err();
    auto pid = server.pid();
    const auto held = connect_to(at("[::1]:7001")); // the first process stays, and its pipes
    EXPECT_EQ(ask(held, "1"), "1");
    const auto filters = status_value(pid, "Seccomp_filters");
    // The kernel has room for 16 layers of Landlock.
    for (int i = 0; i < 18; ++i) {
        pid = hand_over(server, pid);
        ASSERT_NE(pid, 0);
    }
    EXPECT_EQ(status_value(pid, "Seccomp"), "2");
    EXPECT_EQ(status_value(pid, "Seccomp_filters"), filters) << "one on top of the other";
    EXPECT_EQ(echoed(at("[::1]:7002"), "again"), "again");
    EXPECT_EQ(ask(connect_to(ip::unix_name::path(file("s")).value()), "file"), "file");
    write(text("localhost"));
    ::kill(pid, SIGHUP);
    EXPECT_TRUE(server.wait_for_out("handed over to " + std::to_string(pid) + "\n[^]*reloaded 1\n"))
        << server.err();
    ::kill(pid, SIGTERM);
    wait_for_end_of(pid);
    EXPECT_FALSE(std::filesystem::exists(file("s"))) << "it may remove what it has made";
}

TEST_F(serve_sandbox, a_reload_that_needs_more_is_refused_with_the_reason) {
    write(echo());
    auto server = serve();
    ASSERT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:7001")) << server.err();
    expect_refusal(server, echo("[service.b]\nlisten = ':7002'\nprogram = ['cat']\n"),
                   "service b: it runs a program");
    std::filesystem::create_directory(file("elsewhere"));
    expect_refusal(
        server,
        echo("[service.b]\nlisten = 'unix:" + file("elsewhere/s") + "'\nbuiltin = 'echo'\n"),
        "given up the right to write there");
    // What a link leads to is out of reach, even for root.
    std::string outside = (std::filesystem::temp_directory_path() / "portico-out.XXXXXX").string();
    ASSERT_NE(::mkdtemp(outside.data()), nullptr);
    write(outside + "/p.toml", echo());
    std::filesystem::remove(config_);
    std::filesystem::create_symlink(outside + "/p.toml", config_);
    server.signal(SIGHUP);
    EXPECT_TRUE(server.wait_for_err("this cannot be read: Permission denied")) << server.err();
    std::filesystem::remove_all(outside);
}

TEST_F(serve_sandbox, diff_says_that_it_takes_a_restart) {
    write(echo());
    const auto next = file("next.toml");
    write(next, echo("[service.b]\nlisten = ':7002'\nprogram = ['cat']\n"));
    const auto told = finish({config_, "--diff", next});
    EXPECT_EQ(told.status, 100);
    EXPECT_THAT(told.out, HasSubstr("not by a reload: service b: it runs a program"));
}

TEST_F(serve_sandbox, programs_get_as_much_of_it_as_they_can_bear) {
    const auto text = [](const std::string& how) {
        return "[serve]\nsandbox = '" + how +
               "'\n[service.a]\nlisten = '127.0.0.1:7001'\n"
               "program = ['sh', '-c', 'grep -E \"NoNew|Seccomp:\" /proc/self/status; "
               "mount -t tmpfs none /mnt 2>&1']\n";
    };
    const auto ours = "Seccomp:\t" + status_value(::getpid(), "Seccomp");
    const auto said = [&](const std::string& how) {
        write(text(how));
        auto server = serve();
        EXPECT_TRUE(server.wait_for_out("listening")) << server.err();
        return read_to_end(connect_to(at("127.0.0.1:7001"))).text;
    };
    EXPECT_THAT(said("auto"),
                AllOf(HasSubstr("NoNewPrivs:\t1"), HasSubstr(ours), Not(HasSubstr("denied"))));
    EXPECT_THAT(said("on"), AllOf(HasSubstr("NoNewPrivs:\t1"), HasSubstr("Seccomp:\t2"),
                                  testing::ContainsRegex("mount: .*(denied|permitted|superuser)")));
}

TEST_F(serve_sandbox, a_kernel_without_it_serves_and_says_so) {
    write("[serve]\nsandbox = 'on'\n" + echo());
    const std::string without = PORTICO_WITHOUT_CALLS;
    const std::string calls = "seccomp,landlock_create_ruleset";
    process server{{without, calls, command, "serve", config_}};
    ASSERT_TRUE(server.wait_for_out("listening tcp 127.0.0.1:7001")) << server.err();
    EXPECT_THAT(server.err(), AllOf(HasSubstr("files are not limited: this kernel has no Landlock"),
                                    HasSubstr("system calls are not filtered")));
    EXPECT_EQ(echoed(at("127.0.0.1:7001"), "hi"), "hi");
    // And nothing is refused that nothing forbids.
    write("[serve]\nsandbox = 'on'\n" + echo("[service.b]\nlisten = ':7002'\nprogram = ['cat']\n"));
    EXPECT_TRUE(reload(server, 1));
    process check{{without, calls, command, "serve", config_, "--check"}};
    EXPECT_EQ(check.wait(), 0);
    EXPECT_THAT(check.out(), HasSubstr("because this kernel cannot filter them"));
}

TEST_F(serve_sandbox, check_tells_of_each_part) {
    write(echo());
    const auto told = finish({config_, "--check"});
    EXPECT_EQ(told.status, 0) << told.err;
    EXPECT_THAT(told.out,
                AllOf(HasSubstr("rights: stays root, for no user is named, keeps "),
                      HasSubstr("\nbinder: none\n"), HasSubstr("\nnew privileges: none"),
                      HasSubstr("\nsystem calls: only those"),
                      testing::ContainsRegex("files: by Landlock \\(ABI [0-9]+\\) those in ")));
    write("[serve]\nbinder = true\n" + echo());
    const auto root = finish({config_, "--check"});
    EXPECT_EQ(root.status, 100);
    EXPECT_THAT(root.out, HasSubstr("a binder is of no use to root"));
}

} // namespace
} // namespace portico
