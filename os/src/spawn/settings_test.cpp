// That each setting holds in the program, and that each one that cannot be set is told.

#include "starting_test.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

namespace portico::os {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr auto status_of_self = "cat /proc/self/status";

std::string line_of(const std::string& text, const std::string& name) {
    const auto at = text.find('\n' + name + ":\t");
    return at == std::string::npos ? "" : text.substr(at + 1, text.find('\n', at + 1) - at - 1);
}

TEST(spawn_settings, a_session_of_its_own) {
    // pid, ppid, pgrp and session of the shell itself (proc(5)).
    const auto ask = "set -- $(cat /proc/$$/stat); [ $1 = $5 ] && [ $1 = $6 ] && echo own";
    EXPECT_EQ(said(ask, {.group_of_processes = process_group::own_session}), "own\n");
    EXPECT_EQ(said(ask, {.group_of_processes = process_group::own}), "");
    EXPECT_EQ(said(ask, {}), "");
}

TEST(spawn_settings, a_process_group_of_its_own_in_our_session) {
    const auto ask = "set -- $(cat /proc/$$/stat); [ $1 = $5 ] && echo own $6";
    const auto ours = "own " + std::to_string(::getsid(0)) + '\n';
    EXPECT_EQ(said(ask, {.group_of_processes = process_group::own}), ours);
    EXPECT_EQ(said(ask, {}), "");
}

TEST(apart_from_terminal, takes_a_session_only_to_leave_a_terminal) {
    const auto without = told_by_process([] {
        ::setsid(); // no terminal
        return std::to_string(static_cast<int>(apart_from_terminal()));
    });
    EXPECT_EQ(without, std::to_string(static_cast<int>(process_group::own)));
    const auto with = told_by_process([] {
        ::signal(SIGHUP, SIG_IGN); // which the end of the terminal sends
        ::setsid();
        const fd host{::posix_openpt(O_RDWR | O_NOCTTY)};
        std::array<char, 64> name{};
        if (::unlockpt(host.raw()) != 0 || ::ptsname_r(host.raw(), name.data(), name.size()) != 0) {
            return std::string{"there are no terminals"};
        }
        const fd terminal{::open(name.data(), O_RDWR)}; // becomes that of the session
        return std::to_string(static_cast<int>(apart_from_terminal()));
    });
    EXPECT_EQ(with, std::to_string(static_cast<int>(process_group::own_session)));
}

TEST(spawn_settings, limits_soft_and_hard) {
    rlimit files{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
    const spawn_settings how{.limits = {{RLIMIT_NOFILE, 20, 30}, {RLIMIT_CORE, 0, 0}}};
    EXPECT_EQ(said("ulimit -Sn; ulimit -Hn; ulimit -Hc", how), "20\n30\n0\n");
    rlimit after{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &after), 0);
    EXPECT_EQ(after.rlim_cur, files.rlim_cur) << "it is for the program, not for us";
}

TEST(spawn_settings, a_limit_that_cannot_be_set_is_told_by_its_name) {
    const spawn_settings how{.limits = {{RLIMIT_CORE, 0, 0}, {RLIMIT_NOFILE, 30, 20}}};
    const auto why = refusal(how);
    EXPECT_EQ(why.step, spawn_step::limit);
    EXPECT_EQ(why.which, 1U);
    EXPECT_EQ(why.why, std::errc::invalid_argument);
    EXPECT_EQ(to_text(why, how), "set the limit nofile");
}

TEST(spawn_settings, nice) {
    const int ours = ::getpriority(PRIO_PROCESS, 0);
    EXPECT_EQ(said("nice", {.nice = 11}), "11\n");
    EXPECT_EQ(::getpriority(PRIO_PROCESS, 0), ours);
}

TEST(spawn_settings, the_umask) {
    const mode_t ours = ::umask(022);
    EXPECT_EQ(said("umask", {.mask = 0137}), "0137\n");
    EXPECT_EQ(::umask(ours), 022U);
}

TEST(spawn_settings, the_directory) {
    EXPECT_EQ(said("pwd", {.directory = "/usr/bin"}), "/usr/bin\n");
    EXPECT_NE(std::filesystem::current_path(), "/usr/bin");
}

TEST(spawn_settings, a_missing_directory_is_told) {
    const spawn_settings how{.directory = "/no/such/place"};
    const auto why = refusal(how);
    EXPECT_EQ(why.step, spawn_step::directory);
    EXPECT_EQ(why.why, std::errc::no_such_file_or_directory);
    EXPECT_EQ(to_text(why, how), "change to the directory /no/such/place");
}

TEST(spawn_settings, a_variable_tells_the_program_its_process_id) {
    EXPECT_EQ(said("[ \"$LISTEN_PID\" = $$ ] && echo own", {.pid_variable = "LISTEN_PID"}),
              "own\n");
}

TEST(spawn_settings, the_user_the_group_and_the_supplementary_groups) {
    NEEDS_ROOT();
    const spawn_settings how{
        .groups = std::vector<gid_t>{70'001, 70'002}, .group = 70'003, .user = 70'004};
    const auto text = said(status_of_self, how);
    EXPECT_EQ(line_of(text, "Uid"), "Uid:\t70004\t70004\t70004\t70004");
    EXPECT_EQ(line_of(text, "Gid"), "Gid:\t70003\t70003\t70003\t70003");
    EXPECT_EQ(line_of(text, "Groups"), "Groups:\t70001 70002 ");
    EXPECT_EQ(line_of(text, "CapEff"), "CapEff:\t0000000000000000");
    EXPECT_EQ(line_of(text, "CapPrm"), "CapPrm:\t0000000000000000");
    EXPECT_EQ(::geteuid(), 0U);
}

TEST(spawn_settings, no_supplementary_group_is_left_when_none_is_asked_for) {
    NEEDS_ROOT();
    const auto text =
        said(status_of_self, {.groups = std::vector<gid_t>{}, .group = 70'003, .user = 70'004});
    EXPECT_EQ(line_of(text, "Groups"), "Groups:\t ");
}

// From those who were root the kernel takes it away by itself.
bool become_another_with_ambient_capability() {
    return ::prctl(PR_SET_KEEPCAPS, 1) == 0 && ::setresuid(70'001, 70'001, 70'001) == 0 &&
           keep_as_ambient(one_capability(CAP_SETUID) | one_capability(CAP_NET_BIND_SERVICE));
}

TEST(spawn_settings, no_program_gets_a_capability_of_ours_unless_it_is_one_of_us) {
    NEEDS_ROOT();
    const auto ask = "grep -E '^Cap(Inh|Eff|Amb)' /proc/self/status | cut -f2 | uniq";
    const auto text = told_by_process([ask] {
        return become_another_with_ambient_capability()
                   ? said(ask, {}) + said(ask, {.user = 70'004}) +
                         said(ask, {.inherits_capabilities = true}) +
                         said(ask, {.user = 70'004, .inherits_capabilities = true})
                   : "no capability";
    });
    const std::string none = "0000000000000000\n";
    EXPECT_EQ(text, none + none + "0000000000000480\n" + none);
}

TEST(spawn_settings, the_nice_value_is_set_while_it_may) {
    NEEDS_ROOT();
    EXPECT_EQ(said("nice", {.nice = -3, .user = 70'004}), "-3\n");
}

TEST(spawn_settings, the_limits_are_set_while_they_may) {
    NEEDS_ROOT();
    const auto text = told_by_process([]() -> std::string {
        const rlimit files{100, 100};
        const rlimit more{101, 101};
        if (::setrlimit(RLIMIT_NOFILE, &files) != 0 || ::setrlimit(RLIMIT_NOFILE, &more) != 0 ||
            ::setrlimit(RLIMIT_NOFILE, &files) != 0) {
            return "may not";
        }
        return said("ulimit -n", {.limits = {{RLIMIT_NOFILE, 101, 101}}, .user = 70'004});
    });
    if (text == "may not") {
        GTEST_SKIP() << "this root has no CAP_SYS_RESOURCE";
    }
    EXPECT_EQ(text, "101\n");
}

TEST(spawn_settings, a_raised_limit_of_descriptors_is_for_us_alone) {
    const auto text = told_by_process([]() -> std::string {
        const rlimit few{100, 200};
        if (::setrlimit(RLIMIT_NOFILE, &few) != 0) {
            return "cannot";
        }
        raise_descriptor_limit();
        raise_descriptor_limit(); // the first one counts
        auto all = std::to_string(count_descriptors().most) + '\n';
        all += said("ulimit -Sn; ulimit -Hn", {});
        all += said("ulimit -n", {.limits = {{RLIMIT_NOFILE, 150, 150}}});
        const rlimit fewer{50, 200};
        return ::setrlimit(RLIMIT_NOFILE, &fewer) == 0 ? all + said("ulimit -Sn", {}) : "cannot";
    });
    EXPECT_EQ(text, "200\n100\n200\n150\n50\n");
}

TEST(descriptors, none_is_left_when_there_is_none_to_count_them_with) {
    const auto text = told_by_process([]() -> std::string {
        rlim_t highest = 0; // somebody may have left us some
        for (int i = 0; i < 1000; ++i) {
            highest = ::fcntl(i, F_GETFD) >= 0 ? static_cast<rlim_t>(i) : highest;
        }
        const rlimit few{highest + 10, highest + 10};
        if (::setrlimit(RLIMIT_NOFILE, &few) != 0) {
            return "cannot";
        }
        std::vector<fd> all;
        do {
            all.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        } while (all.back());
        auto none = std::to_string(descriptors_left());
        all.resize(all.size() - 3); // and the one that could not be had
        return none + ' ' + std::to_string(descriptors_left());
    });
    EXPECT_EQ(text, "0 2");
}

TEST(spawn_settings, the_limit_of_descriptors_stays_when_nobody_raised_it) {
    const auto text = told_by_process([]() -> std::string {
        const rlimit few{100, 200};
        return ::setrlimit(RLIMIT_NOFILE, &few) == 0 ? said("ulimit -Sn", {}) : "cannot";
    });
    EXPECT_EQ(text, "100\n");
}

class in_new_root : public testing::Test {
protected:
    void SetUp() override {
        NEEDS_ROOT();
        std::string name = (std::filesystem::temp_directory_path() / "root.XXXXXX").string();
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        root = name;
        std::filesystem::permissions(root, std::filesystem::perms(0755));
        for (const auto* each : {"bin", "lib", "lib64", "usr", "proc", "data"}) {
            std::filesystem::create_directory(root / each);
        }
    }
    void TearDown() override {
        if (!root.empty()) {
            std::filesystem::remove_all(root);
        }
    }
    // With the libraries that it is linked to.
    void install(const std::string& program) const {
        const auto copy = [this](const std::string& path) {
            std::filesystem::create_directories((root / path.substr(1)).parent_path());
            std::filesystem::copy_file(path, root / path.substr(1),
                                       std::filesystem::copy_options::skip_existing);
        };
        copy(program);
        const auto needs = said("ldd " + program + " | grep -o '/[^ ]*'", {});
        for (std::size_t from = 0; from < needs.size();) {
            const auto end = needs.find('\n', from);
            copy(needs.substr(from, end - from));
            from = end + 1;
        }
    }

    std::filesystem::path root;
};
using spawn_settings_in_root = in_new_root;

TEST_F(spawn_settings_in_root, the_program_is_there_and_nothing_else) {
    install("/bin/sh");
    std::ofstream{root / "data" / "inside"} << "x";
    const spawn_settings how{.root = root.string(), .directory = "/data", .user = 70'004};
    EXPECT_EQ(said("pwd; echo *; [ -e /etc/passwd ] || echo gone", how), "/data\ninside\ngone\n");
}

TEST_F(spawn_settings_in_root, the_working_directory_is_its_top_else) {
    install("/bin/sh");
    EXPECT_EQ(said("pwd; cd ..; [ -d data ] && echo held", {.root = root.string()}), "/\nheld\n");
}

TEST_F(spawn_settings_in_root, a_program_that_is_not_there_is_told) {
    const auto why = refusal({.root = root.string()});
    EXPECT_EQ(why.step, spawn_step::execute);
    EXPECT_EQ(why.why, std::errc::no_such_file_or_directory);
}

TEST_F(spawn_settings_in_root, the_program_is_looked_for_as_it_will_be_found) {
    install("/bin/sh");
    // Outside, the link leads to nowhere, and the name with a path to another file.
    std::filesystem::create_symlink("/bin/sh", root / "data" / "tool");
    EXPECT_EQ(find_program("tool", "/nowhere:/data", root.string()), "/data/tool");
    EXPECT_EQ(find_program("data/tool", "", root.string()), "/data/tool");
    EXPECT_EQ(find_program("/data/../../data/tool", "", root.string()), "/data/../../data/tool");
    EXPECT_EQ(find_program("/bin/ls", "", root.string()).error(),
              std::errc::no_such_file_or_directory);
    EXPECT_EQ(find_program("data", "/", root.string()).error(), std::errc::permission_denied);
    std::ofstream{root / "data" / "text"} << "x";
    EXPECT_EQ(find_program("text", "/data", root.string()).error(), std::errc::permission_denied);
    EXPECT_EQ(find_program("sh", "/bin", root.string() + "/none").error(),
              std::errc::no_such_file_or_directory);
}

TEST_F(spawn_settings_in_root, a_root_that_is_missing_is_told) {
    const spawn_settings how{.root = root.string() + "/none"};
    const auto why = refusal(how);
    EXPECT_EQ(why.step, spawn_step::root);
    EXPECT_EQ(why.why, std::errc::no_such_file_or_directory);
    EXPECT_EQ(to_text(why, how), "chroot to " + how.root);
}

// In a process that may do nothing of it: the step and its error.
std::string refusal_to_nobody(const spawn_settings& how) {
    return told_by_process([&how] {
        if (::setresuid(70'001, 70'001, 70'001) != 0) {
            return std::string{"still root"};
        }
        const auto why = refusal(how);
        return to_text(why, how) + ": " + why.why.message();
    });
}

TEST(spawn_settings, what_needs_root_is_told_to_those_who_are_not) {
    NEEDS_ROOT();
    EXPECT_EQ(refusal_to_nobody({.groups = std::vector<gid_t>{}}),
              "set the supplementary groups: Operation not permitted");
    EXPECT_EQ(refusal_to_nobody({.group = 70'003}), "become group 70003: Operation not permitted");
    EXPECT_EQ(refusal_to_nobody({.root = "/"}), "chroot to /: Operation not permitted");
    EXPECT_EQ(refusal_to_nobody({.user = 70'004}), "become user 70004: Operation not permitted");
    EXPECT_EQ(refusal_to_nobody({.nice = -20}), "set the nice value -20: Permission denied");
}

// It would be "leave it as it is", which is root.
TEST(spawn_settings, the_number_that_is_no_user_is_refused) {
    const auto user = refusal({.user = uid_t(-1)});
    EXPECT_EQ(user.step, spawn_step::user);
    EXPECT_EQ(user.why, std::errc::invalid_argument);
    const auto group = refusal({.group = gid_t(-1)});
    EXPECT_EQ(group.step, spawn_step::group);
    EXPECT_EQ(group.why, std::errc::invalid_argument);
}

TEST(rehearse, tells_what_would_not_work) {
    EXPECT_TRUE(rehearse("/bin/true", {.nice = 3, .directory = "/usr"}));
    const auto missing = rehearse("/no/such/program", {});
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().step, spawn_step::execute);
    EXPECT_EQ(missing.error().why, std::errc::no_such_file_or_directory);
    const auto place = rehearse("/bin/true", {.directory = "/no/such/place"});
    ASSERT_FALSE(place);
    EXPECT_EQ(place.error().step, spawn_step::directory);
    EXPECT_EQ(rehearse("/bin/true", {.user = uid_t(-1)}).error().step, spawn_step::user);
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a process was left behind";
}

TEST(rehearse, asks_for_the_user_that_the_program_will_be) {
    NEEDS_ROOT();
    std::string name = (std::filesystem::temp_directory_path() / "rehearse.XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr); // for its owner alone
    std::filesystem::copy_file("/bin/true", name + "/true");
    EXPECT_TRUE(rehearse(name + "/true", {}));
    const auto other = rehearse(name + "/true", {.user = 70'004});
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().step, spawn_step::execute);
    EXPECT_EQ(other.error().why, std::errc::permission_denied);
    std::filesystem::remove_all(name);
}

// ---- descriptors ----

// Where the program's descriptors lead to, but 1, which has the answer; and which there are, the
// last of them being the directory that ls(1) reads.
constexpr auto tell_descriptors =
    "for i in 0 2 3 4; do readlink /proc/$$/fd/$i; done; exec ls /proc/self/fd";

tl::expected<child, spawn_failure> start_with(std::span<const int> descriptors,
                                              const std::string& script) {
    const std::vector<std::string> argv{"/bin/sh", "-c", script};
    const std::vector<std::string> env{"PATH=/usr/bin:/bin"};
    return spawn("/bin/sh", argv, env, descriptors, {});
}

// With a high number.
fd device(const char* path) {
    const fd low{::open(path, O_RDWR | O_CLOEXEC)};
    return fd{::fcntl(low.raw(), F_DUPFD_CLOEXEC, 20)};
}

std::string said_with(std::span<const int> descriptors, const fd& ours, fd theirs) {
    auto program = start_with(descriptors, tell_descriptors);
    theirs.reset();
    if (!program) {
        return to_text(program.error(), {}) + ": " + program.error().why.message();
    }
    auto text = read_all(ours);
    end_of(*program);
    return text;
}

TEST(spawn_descriptors, each_comes_where_it_was_asked_for) {
    auto [ours, theirs] = connection();
    ASSERT_TRUE(set_blocking(theirs.raw(), true));
    const auto null = device("/dev/null");
    const auto zero = device("/dev/zero");
    const auto full = device("/dev/full");
    const std::array all{null.raw(), theirs.raw(), zero.raw(), full.raw(), null.raw()};
    EXPECT_EQ(said_with(all, ours, std::move(theirs)),
              "/dev/null\n/dev/zero\n/dev/full\n/dev/null\n0\n1\n2\n3\n4\n5\n");
}

// 1 has to make room for the connection before it is copied to 0, and so on.
TEST(spawn_descriptors, one_that_stands_where_another_comes_is_put_aside) {
    const auto text = told_by_process([] {
        auto [ours, theirs] = connection();
        const fd high_ours{::fcntl(ours.raw(), F_DUPFD_CLOEXEC, 20)};
        fd high_theirs{::fcntl(theirs.raw(), F_DUPFD_CLOEXEC, 20)};
        ours.reset();
        theirs.reset();
        EXPECT_TRUE(set_blocking(high_theirs.raw(), true));
        for (const auto& [path, number] :
             {std::pair{"/dev/zero", 0}, {"/dev/null", 1}, {"/dev/full", 3}, {"/dev/random", 4}}) {
            const auto made = device(path);
            ::dup3(made.raw(), number, O_CLOEXEC);
        }
        const std::array all{1, high_theirs.raw(), 0, 3, 4};
        return said_with(all, high_ours, std::move(high_theirs));
    });
    EXPECT_EQ(text, "/dev/null\n/dev/zero\n/dev/full\n/dev/random\n0\n1\n2\n3\n4\n5\n");
}

TEST(spawn_descriptors, one_that_is_not_open_is_told) {
    const std::array all{STDIN_FILENO, STDOUT_FILENO, -1};
    const auto made = start_with(all, "true");
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().step, spawn_step::descriptors);
    EXPECT_EQ(made.error().which, 2U);
    EXPECT_EQ(made.error().why, std::errc::bad_file_descriptor);
    EXPECT_EQ(to_text(made.error(), {}), "give it its descriptor 2");
}

TEST(spawn_descriptors, too_many_are_refused) {
    const std::vector<int> all(most_descriptors + 1, STDIN_FILENO);
    const auto made = start_with(all, "true");
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().why, std::errc::invalid_argument);
}

// As on kernels before 5.9, and in containers whose filter does not know it.
bool refuse_close_range() {
    std::array<sock_filter, 4> program{{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    }};
    const sock_fprog filter{program.size(), program.data()};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0 &&
           ::syscall(SYS_close_range, 1000, 1001, 0) == -1 && errno == ENOSYS;
}

TEST(spawn_descriptors, none_is_left_without_close_range) {
    const auto text = told_by_process([] {
        std::vector<fd> leaked; // not close-on-exec, and more than one reading of /proc tells
        for (int i = 0; i < 300; ++i) {
            leaked.emplace_back(::open("/dev/null", O_RDONLY));
        }
        return refuse_close_range() ? said("exec ls /proc/self/fd", {}) : "there is no filter";
    });
    EXPECT_EQ(text, "0\n1\n2\n3\n");
}

TEST(spawn_descriptors, a_process_without_a_pidfd_is_reaped_all_the_same) {
    const auto text = told_by_process([] {
        auto [ours, theirs] = connection();
        EXPECT_TRUE(set_blocking(theirs.raw(), true));
        rlimit files{};
        ::getrlimit(RLIMIT_NOFILE, &files);
        files.rlim_cur = static_cast<rlim_t>(std::max(ours.raw(), theirs.raw())) + 1;
        ::setrlimit(RLIMIT_NOFILE, &files);
        auto program = start_with(std::array{theirs.raw(), theirs.raw(), STDERR_FILENO}, "exit 3");
        EXPECT_TRUE(program);
        EXPECT_EQ(program->process(), -1);
        siginfo_t ended{};
        ::waitid(P_PID, static_cast<id_t>(program->pid()), &ended, WEXITED | WNOWAIT);
        const auto report = program->reap();
        return std::to_string(report && *report ? (*report)->status() : -1);
    });
    EXPECT_EQ(text, "3");
}

TEST(child, a_whole_group_can_be_killed) {
    auto [ours, theirs] = connection();
    // The one that sleeps holds the connection, too.
    auto program = shell("sleep 1000 & echo ready; wait", std::move(theirs),
                         {.group_of_processes = process_group::own});
    std::array<char, 6> ready{};
    ASSERT_EQ(::read(ours.raw(), ready.data(), ready.size()), 6);
    ASSERT_TRUE(program.kill_group(SIGKILL));
    EXPECT_EQ(read_all(ours), "");
    EXPECT_EQ(end_of(program), (exit_report{true, SIGKILL}));
    EXPECT_EQ(program.kill_group(SIGKILL).error(), std::errc::no_such_process);
}

TEST(resources, have_the_names_of_the_shell) {
    EXPECT_EQ(resource_number("nofile"), RLIMIT_NOFILE);
    EXPECT_EQ(resource_number("files"), std::nullopt);
    EXPECT_EQ(resource_name(RLIMIT_AS), "as");
    EXPECT_EQ(resource_name(12'345), "");
    EXPECT_EQ(resource_names().size(), std::size_t{RLIM_NLIMITS});
    EXPECT_TRUE(std::is_sorted(resource_names().begin(), resource_names().end()));
}

} // namespace
} // namespace portico::os
