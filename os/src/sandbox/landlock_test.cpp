#include "portico/os/sandbox.hpp"

#include "portico/os/privileges.hpp"
#include "spawn/starting_test.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace portico::os {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

namespace files = std::filesystem;

std::string message(int number) {
    return std::error_code{number, std::system_category()}.message();
}

// Two directories, "a" and "b", with a file "x" in each.
class landlock_test : public testing::Test {
protected:
    void SetUp() override {
        const auto abi = landlock_abi();
        if (!abi) {
            GTEST_SKIP() << "this kernel has no Landlock: " << abi.error().message();
        }
        kernel = *abi;
        std::string name = (files::temp_directory_path() / "landlock.XXXXXX").string();
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        root = name;
        for (const auto* each : {"a", "b"}) {
            files::create_directory(root / each);
            std::ofstream{root / each / "x"} << each;
        }
    }
    void TearDown() override {
        if (!root.empty()) {
            files::remove_all(root);
        }
    }
    [[nodiscard]] std::string at(const char* path) const { return (root / path).string(); }

    files::path root;
    int kernel = 0;
};

// For a child process.
landlock_report restricted(const landlock_rules& wanted, int most_abi = newest_landlock) {
    EXPECT_TRUE(set_no_new_privileges());
    auto done = restrict_by_landlock(wanted, most_abi);
    EXPECT_TRUE(done) << done.error().message();
    return done ? std::move(*done) : landlock_report{};
}

std::string result_of(int returned) {
    return returned < 0 ? message(errno) : "fine";
}

std::string try_open(const std::string& path, int flags) {
    const fd opened{::open(path.c_str(), flags | O_CLOEXEC, 0600)};
    return result_of(opened.raw());
}

const auto fine = std::string{"fine"};
const auto refused = message(EACCES);

TEST_F(landlock_test, a_path_to_read_is_read_and_not_changed) {
    told_by_process([this] {
        const auto report = restricted({.paths = {{{at("a"), path_access::read}}}});
        EXPECT_EQ(report.abi, std::min(kernel, newest_landlock));
        EXPECT_THAT(report.skipped, IsEmpty());
        EXPECT_EQ(try_open(at("a/x"), O_RDONLY), fine);
        EXPECT_EQ(try_open(at("a"), O_RDONLY | O_DIRECTORY), fine);
        EXPECT_EQ(try_open(at("a/x"), O_WRONLY), refused);
        EXPECT_EQ(try_open(at("a/new"), O_WRONLY | O_CREAT), refused);
        EXPECT_EQ(result_of(::unlink(at("a/x").c_str())), refused);
        EXPECT_EQ(result_of(::mkdir(at("a/new").c_str(), 0700)), refused);
        return "";
    });
}

TEST_F(landlock_test, a_path_without_a_rule_is_out_of_reach_and_what_was_open_is_not) {
    told_by_process([this] {
        const fd before{::open(at("b").c_str(), O_RDONLY | O_CLOEXEC)};
        restricted({.paths = {{{at("a"), path_access::read}}}});
        EXPECT_EQ(try_open(at("b/x"), O_RDONLY), refused);
        EXPECT_EQ(try_open("/etc/passwd", O_RDONLY), refused);
        EXPECT_EQ(try_open("/", O_RDONLY | O_DIRECTORY), refused);
        EXPECT_EQ(::fchmod(before.raw(), 0700), 0);
        return "";
    });
}

TEST_F(landlock_test, a_path_to_write_is_written_made_renamed_and_removed_but_not_executed) {
    files::copy_file("/bin/true", root / "b" / "true");
    told_by_process([this] {
        const auto report = restricted(
            {.paths = {{{at("a"), path_access::read_write}, {at("b"), path_access::read_write}}}});
        EXPECT_EQ(try_open(at("a/x"), O_RDWR | O_TRUNC), fine);
        EXPECT_EQ(try_open(at("a/new"), O_WRONLY | O_CREAT), fine);
        EXPECT_EQ(result_of(::mkdir(at("a/in").c_str(), 0700)), fine);
        EXPECT_EQ(result_of(::rename(at("a/new").c_str(), at("a/in/newer").c_str())),
                  report.abi >= 2 ? fine : message(EXDEV));
        EXPECT_EQ(result_of(::unlink(at("b/x").c_str())), fine);
        EXPECT_EQ(result_of(::mknod(at("b/device").c_str(), S_IFCHR, 0)), refused);
        char* const none[] = {nullptr};
        EXPECT_EQ(result_of(::execve(at("b/true").c_str(), none, none)), refused);
        return "";
    });
}

