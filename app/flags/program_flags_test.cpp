#include "flags/program_flags.hpp"

#include "flags/resource_limit.hpp"

#include "portico/os/spawn.hpp"

#include <cstdlib>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

namespace portico::app {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr auto none = RLIM_INFINITY;

TEST(resource_limit, has_a_name_and_one_or_two_values) {
    EXPECT_EQ(parse_resource_limit("nofile=10:20"), (os::resource_limit{RLIMIT_NOFILE, 10, 20}));
    EXPECT_EQ(parse_resource_limit("nproc=7"), (os::resource_limit{RLIMIT_NPROC, 7, 7}));
    EXPECT_EQ(parse_resource_limit("core=0:unlimited"), (os::resource_limit{RLIMIT_CORE, 0, none}));
    EXPECT_EQ(parse_resource_limit("stack=infinity"),
              (os::resource_limit{RLIMIT_STACK, none, none}));
}

TEST(resource_limit, sizes_have_units) {
    EXPECT_EQ(parse_resource_limit("as=3")->soft, 3U);
    EXPECT_EQ(parse_resource_limit("as=3K")->soft, 3U << 10U);
    EXPECT_EQ(parse_resource_limit("as=3M:1G")->hard, 1U << 30U);
    EXPECT_EQ(parse_resource_limit("fsize=2T")->soft, std::uint64_t{2} << 40U);
    EXPECT_THAT(parse_resource_limit("as=3X").error(), HasSubstr("'3X' is no size"));
    EXPECT_THAT(parse_resource_limit("as=").error(), HasSubstr("is no size"));
    EXPECT_THAT(parse_resource_limit("as=99999999T").error(), HasSubstr("too large"));
    EXPECT_THAT(parse_resource_limit("as=99999999999999999999").error(), HasSubstr("is no size"));
    EXPECT_THAT(parse_resource_limit("nofile=1K").error(), HasSubstr("is no number"));
    EXPECT_THAT(parse_resource_limit("nofile=-1").error(), HasSubstr("is no number"));
}

TEST(resource_limit, times_are_times) {
    EXPECT_EQ(parse_resource_limit("cpu=90")->soft, 90U);
    EXPECT_EQ(parse_resource_limit("cpu=1m:2m")->hard, 120U);
    EXPECT_EQ(parse_resource_limit("rttime=2ms")->soft, 2000U);
    EXPECT_THAT(parse_resource_limit("cpu=10ms").error(), HasSubstr("whole seconds"));
    EXPECT_THAT(parse_resource_limit("cpu=x").error(), HasSubstr("is not a time"));
}

class program_flags_test : public testing::Test {
protected:
    or_setting_error<run::program_options> read() {
        return read_program_flags(flags, {"cat", "-n"});
    }
    program_flags flags;
};

TEST_F(program_flags_test, alone_leave_all_as_it_is) {
    const auto made = read();
    ASSERT_TRUE(made);
    EXPECT_THAT(made->path, HasSubstr("bin/cat"));
    EXPECT_THAT(made->arguments, ElementsAre("cat", "-n"));
    EXPECT_EQ(made->settings.user, std::nullopt);
    EXPECT_EQ(made->settings.groups, std::nullopt);
    EXPECT_EQ(made->errors, run::error_output::inherit);
    EXPECT_EQ(made->time_limit, std::nullopt);
}

TEST_F(program_flags_test, a_user_brings_its_groups_and_its_home) {
    if (::geteuid() != 0) {
        GTEST_SKIP() << "only root may become another user";
    }
    flags.user = "nobody";
    const auto made = read();
    ASSERT_TRUE(made);
    EXPECT_EQ(made->settings.user, 65'534U);
    EXPECT_EQ(made->settings.group, 65'534U);
    EXPECT_THAT(made->settings.groups.value(), ElementsAre(65'534U));
    EXPECT_THAT(made->environment, Contains("USER=nobody"));
    EXPECT_THAT(made->environment, Contains("LOGNAME=nobody"));
    EXPECT_THAT(made->environment, Contains("HOME=/nonexistent"));
    EXPECT_EQ(run::find_trouble(*made), std::nullopt);
}

std::vector<std::string> of_account(const std::vector<std::string>& environment) {
    std::vector<std::string> found;
    std::copy_if(environment.begin(), environment.end(), std::back_inserter(found),
                 [](const std::string& each) {
                     const auto name = each.substr(0, each.find('='));
                     return name == "HOME" || name == "USER" || name == "LOGNAME" ||
                            name == "SHELL";
                 });
    return found;
}

TEST_F(program_flags_test, without_a_user_of_its_own_it_has_the_home_of_who_it_runs_as) {
    flags.host_user = "nobody";
    flags.env = {"SHELL=/bin/mine"};
    const auto made = read();
    ASSERT_TRUE(made);
    EXPECT_THAT(of_account(made->environment),
                testing::UnorderedElementsAre("HOME=/nonexistent", "USER=nobody", "LOGNAME=nobody",
                                              "SHELL=/bin/mine"));
    EXPECT_EQ(made->settings.user, std::nullopt) << "it is that user already";
    flags.user = "root";
    flags.host_user = "daemon";
    EXPECT_THAT(of_account(read()->environment), Contains("USER=root"));
}

TEST_F(program_flags_test, a_number_without_a_name_has_nobodys_home) {
    flags.user = "70001";
    flags.group = "70002";
    ::setenv("LOGNAME", "who-started-it", 0);
    const auto made = read();
    ASSERT_TRUE(made);
    EXPECT_THAT(of_account(made->environment), ElementsAre());
    flags.env = {"HOME=/srv"};
    EXPECT_THAT(of_account(read()->environment), ElementsAre("HOME=/srv"));
}

TEST_F(program_flags_test, a_group_and_groups_take_the_place_of_the_users) {
    if (::geteuid() != 0) {
        GTEST_SKIP() << "only root may become another user";
    }
    flags.user = "nobody";
    flags.group = "daemon";
    flags.groups = {"bin", "70001"};
    const auto made = read();
    ASSERT_TRUE(made);
    EXPECT_EQ(made->settings.group, 1U);
    EXPECT_THAT(made->settings.groups.value(), ElementsAre(2U, 70'001U));
}

TEST_F(program_flags_test, a_number_without_a_name_needs_its_group) {
    flags.user = "70001";
    EXPECT_EQ(read().error().setting, "user");
    flags.group = "70002";
    const auto made = read();
    ASSERT_TRUE(made);
    EXPECT_EQ(made->settings.user, 70'001U);
    EXPECT_THAT(made->settings.groups.value(), ElementsAre(70'002U));
}

TEST_F(program_flags_test, nobody_needs_to_be_root_to_stay_who_he_is) {
    if (::geteuid() == 0) {
        GTEST_SKIP() << "this is about users who are not root";
    }
    flags.user = std::to_string(::geteuid());
    const auto made = read();
    ASSERT_TRUE(made);
    EXPECT_EQ(made->settings.user, std::nullopt);
    EXPECT_EQ(made->settings.groups, std::nullopt);
}

TEST_F(program_flags_test, the_program_is_looked_for_by_the_path_that_it_gets) {
    flags.env = {"PATH=/no/such/place"};
    EXPECT_THAT(read().error().text, HasSubstr("directories of PATH"));
    flags.env = {"PATH=/no/such/place:/bin"};
    const auto made = read();
    ASSERT_TRUE(made);
    EXPECT_EQ(made->path, "/bin/cat");
    EXPECT_THAT(made->environment, Contains("PATH=/no/such/place:/bin"));
    EXPECT_THAT(made->environment, Not(Contains("PATH=" + std::string{::getenv("PATH")})));
}

TEST_F(program_flags_test, a_relative_program_is_the_same_one_in_another_directory) {
    flags.cwd = "/usr";
    const auto here = std::filesystem::current_path();
    std::filesystem::current_path("/bin");
    const auto made = read_program_flags(flags, {"./cat"});
    std::filesystem::current_path(here);
    ASSERT_TRUE(made);
    EXPECT_EQ(run::find_trouble(*made), std::nullopt) << made->path;
    EXPECT_TRUE(made->path.starts_with('/'));
}

} // namespace
} // namespace portico::app
