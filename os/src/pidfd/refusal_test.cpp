#include "portico/os/pidfd.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <unistd.h>

namespace portico::os {
namespace {

using testing::HasSubstr;

process_identity user(uid_t id) {
    return {{id, id, id}, {id, id, id}, 0};
}

std::string why(const ptrace_facts& known) {
    return why_not_taken(known).why;
}

TEST(ptrace_refusal, the_first_rule_that_does_not_hold_is_told) {
    ptrace_facts known{.ours = user(1000), .theirs = process_identity{user(1000)}};
    EXPECT_THAT(why(known), HasSubstr("another user namespace"));

    known.yama_scope = 0;
    EXPECT_THAT(why(known), HasSubstr("another user namespace"));
    known.yama_scope = 1;
    EXPECT_THAT(why(known), HasSubstr("ptrace_scope is 1, so only a process that started it"));
    known.yama_scope = 2;
    EXPECT_THAT(why(known), HasSubstr("ptrace_scope is 2, so only a process with CAP_SYS_PTRACE"));

    known.theirs->capabilities = std::uint64_t{1} << CAP_NET_BIND_SERVICE;
    EXPECT_EQ(why(known), "it has capabilities that this process has not");
    known.ours.capabilities = known.theirs->capabilities | 1;
    EXPECT_THAT(why(known), HasSubstr("ptrace_scope"));

    known.not_dumpable = true;
    EXPECT_THAT(why(known), HasSubstr("not dumpable"));
    known.theirs->groups = {1000, 5, 1000};
    EXPECT_EQ(why(known),
              "it runs as group 1000 (effective 5, saved 1000), and this process as 1000");
    known.theirs->users = {0, 0, 0};
    EXPECT_EQ(why(known), "it runs as user 0, and this process as 1000");

    known.has_sys_ptrace = true;
    EXPECT_THAT(why(known), HasSubstr("CAP_SYS_PTRACE is there, but does not hold"));
    known.yama_scope = 3;
    EXPECT_THAT(why(known), HasSubstr("ptrace_scope is 3, so nobody"));
}

TEST(ptrace_refusal, without_a_word_about_the_other_process_the_rest_still_holds) {
    EXPECT_THAT(why({}), HasSubstr("another user namespace"));
    EXPECT_THAT(why({.yama_scope = 1}), HasSubstr("ptrace_scope is 1"));
    EXPECT_THAT(why({.yama_scope = 3}), HasSubstr("ptrace_scope is 3"));
}

constexpr auto status = "Name:\tx\nUmask:\t0022\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\n"
                        "CapInh:\t0000000000000000\nCapPrm:\t0000000000000400\n";

TEST(process_status, the_ids_and_the_permitted_capabilities_are_read) {
    const process_identity expected{{1, 2, 3}, {5, 6, 7}, 0x400};
    EXPECT_EQ(parse_process_status(status), expected);
}

TEST(process_status, each_line_is_needed_whole) {
    const std::string text{status};
    const auto with = [&text](std::string_view part, std::string_view other) {
        auto changed = text;
        changed.replace(changed.find(part), part.size(), other);
        return changed;
    };
    EXPECT_FALSE(parse_process_status(""));
    EXPECT_FALSE(parse_process_status(with("Uid:", "Vid:")));
    EXPECT_FALSE(parse_process_status(with("Gid:", "Vid:")));
    EXPECT_FALSE(parse_process_status(with("CapPrm:", "CapPr:")));
    EXPECT_FALSE(parse_process_status(with("1\t2\t3\t4", "1\t2\t3")));
    EXPECT_FALSE(parse_process_status(with("1\t2\t3\t4", "1\t2\t-3\t4")));
    EXPECT_FALSE(parse_process_status(with("1\t2\t3\t4", "1\t2\t4294967296\t4")));
    EXPECT_FALSE(parse_process_status(with("0400", "040g")));
    EXPECT_FALSE(parse_process_status(with("0400\n", "")));
    EXPECT_TRUE(parse_process_status(with("Name:\tx", "Name:\tUid:\t9\t9\t9\t9")));
}

TEST(process_status, what_is_gathered_of_this_process_is_what_it_is) {
    const auto known = gather_ptrace_facts(::getpid());
    EXPECT_EQ(known.ours.users[0], ::getuid());
    EXPECT_EQ(known.ours.groups[1], ::getegid());
    ASSERT_TRUE(known.theirs);
    EXPECT_EQ(*known.theirs, known.ours);
    EXPECT_FALSE(gather_ptrace_facts(0).theirs);
}

} // namespace
} // namespace portico::os
