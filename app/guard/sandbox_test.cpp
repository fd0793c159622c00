#include "guard/sandbox.hpp"

#include "portico/os/privileges.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <gmock/gmock.h>
#include <netdb.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace portico::app {
namespace {

using os::path_access;
using testing::AllOf;
using testing::Contains;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

serve_config config_of(const std::string& text, const std::string& file = "/srv/portico/p.toml") {
    auto read = parse_config({{file, text}});
    EXPECT_TRUE(read) << (read ? "" : to_text(read.error()));
    return read ? *std::move(read) : serve_config{};
}

sandbox_plan plan_of(const std::string& text) {
    return plan_sandbox(config_of(text), "/opt/portico/bin/portico");
}

const std::string echo = "[service.a]\nlisten = ':7001'\nbuiltin = 'echo'\n";
const std::string program = "[service.b]\nlisten = ':7002'\nprogram = ['/bin/cat']\n";

testing::Matcher<const os::path_rule&> rule(const std::string& path, path_access access) {
    return AllOf(Field(&os::path_rule::path, path), Field(&os::path_rule::access, access));
}

TEST(sandbox, a_host_without_programs_keeps_the_calls_and_files_that_it_needs) {
    const auto made = plan_of(echo);
    EXPECT_TRUE(made.no_new_privileges);
    EXPECT_EQ(made.calls, call_rule::listed);
    EXPECT_TRUE(made.limits_files);
    EXPECT_THAT(made.paths, AllOf(Contains(rule("/srv/portico", path_access::read)),
                                  Contains(rule("/opt/portico/bin", path_access::execute)),
                                  Contains(rule("/etc", path_access::read)),
                                  Contains(rule("/dev/null", path_access::read_write))));
}

TEST(sandbox, what_has_a_file_may_write_around_it) {
    const auto made = plan_of("[serve]\npid-file = '/srv/pid/portico.pid'\n"
                              "[service.a]\nlisten = 'unix:/srv/a/s'\nbuiltin = 'echo'\n"
                              "[service.b]\nlisten = ':7001'\nto = 'localhost:1'\n"
                              "status = 'unix:/srv/b/s'\n");
    for (const std::string each : {"/srv/pid", "/srv/a", "/srv/b"}) {
        EXPECT_THAT(made.paths, Contains(rule(each, path_access::read_write)));
    }
}

TEST(sandbox, programs_inherit_it_so_it_leaves_them_what_they_need) {
    const auto made = plan_of(echo + program);
    EXPECT_EQ(made, (sandbox_plan{.no_new_privileges = true}));
    EXPECT_EQ(plan_of("[serve]\nsandbox = 'on'\n" + program),
              (sandbox_plan{.no_new_privileges = true, .calls = call_rule::ordinary}));
    EXPECT_EQ(plan_of("[serve]\nsandbox = 'off'\n" + echo), sandbox_plan{});
}

TEST(sandbox, says_why_a_reload_cannot_have_more) {
    const auto short_of = [](const std::string& now, const std::string& next) {
        return find_shortage(plan_of(now), config_of(next), "/opt/portico/bin/portico");
    };
    EXPECT_EQ(short_of(echo, echo), "");
    EXPECT_THAT(short_of(echo, echo + program), HasSubstr("service b: it runs a program"));
    EXPECT_EQ(short_of(echo + program, program), "");
    EXPECT_EQ(short_of("[serve]\nsandbox = 'off'\n" + echo, echo + program), "");
    const std::string in_a = "[service.a]\nlisten = 'unix:/srv/a/s'\nbuiltin = 'echo'\n";
    EXPECT_THAT(short_of(echo, in_a), HasSubstr("/srv/a: this process has given up the right to "
                                                "write there"));
    EXPECT_EQ(short_of(in_a, "[service.a]\nlisten = 'unix:/srv/a/b/s'\nbuiltin = 'echo'\n"), "");
    EXPECT_NE(short_of(in_a, "[service.a]\nlisten = 'unix:/srv/ab/s'\nbuiltin = 'echo'\n"), "");
}

TEST(sandbox, goes_to_the_next_process_as_it_is) {
    for (const auto& each : {plan_of(echo), plan_of(program), sandbox_plan{}}) {
        const auto read = parse_sandbox(to_json(each));
        ASSERT_TRUE(read) << read.error();
        EXPECT_EQ(*read, each);
    }
    for (const std::string each :
         {"", "{}", "[]", R"({"no_new_privileges":true,"calls":3,"limits_files":true,"paths":[]})",
          R"({"no_new_privileges":true,"calls":1,"limits_files":true,"paths":[[3,"/"]]})",
          R"({"no_new_privileges":true,"calls":1,"limits_files":true,"paths":[[1]]})",
          R"({"no_new_privileges":1,"calls":1,"limits_files":true,"paths":[]})"}) {
        EXPECT_FALSE(parse_sandbox(each)) << each;
    }
}

// ---- from within ----

class sandbox_from_within : public testing::Test {
protected:
    void SetUp() override {
        if (!os::call_filters_available() || !os::landlock_abi()) {
            GTEST_SKIP() << "this kernel has no system call filters, or no Landlock";
        }
    }
};

// What `say` returns in a process that has entered the sandbox.
std::string told_within(const sandbox_plan& plan, const std::function<std::string()>& say) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe(ends.data()), 0);
    const pid_t pid = ::fork();
    if (pid == 0) {
        const auto made = enter_sandbox(plan, {});
        const auto text = made.in_force == plan ? say() : made.cannot.front();
        static_cast<void>(!::write(ends[1], text.data(), text.size()));
        ::_exit(0);
    }
    ::close(ends[1]);
    std::string text(4096, '\0');
    const auto size = ::read(ends[0], text.data(), text.size());
    text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    ::close(ends[0]);
    int status = 0;
    EXPECT_EQ(::waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? ::sigabbrev_np(WTERMSIG(status)) : text;
}

