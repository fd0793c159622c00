#include "portico/os/as_user.hpp"
#include "portico/os/privileges.hpp"

#include "spawn/starting_test.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <gmock/gmock.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <thread>
#include <unistd.h>

namespace portico::os {
namespace {

TEST(as_user, is_another_one_on_a_thread_of_its_own) {
    constexpr uid_t other = 65534;
    uid_t seen = 0;
    const int before = ::prctl(PR_GET_DUMPABLE);
    const auto done = as_user({other, other}, [&] { seen = ::geteuid(); });
    if (!done) {
        EXPECT_EQ(done.error(), std::errc::operation_not_permitted);
        GTEST_SKIP() << "becoming another user: " << done.error().message();
    }
    EXPECT_EQ(seen, other);
    EXPECT_NE(::geteuid(), other);
    EXPECT_EQ(::prctl(PR_GET_DUMPABLE), before);
}

using testing::HasSubstr;

constexpr auto bind_low = one_capability(CAP_NET_BIND_SERVICE);

TEST(capabilities, each_has_a_name_that_reads_back) {
    for (unsigned each = 0; each <= CAP_LAST_CAP; ++each) {
        EXPECT_EQ(capability_number(capability_name(each)), each);
    }
    EXPECT_EQ(capability_name(CAP_NET_BIND_SERVICE), "cap_net_bind_service");
    EXPECT_EQ(capability_name(CAP_CHECKPOINT_RESTORE), "cap_checkpoint_restore");
    EXPECT_EQ(capability_number("CAP_SYS_PTRACE"), static_cast<unsigned>(CAP_SYS_PTRACE));
    EXPECT_EQ(capability_number("chown"), static_cast<unsigned>(CAP_CHOWN));
    EXPECT_EQ(capability_number("cap_"), std::nullopt);
    EXPECT_EQ(capability_number("cap_cap_chown"), std::nullopt);
    EXPECT_EQ(capability_number(""), std::nullopt);
}

TEST(capabilities, a_set_is_the_names_in_it) {
    EXPECT_EQ(capability_names(0), "none");
    EXPECT_EQ(capability_names(bind_low | one_capability(CAP_CHOWN) | one_capability(63)),
              "cap_chown, cap_net_bind_service, cap_63");
}

// As `grep NAME /proc/self/status` in the process that tells.
std::string status_line(const std::string& name) {
    const fd file{::open("/proc/thread-self/status", O_RDONLY | O_CLOEXEC)};
    const auto text = read_all(file);
    const auto at = text.find(name + ":\t");
    return text.substr(at, text.find('\n', at) - at);
}

TEST(privileges, what_is_read_is_what_proc_says) {
    const auto now = read_privileges();
    ASSERT_TRUE(now) << now.error().message();
    EXPECT_EQ(now->users[0], ::getuid());
    EXPECT_EQ(now->users[1], ::geteuid());
    EXPECT_EQ(now->groups[1], ::getegid());
    const auto hex = [](capability_set set) {
        std::array<char, 17> text{};
        std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(set));
        return std::string{text.data()};
    };
    EXPECT_EQ(status_line("CapEff"), "CapEff:\t" + hex(now->effective));
    EXPECT_EQ(status_line("CapPrm"), "CapPrm:\t" + hex(now->permitted));
    EXPECT_EQ(status_line("CapInh"), "CapInh:\t" + hex(now->inheritable));
    EXPECT_EQ(status_line("CapAmb"), "CapAmb:\t" + hex(now->ambient));
    EXPECT_EQ(status_line("NoNewPrivs"),
              now->no_new_privileges ? "NoNewPrivs:\t1" : "NoNewPrivs:\t0");
}

// What `tell` says as this identity, in a process of its own; or which step failed.
template <class Tell>
std::string told_as(const new_identity& wanted, Tell tell) {
    return told_by_process([&]() -> std::string {
        if (const auto done = drop_to(wanted); !done) {
            return to_text(done.error(), wanted) + ": " + done.error().why.message();
        }
        return tell();
    });
}

const new_identity somebody{.user = 70'031, .group = 70'032, .groups = {70'034, 70'033}};

TEST(privileges, another_user_has_its_ids_and_no_capability_and_cannot_go_back) {
    NEEDS_ROOT();
    const auto told = told_as(somebody, [] {
        const bool back = ::setresuid(0, 0, 0) == 0 || ::setresgid(0, 0, 0) == 0 ||
                          ::setgroups(0, nullptr) == 0 || keep_capabilities(bind_low);
        return status_line("Uid") + '\n' + status_line("Gid") + '\n' + status_line("Groups") +
               '\n' + status_line("CapPrm") + '\n' + status_line("CapEff") + '\n' +
               (back ? "went back" : "");
    });
    EXPECT_EQ(told, "Uid:\t70031\t70031\t70031\t70031\nGid:\t70032\t70032\t70032\t70032\n"
                    "Groups:\t70033 70034 \nCapPrm:\t0000000000000000\n"
                    "CapEff:\t0000000000000000\n");
}

// A port below 1024 of the wildcard address, in a network of its own.
std::string bind_low_port() {
    const ip::endpoint at{ip::address::any(ip::family::v4), 80};
    const auto made = os::socket(at, ip::transport::tcp);
    const auto bound = made ? os::bind(*made, at) : sys_status{tl::unexpected{made.error()}};
    return bound ? "bound" : bound.error().message();
}

TEST(privileges, a_capability_that_is_kept_has_its_effect_and_the_others_are_gone) {
    NEEDS_ROOT();
    const auto told = [](capability_set keep) {
        return told_by_process([keep]() -> std::string {
            if (::unshare(CLONE_NEWNET) != 0) {
                return "no network of its own";
            }
            auto wanted = somebody;
            wanted.keep = keep;
            if (const auto done = drop_to(wanted); !done) {
                return to_text(done.error(), wanted);
            }
            return bind_low_port() + ", " + capability_names(read_privileges()->permitted);
        });
    };
    const auto kept = told(bind_low);
    if (kept == "no network of its own") {
        GTEST_SKIP() << "this root may not make a network namespace";
    }
    EXPECT_EQ(kept, "bound, cap_net_bind_service");
    EXPECT_EQ(told(0), "Permission denied, none");
}

TEST(privileges, a_program_inherits_none_of_what_is_kept) {
    NEEDS_ROOT();
    auto wanted = somebody;
    wanted.keep = bind_low;
    EXPECT_EQ(told_as(wanted,
                      [] {
                          return said("grep ^CapEff /proc/self/status",
                                      {.inherits_capabilities = true});
                      }),
              "CapEff:\t0000000000000000\n");
}

TEST(privileges, all_threads_become_the_other_user_and_lose_the_capabilities) {
    NEEDS_ROOT();
    const auto told = told_by_process([] {
        std::array<int, 2> ends{};
        EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
        const fd out{ends[0]};
        fd in{ends[1]};
        std::string seen;
        std::thread other{[&] {
            static_cast<void>(read_all(out)); // until the other is closed
            seen = status_line("Uid") + ", " + status_line("CapEff");
        }};
        auto wanted = somebody;
        wanted.keep = bind_low;
        EXPECT_TRUE(drop_to(wanted));
        in.reset();
        other.join();
        return seen;
    });
    EXPECT_EQ(told, "Uid:\t70031\t70031\t70031\t70031, CapEff:\t0000000000000000");
}

TEST(privileges, each_step_that_is_not_allowed_is_told) {
    NEEDS_ROOT();
    auto wanted = somebody;
    wanted.user = UINT_MAX; // -1 would mean: as it is
    EXPECT_THAT(told_as(wanted, [] { return std::string{}; }), HasSubstr("find itself as user"));

    EXPECT_EQ(told_by_process([] {
                  EXPECT_TRUE(drop_to(somebody));
                  const auto done = drop_to(somebody);
                  return to_text(done.error(), somebody) + ": " + done.error().why.message();
              }),
              "set the supplementary groups 70034, 70033: Operation not permitted");
    EXPECT_EQ(told_by_process([] {
                  EXPECT_TRUE(
                      keep_capabilities(one_capability(CAP_SETGID) | one_capability(CAP_SETUID)));
                  auto with_low = somebody;
                  with_low.keep = bind_low;
                  const auto done = drop_to(with_low);
                  return to_text(done.error(), with_low) + ": " + done.error().why.message();
              }),
              "keep the capabilities cap_net_bind_service and no others: Operation not permitted");
    EXPECT_EQ(told_by_process([] {
                  EXPECT_TRUE(keep_capabilities(one_capability(CAP_SETGID)));
                  const auto done = drop_to(somebody);
                  return to_text(done.error(), somebody) + ": " + done.error().why.message();
              }),
              "become user 70031: Operation not permitted");
}

TEST(privileges, capabilities_are_given_up_without_another_user_and_not_got_back) {
    NEEDS_ROOT();
    EXPECT_EQ(told_by_process([] {
                  EXPECT_TRUE(keep_capabilities(bind_low));
                  EXPECT_EQ(keep_capabilities(bind_low | one_capability(CAP_KILL)).error().value(),
                            EPERM);
                  const auto now = read_privileges();
                  return capability_names(now->effective) + "; " + capability_names(now->permitted);
              }),
              "cap_net_bind_service; cap_net_bind_service");
}

TEST(privileges, what_is_ambient_and_kept_stays_so) {
    NEEDS_ROOT();
    EXPECT_EQ(told_by_process([] {
                  EXPECT_TRUE(keep_as_ambient(bind_low | one_capability(CAP_SYS_ADMIN)));
                  EXPECT_TRUE(keep_capabilities(bind_low));
                  const auto now = read_privileges();
                  return capability_names(now->inheritable) + "; " + capability_names(now->ambient);
              }),
              "cap_net_bind_service; cap_net_bind_service");
}

TEST(privileges, no_new_privileges_hold_for_programs_too) {
    EXPECT_EQ(told_by_process([] {
                  EXPECT_TRUE(set_no_new_privileges());
                  EXPECT_TRUE(read_privileges()->no_new_privileges);
                  return said("grep ^NoNewPrivs /proc/self/status", {});
              }),
              "NoNewPrivs:\t1\n");
}

} // namespace
} // namespace portico::os
