#include "guard/rights.hpp"

#include <gtest/gtest.h>
#include <linux/capability.h>

namespace portico::app {
namespace {

os::capability_set only(std::initializer_list<unsigned> which) {
    os::capability_set all = 0;
    for (const auto each : which) {
        all |= os::one_capability(each);
    }
    return all;
}

run::program_options with(os::spawn_settings settings) {
    run::program_options made;
    made.settings = std::move(settings);
    return made;
}

TEST(rights_to_start, are_those_that_the_steps_of_a_start_take) {
    EXPECT_EQ(rights_to_start(with({})), 0U);
    EXPECT_EQ(rights_to_start(with({.nice = 5, .mask = 022, .directory = "/"})), 0U);
    EXPECT_EQ(rights_to_start(with({.user = 1})), only({CAP_SETUID, CAP_KILL}));
    EXPECT_EQ(rights_to_start(with({.group = 1})), only({CAP_SETGID}));
    EXPECT_EQ(rights_to_start(with({.groups = std::vector<gid_t>{}})), only({CAP_SETGID}));
    EXPECT_EQ(rights_to_start(with({.root = "/srv"})), only({CAP_SYS_CHROOT}));
    EXPECT_EQ(rights_to_start(with({.nice = -1})), only({CAP_SYS_NICE}));
}

TEST(rights_to_start, are_those_of_all_programs_together) {
    std::vector<service_config> services(3);
    services[0].choice.program = with({.group = 1});
    services[2].choice.program = with({.root = "/srv"});
    EXPECT_EQ(rights_to_start(services), only({CAP_SETGID, CAP_SYS_CHROOT}));
}

} // namespace
} // namespace portico::app