TEST_F(landlock_test, a_program_is_executed_where_that_is_allowed_and_is_held_itself) {
    EXPECT_EQ(told_by_process([this] {
                  restricted({.paths = {{{"/usr", path_access::execute},
                                         {"/bin", path_access::execute},
                                         {"/lib", path_access::execute},
                                         {"/lib64", path_access::execute},
                                         {at("a"), path_access::read}}}});
                  return said("cat " + at("a/x") + "; cat " + at("b/x") + " 2>&1", {});
              }),
              "acat: " + at("b/x") + ": Permission denied\n");
}

TEST_F(landlock_test, a_rule_may_be_for_one_file) {
    told_by_process([this] {
        restricted({.paths = {{{at("a/x"), path_access::read_write}}}});
        EXPECT_EQ(try_open(at("a/x"), O_RDWR), fine);
        EXPECT_EQ(try_open(at("a"), O_RDONLY | O_DIRECTORY), refused);
        return "";
    });
}

TEST_F(landlock_test, a_path_that_is_not_there_is_skipped_and_told) {
    told_by_process([this] {
        const auto report = restricted(
            {.paths = {{{at("none"), path_access::read}, {at("a"), path_access::read}}}});
        EXPECT_EQ(report.skipped.size(), 1U);
        EXPECT_EQ(report.skipped.at(0).path, at("none"));
        EXPECT_EQ(report.skipped.at(0).why, std::errc::no_such_file_or_directory);
        EXPECT_EQ(try_open(at("a/x"), O_RDONLY), fine);
        return "";
    });
}

TEST_F(landlock_test, an_empty_list_of_paths_is_no_path_and_none_is_any) {
    told_by_process([this] {
        restricted({.paths = std::vector<path_rule>{}});
        EXPECT_EQ(try_open(at("a/x"), O_RDONLY), refused);
        return "";
    });
    told_by_process([this] {
        const auto report = restricted({});
        EXPECT_GE(report.abi, 1);
        EXPECT_THAT(report.not_limited, IsEmpty());
        EXPECT_EQ(try_open(at("a/x"), O_RDWR), fine);
        return "";
    });
}

// What an older kernel would do, as far as asking for less shows it.
TEST_F(landlock_test, by_the_first_abi_paths_are_limited_and_the_rest_is_told) {
    told_by_process([this] {
        const auto report = restricted(
            {.paths = {{{at("a"), path_access::read}, {at("b"), path_access::read_write}}},
             .bind_ports = std::vector<std::uint16_t>{},
             .own_abstract_sockets = true,
             .own_signals = true},
            1);
        EXPECT_EQ(report.abi, 1);
        EXPECT_THAT(report.not_limited,
                    ElementsAre(landlock_part::truncating, landlock_part::ports,
                                landlock_part::device_control, landlock_part::abstract_sockets,
                                landlock_part::signals));
        EXPECT_EQ(try_open(at("a/x"), O_WRONLY), refused);
        EXPECT_EQ(result_of(::truncate(at("a/x").c_str(), 0)), fine);
        EXPECT_EQ(result_of(::mkdir(at("b/in").c_str(), 0700)), fine);
        EXPECT_EQ(result_of(::rename(at("b/x").c_str(), at("b/in/x").c_str())), message(EXDEV));
        EXPECT_EQ(result_of(::kill(::getppid(), 0)), fine);
        return "";
    });
}

TEST_F(landlock_test, truncating_needs_the_third_abi) {
    if (kernel < 3) {
        GTEST_SKIP() << "Landlock of this kernel has ABI " << kernel;
    }
    told_by_process([this] {
        const auto report = restricted({.paths = {{{at("a"), path_access::read}}}}, 3);
        EXPECT_THAT(report.not_limited, Not(Contains(landlock_part::truncating)));
        EXPECT_EQ(result_of(::truncate(at("a/x").c_str(), 0)), refused);
        return "";
    });
}

const ip::address local = ip::address::loopback(ip::family::v4);

struct listening {
    listening() {
        const ip::endpoint any_port{local, 0};
        auto made = os::socket(any_port, ip::transport::tcp);
        EXPECT_TRUE(made && os::bind(*made, any_port) && os::listen(*made, 5));
        socket = std::move(*made);
        at = std::get<ip::endpoint>(os::getsockname(socket.raw()).value());
    }
    fd socket;
    ip::endpoint at;
};

std::string try_connect(const ip::endpoint& to) {
    const auto made = os::socket(to, ip::transport::tcp);
    const auto done = os::connect(*made, to);
    return done || done.error().value() == EINPROGRESS ? "fine" : done.error().message();
}

std::string try_bind(const ip::endpoint& at) {
    const auto made = os::socket(at, ip::transport::tcp);
    const auto done = os::bind(*made, at);
    return done ? "fine" : done.error().message();
}

