// What a verb prints and cannot write is lost, and then it must not end as if all were well.

#include "portico/testkit/private_network.hpp"

#include "private_network_test.hpp"

#include <gmock/gmock.h>

namespace portico {
namespace {

using testing::HasSubstr;
using testkit::run_command;

const std::string command = PORTICO_COMMAND;

class standard_output : public private_network_test {
protected:
    void SetUp() override {
        private_network_test::SetUp();
        if (!IsSkipped()) {
            testkit::must_run("ip link set lo up");
        }
    }

    const std::vector<std::string> verbs_{
        "plan :7021",       "plan --json :7021",     "addrs",     "addrs --json",
        "why --no-try :80", "why --json :80 --bind", "--version", "--help",
        "dial --help",
    };
};

TEST_F(standard_output, a_full_disk_is_the_failure_of_every_verb) {
    for (const auto& each : verbs_) {
        const auto got = run_command(command + ' ' + each + " >/dev/full");
        EXPECT_EQ(got.status, 111) << each;
        EXPECT_THAT(got.output, HasSubstr("portico: stdout: No space left on device\n")) << each;
    }
}

TEST_F(standard_output, a_closed_one_is_too) {
    for (const auto& each : verbs_) {
        const auto got = run_command(command + ' ' + each + " >&-");
        EXPECT_EQ(got.status, 111) << each;
        EXPECT_THAT(got.output, HasSubstr("portico: stdout: Bad file descriptor\n")) << each;
    }
}

TEST_F(standard_output, a_reader_that_has_seen_enough_is_no_failure) {
    for (const auto& each : verbs_) {
        const auto got = run_command("bash -c 'exec 3> >(exec true); wait $!; " + command + ' ' +
                                     each + " >&3'");
        EXPECT_EQ(got.status, 0) << each;
        EXPECT_EQ(got.output, "") << each;
    }
}

TEST_F(standard_output, a_mistake_keeps_its_own_exit_code) {
    EXPECT_EQ(run_command(command + " plan [fe80::1]:80 >/dev/full").status, 100);
}

} // namespace
} // namespace portico