std::string outcome(bool good) {
    return good ? "done" : ::strerrorname_np(errno);
}

std::string opened(const char* path, int how) {
    const os::fd file{::open(path, how | O_CLOEXEC)};
    return outcome(static_cast<bool>(file));
}

TEST_F(sandbox_from_within, what_is_forbidden_fails) {
    const auto plan = plan_of(echo);
    const auto tries = [&](const std::function<std::string()>& what) {
        return told_within(plan, what);
    };
    EXPECT_EQ(tries([] { return outcome(::mount("x", "/", "tmpfs", 0, nullptr) == 0); }), "ENOSYS");
    EXPECT_EQ(tries([] { return outcome(::setresuid(0, 0, 0) == 0); }), "ENOSYS");
    EXPECT_EQ(tries([] { return outcome(::unshare(CLONE_NEWUSER) == 0); }), "ENOSYS");
    EXPECT_EQ(tries([] { return outcome(::socket(AF_PACKET, SOCK_RAW, 0) >= 0); }), "ENOSYS");
    EXPECT_EQ(tries([] { return opened("/etc/portico-test", O_WRONLY | O_CREAT); }), "EACCES");
    EXPECT_EQ(tries([] { return opened("/", O_RDONLY | O_DIRECTORY); }), "EACCES");
    EXPECT_EQ(tries([] { return outcome(::syscall(SYS_reboot, 0, 0, 0, nullptr) == 0); }), "SYS");
    EXPECT_EQ(tries([] { return opened("/etc/passwd", O_RDONLY); }), "done");
}

TEST_F(sandbox_from_within, names_resolve_and_threads_start) {
    EXPECT_EQ(told_within(plan_of(echo),
                          [] {
                              addrinfo* found = nullptr;
                              const int code = ::getaddrinfo("localhost", "80", nullptr, &found);
                              if (code == 0) {
                                  ::freeaddrinfo(found);
                              }
                              std::string text;
                              std::thread{[&] { text = code == 0 ? "found" : "not found"; }}.join();
                              return text;
                          }),
              "found");
}

TEST_F(sandbox_from_within, programs_may_do_ordinary_things_alone) {
    const auto plan = plan_of("[serve]\nsandbox = 'on'\n" + program);
    EXPECT_EQ(
        told_within(plan, [] { return outcome(::mount("x", "/", "tmpfs", 0, nullptr) == 0); }),
        "EPERM");
    EXPECT_EQ(told_within(plan, [] { return opened("/", O_RDONLY | O_DIRECTORY); }), "done");
    EXPECT_EQ(told_within(plan, [] { return outcome(::socket(AF_UNIX, SOCK_DGRAM, 0) >= 0); }),
              "done");
}

TEST_F(sandbox_from_within, what_is_in_force_is_not_done_again) {
    const auto plan = plan_of(echo);
    EXPECT_EQ(told_within(plan,
                          [&] {
                              // The kernel has room for 16 layers of Landlock.
                              for (int i = 0; i < 20; ++i) {
                                  const auto again = enter_sandbox(plan, plan);
                                  if (!again.cannot.empty()) {
                                      return again.cannot.front();
                                  }
                              }
                              return std::string{"as before"};
                          }),
              "as before");
}

TEST(sandbox, check_tells_of_each_part) {
    EXPECT_THAT(explain_sandbox(plan_of(echo)),
                AllOf(HasSubstr("new privileges: none"), HasSubstr("\nsystem calls: "),
                      HasSubstr("\nfiles: ")));
    EXPECT_EQ(explain_sandbox({}), "new privileges: what it starts may get more\n"
                                   "system calls: all\nfiles: all that its user may\n");
}

} // namespace
} // namespace portico::app