TEST_F(landlock_test, only_the_ports_that_are_named_can_be_bound_and_connected_to) {
    if (kernel < 4) {
        GTEST_SKIP() << "Landlock of this kernel has ABI " << kernel;
    }
    const listening one;
    const listening other;
    const auto in_use = message(EADDRINUSE); // which is not refused
    told_by_process([&] {
        const auto report =
            restricted({.bind_ports = {{one.at.port}}, .connect_ports = {{other.at.port}}});
        EXPECT_THAT(report.not_limited, IsEmpty());
        EXPECT_EQ(try_bind(one.at), in_use);
        EXPECT_EQ(try_bind(other.at), refused);
        EXPECT_EQ(try_bind({local, 0}), refused);
        EXPECT_EQ(try_connect(other.at), fine);
        EXPECT_EQ(try_connect(one.at), refused);
        return "";
    });
    told_by_process([&] {
        restricted({.bind_ports = {{0}}});
        EXPECT_EQ(try_bind({local, 0}), fine);
        EXPECT_EQ(try_bind(one.at), refused);
        EXPECT_EQ(try_connect(one.at), fine) << "it is not limited";
        return "";
    });
}

TEST_F(landlock_test, signals_and_abstract_sockets_stay_inside) {
    if (kernel < 6) {
        GTEST_SKIP() << "Landlock of this kernel has ABI " << kernel;
    }
    const auto at = ip::unix_name::abstract("portico-landlock-" + std::to_string(::getpid()));
    const auto outside = os::socket(*at, ip::transport::tcp);
    ASSERT_TRUE(outside && os::bind(*outside, *at) && os::listen(*outside, 1));
    told_by_process([&] {
        restricted({.own_abstract_sockets = true, .own_signals = true});
        const auto made = os::socket(*at, ip::transport::tcp);
        EXPECT_EQ(os::connect(*made, *at).error().value(), EPERM);
        EXPECT_EQ(result_of(::kill(::getppid(), 0)), message(EPERM));
        const pid_t child = ::fork();
        if (child == 0) {
            ::pause();
        }
        EXPECT_EQ(result_of(::kill(child, SIGKILL)), fine);
        EXPECT_EQ(::waitpid(child, nullptr, 0), child);
        return "";
    });
}

TEST_F(landlock_test, without_no_new_privileges_it_is_refused_and_nothing_is_limited) {
    if (read_privileges()->no_new_privileges) {
        GTEST_SKIP() << "no_new_privs is set here already";
    }
    EXPECT_EQ(told_by_process([this] {
                  EXPECT_TRUE(keep_capabilities(0));
                  const auto done = restrict_by_landlock({.paths = std::vector<path_rule>{}});
                  return (done ? "" : done.error().message()) + "; " +
                         try_open(at("a/x"), O_RDONLY);
              }),
              message(EPERM) + "; fine");
}

TEST_F(landlock_test, a_kernel_without_it_is_told_and_nothing_is_limited) {
    if (!call_filters_available()) {
        GTEST_SKIP() << "this kernel cannot filter system calls, and so cannot play one without";
    }
    EXPECT_EQ(told_by_process([this] {
                  EXPECT_TRUE(set_no_new_privileges());
                  const auto hidden =
                      install_call_filter({.names = {"landlock_create_ruleset"}, .number = ENOSYS});
                  EXPECT_TRUE(hidden && hidden->empty());
                  EXPECT_EQ(landlock_abi().error().value(), ENOSYS);
                  const auto done = restrict_by_landlock({.paths = std::vector<path_rule>{}});
                  return (done ? "" : done.error().message()) + "; " +
                         try_open(at("a/x"), O_RDONLY);
              }),
              message(ENOSYS) + "; fine");
}

TEST_F(landlock_test, after_sixteen_layers_there_is_no_more) {
    told_by_process([this] {
        EXPECT_TRUE(set_no_new_privileges());
        const landlock_rules wanted{.paths = {{{at("a"), path_access::read}}}};
        for (int i = 0; i < 16; ++i) {
            EXPECT_TRUE(restrict_by_landlock(wanted));
        }
        EXPECT_EQ(restrict_by_landlock(wanted).error().value(), E2BIG);
        EXPECT_EQ(try_open(at("a/x"), O_RDONLY), fine);
        return "";
    });
}

TEST(landlock, each_part_has_a_text) {
    EXPECT_EQ(to_text(landlock_part::ports), "TCP ports (needs Linux 6.7)");
    for (const auto each : {landlock_part::truncating, landlock_part::device_control,
                            landlock_part::abstract_sockets, landlock_part::signals}) {
        EXPECT_FALSE(to_text(each).empty());
    }
}

} // namespace
} // namespace portico::os
