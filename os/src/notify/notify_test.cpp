#include "portico/os/notify.hpp"

#include "portico/os/clock.hpp"
#include "portico/os/fdpass.hpp"
#include "portico/os/listening.hpp"
#include "portico/testkit/process.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdlib>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

namespace portico::os {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

// A socket as the manager has it, at a path or an abstract name.
class listening_manager {
public:
    listening_manager() : listening_manager{false} {}
    explicit listening_manager(bool abstract) {
        char made[] = "/tmp/portico-notify-XXXXXX";
        directory_ = ::mkdtemp(made);
        value_ = abstract ? "@" + directory_ : directory_ + "/notify";
        open();
    }
    listening_manager(const listening_manager&) = delete;
    listening_manager& operator=(const listening_manager&) = delete;
    ~listening_manager() {
        close();
        ::rmdir(directory_.c_str());
    }

    void open() {
        const auto at = value_.front() == '@' ? ip::unix_name::abstract(value_.substr(1))
                                              : ip::unix_name::path(value_);
        auto made = os::socket(*at, ip::transport::udp);
        ASSERT_TRUE(made && os::bind(*made, *at));
        socket_ = std::move(*made);
    }
    void close() {
        socket_.reset();
        ::unlink(value_.c_str());
    }

    [[nodiscard]] const std::string& value() const { return value_; }
    [[nodiscard]] notify_environment environment() const { return {.socket = value_}; }

    // The next message; the descriptors that came with it are kept.
    std::string heard() {
        std::array<std::byte, 8192> room{};
        auto got = receive_descriptors(socket_.raw(), room, most_passed);
        if (!got) {
            return got.error().message();
        }
        descriptors = std::move(got->descriptors);
        return {reinterpret_cast<const char*>(room.data()), got->size};
    }
    std::vector<fd> descriptors;

private:
    std::string directory_;
    std::string value_;
    fd socket_;
};

notify_socket to(const notify_environment& given) {
    auto made = notify_socket::to_manager(given);
    EXPECT_TRUE(made) << made.error().what;
    return made ? std::move(*made) : notify_socket{};
}

const std::string nothing = std::error_code{EAGAIN, std::system_category()}.message();

TEST(notify, the_manager_at_a_path_hears_each_message_whole) {
    listening_manager manager;
    auto way = to(manager.environment());
    EXPECT_TRUE(way.has_manager());
    ASSERT_TRUE(way.notify("READY=1\n"));
    ASSERT_TRUE(way.notify("STATUS=well\n"));
    EXPECT_EQ(manager.heard(), "READY=1\n");
    EXPECT_EQ(manager.heard(), "STATUS=well\n");
    EXPECT_EQ(manager.heard(), nothing);
}

TEST(notify, the_manager_at_an_abstract_name_hears_as_well) {
    listening_manager manager{true};
    auto way = to(manager.environment());
    ASSERT_TRUE(way.notify(notice{.ready = true}));
    EXPECT_EQ(manager.heard(), "READY=1\n");
}

TEST(notify, without_a_manager_all_is_done_at_once) {
    for (const auto& given : {notify_environment{}, notify_environment{.socket = ""}}) {
        auto way = to(given);
        EXPECT_FALSE(way.has_manager());
        EXPECT_TRUE(way.connect());
        EXPECT_EQ(way.raw(), -1);
        EXPECT_TRUE(way.notify(notice{.ready = true}));
        EXPECT_TRUE(way.store("a", std::array{0}));
        EXPECT_TRUE(way.unstore("a"));
        const auto end = way.barrier();
        ASSERT_TRUE(end);
        pollfd waiting{end->raw(), POLLIN, 0};
        EXPECT_EQ(::poll(&waiting, 1, -1), 1);
    }
}

TEST(notify, each_thing_that_can_be_told_has_its_line) {
    const notice all{.ready = true,
                     .reloading = instant{5s + 7us + 999ns},
                     .stopping = true,
                     .well = true,
                     .main_process = 47,
                     .more_time = 2s,
                     .status = "all is well"};
    EXPECT_EQ(to_text(all), "RELOADING=1\nMONOTONIC_USEC=5000007\nREADY=1\nSTOPPING=1\n"
                            "WATCHDOG=1\nMAINPID=47\nEXTEND_TIMEOUT_USEC=2000000\n"
                            "STATUS=all is well\n");
    EXPECT_EQ(to_text(notice{}), "");
    EXPECT_EQ(to_text(notice{.status = ""}), "STATUS=\n");
}

TEST(notify, a_status_is_one_line_and_is_cut_between_characters) {
    EXPECT_EQ(to_text(notice{.status = "a\nREADY=1\tb\x7f"}), "STATUS=a READY=1 b \n");
    const std::string almost(1023, 'x');
    EXPECT_EQ(to_text(notice{.status = almost + "yz"}), "STATUS=" + almost + "y\n");
    const std::string umlaut = "\xc3\xa4";
    EXPECT_EQ(to_text(notice{.status = almost + umlaut}), "STATUS=" + almost + "\n");
    EXPECT_EQ(to_text(notice{.status = almost.substr(1) + umlaut}),
              "STATUS=" + almost.substr(1) + umlaut + "\n");
    EXPECT_LE(to_text(notice{.ready = true,
                             .reloading = instant::max(),
                             .stopping = true,
                             .well = true,
                             .main_process = INT_MAX,
                             .more_time = duration::max(),
                             .status = std::string(10'000, 'x')})
                  .size(),
              most_notice);
}

TEST(notify, what_the_manager_would_not_take_is_an_error) {
    listening_manager manager;
    auto way = to(manager.environment());
    EXPECT_EQ(way.notify("").error().value(), EINVAL);
    EXPECT_EQ(way.notify(notice{}).error().value(), EINVAL);
    EXPECT_EQ(way.notify(std::string(most_notice + 1, 'x')).error().value(), EMSGSIZE);
    EXPECT_EQ(way.store("a:b", std::array{0}).error().value(), EINVAL);
    EXPECT_EQ(way.store("a\nb", std::array{0}).error().value(), EINVAL);
    EXPECT_EQ(way.store("", std::array{0}).error().value(), EINVAL);
    EXPECT_EQ(way.store(std::string(256, 'x'), std::array{0}).error().value(), EINVAL);
    EXPECT_EQ(way.store("a", {}).error().value(), EINVAL);
    EXPECT_EQ(way.store("a", std::array<int, most_passed + 1>{}).error().value(), EINVAL);
    EXPECT_EQ(way.unstore("a:b").error().value(), EINVAL);
    EXPECT_EQ(manager.heard(), nothing);
    EXPECT_TRUE(way.notify(std::string(most_notice, 'x')));
}

TEST(notify, descriptors_are_stored_by_name_and_forgotten_by_name) {
    listening_manager manager;
    auto way = to(manager.environment());
    struct stat expected {};
    struct stat got {};
    const fd file{::open("/dev/zero", O_RDONLY | O_CLOEXEC)};
    ASSERT_EQ(::fstat(file.raw(), &expected), 0);
    ASSERT_TRUE(way.store("web", std::array{file.raw(), file.raw()}));
    EXPECT_EQ(manager.heard(), "FDSTORE=1\nFDNAME=web\n");
    ASSERT_EQ(manager.descriptors.size(), 2U);
    ASSERT_EQ(::fstat(manager.descriptors[1].raw(), &got), 0);
    EXPECT_EQ(got.st_rdev, expected.st_rdev);
    ASSERT_TRUE(way.unstore("web"));
    EXPECT_EQ(manager.heard(), "FDSTOREREMOVE=1\nFDNAME=web\n");
    EXPECT_TRUE(manager.descriptors.empty());
}

TEST(notify, a_barrier_hangs_up_when_the_manager_has_closed_it) {
    listening_manager manager;
    auto way = to(manager.environment());
    ASSERT_TRUE(way.notify(notice{.main_process = 1}));
    const auto barrier = way.barrier();
    ASSERT_TRUE(barrier);
    pollfd waiting{barrier->raw(), POLLIN, 0};
    EXPECT_EQ(::poll(&waiting, 1, 0), 0);
    EXPECT_EQ(manager.heard(), "MAINPID=1\n");
    EXPECT_EQ(manager.heard(), "BARRIER=1");
    EXPECT_EQ(::poll(&waiting, 1, 0), 0);
    manager.descriptors.clear();
    EXPECT_EQ(::poll(&waiting, 1, -1), 1);
    EXPECT_NE(waiting.revents & POLLHUP, 0);
}

TEST(notify, a_manager_that_is_gone_is_told_and_found_again_when_it_is_back) {
    listening_manager manager;
    auto way = to(manager.environment());
    ASSERT_TRUE(way.connect());
    manager.close();
    EXPECT_EQ(way.notify("READY=1").error().value(), ENOENT);
    EXPECT_EQ(way.notify("READY=1").error().value(), ENOENT);
    manager.open();
    EXPECT_TRUE(way.notify("READY=1"));
    EXPECT_EQ(manager.heard(), "READY=1");
    manager.close();
    manager.open();
    EXPECT_TRUE(way.notify("STOPPING=1")) << "it was made anew between two messages";
    EXPECT_EQ(manager.heard(), "STOPPING=1");
}

TEST(notify, a_socket_file_that_nobody_listens_at_any_more_is_refused) {
    listening_manager manager;
    const auto value = manager.value();
    ASSERT_EQ(::link(value.c_str(), (value + "2").c_str()), 0);
    manager.close();
    auto way = to({.socket = value + "2"});
    EXPECT_EQ(way.notify("READY=1").error().value(), ECONNREFUSED);
    ::unlink((value + "2").c_str());
}

TEST(notify, a_socket_of_somebody_else_is_told) {
    listening_manager manager;
    manager.close();
    const auto at = ip::unix_name::path(manager.value());
    const auto stream = os::socket(*at, ip::transport::tcp);
    ASSERT_TRUE(stream && os::bind(*stream, *at) && os::listen(*stream, 1));
    auto way = to(manager.environment());
    EXPECT_EQ(way.notify("READY=1").error().value(), EPROTOTYPE);
    EXPECT_EQ(to({.socket = "/dev/null"}).notify("READY=1").error().value(), ECONNREFUSED);
    EXPECT_EQ(to({.socket = "/dev/null/x"}).notify("READY=1").error().value(), ENOTDIR);
}

TEST(notify, a_manager_that_does_not_read_is_waited_for_by_the_caller) {
    listening_manager manager;
    auto way = to(manager.environment());
    sys_status sent;
    int count = 0;
    while ((sent = way.notify("WATCHDOG=1"))) {
        ++count;
    }
    EXPECT_EQ(sent.error().value(), EAGAIN);
    pollfd waiting{way.raw(), POLLOUT, 0};
    EXPECT_EQ(::poll(&waiting, 1, 0), 0);
    for (; count > 0; --count) {
        EXPECT_EQ(manager.heard(), "WATCHDOG=1");
    }
    EXPECT_EQ(::poll(&waiting, 1, -1), 1);
    EXPECT_TRUE(way.notify("WATCHDOG=1"));
}

TEST(notify, a_value_that_names_no_socket_is_explained) {
    for (const auto& value : {std::string{"run/x"}, std::string{"@"}, std::string{"vsock:2:1"},
                              "/" + std::string(107, 'x'), std::string{"\n"}}) {
        const auto made = notify_socket::to_manager({.socket = value});
        ASSERT_FALSE(made) << value;
        EXPECT_THAT(made.error().what, StartsWith("NOTIFY_SOCKET="));
        EXPECT_THAT(made.error().what, HasSubstr(": it is neither a path nor an abstract name"));
        EXPECT_EQ(made.error().what.find('\n'), std::string::npos);
        EXPECT_THAT(made.error().hint, HasSubstr("unset it when there is no manager"));
    }
}

TEST(notify_watchdog, the_interval_is_for_the_process_that_is_named_or_for_whoever_asks) {
    using interval = std::optional<duration>;
    EXPECT_EQ(watchdog_interval({}, 5).value(), interval{});
    EXPECT_EQ(watchdog_interval({.watchdog_usec = "30000000"}, 5).value(), interval{30s});
    EXPECT_EQ(watchdog_interval({.watchdog_usec = "1", .watchdog_pid = "5"}, 5).value(),
              interval{1us});
    EXPECT_EQ(watchdog_interval({.watchdog_usec = "1", .watchdog_pid = "6"}, 5).value(),
              interval{});
    EXPECT_EQ(watchdog_interval({.watchdog_pid = "5"}, 5).value(), interval{});
}

TEST(notify_watchdog, what_is_no_interval_and_no_process_is_explained) {
    for (const auto* value : {"", "0", "-1", "3s", "9223372036854775807", "99999999999999999999"}) {
        const auto read = watchdog_interval({.watchdog_usec = value}, 5);
        ASSERT_FALSE(read) << value;
        EXPECT_THAT(read.error().what, StartsWith("WATCHDOG_USEC="));
    }
    for (const auto* value : {"", "0", "-5", "x"}) {
        const auto read = watchdog_interval({.watchdog_usec = "1", .watchdog_pid = value}, 5);
        ASSERT_FALSE(read) << value;
        EXPECT_THAT(read.error().what, StartsWith("WATCHDOG_PID="));
    }
}

TEST(notify, how_many_descriptors_are_kept_is_read) {
    EXPECT_EQ(store_limit({}), std::nullopt);
    EXPECT_EQ(store_limit({.store = "512"}), 512U);
    EXPECT_EQ(store_limit({.store = "many"}), std::nullopt);
}

TEST(notify, the_real_environment_is_read) {
    ::setenv("NOTIFY_SOCKET", "@x", 1);
    ::setenv("WATCHDOG_USEC", "7", 1);
    const auto given = read_notify_environment();
    ::unsetenv("NOTIFY_SOCKET");
    ::unsetenv("WATCHDOG_USEC");
    EXPECT_EQ(given.socket, "@x");
    EXPECT_EQ(given.watchdog_usec, "7");
    EXPECT_EQ(read_notify_environment().socket, std::nullopt);
}

// What systemd's own sender says in the same case.
std::string said_by_systemd_notify(listening_manager& manager, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "systemd-notify");
    testkit::process sender{arguments, {.environment = {{"NOTIFY_SOCKET", manager.value()}}}};
    sender.wait();
    return manager.heard();
}

TEST(notify, systemd_notify_says_the_same) {
    if (!testkit::find_program("systemd-notify")) {
        GTEST_SKIP() << "systemd-notify is not installed";
    }
    listening_manager manager;
    auto way = to(manager.environment());
    // It has no new line at the end, which the manager does not need, and sends a barrier.
    EXPECT_EQ(said_by_systemd_notify(manager, {"--ready", "--status=all is well", "--no-block"}) +
                  '\n',
              to_text(notice{.ready = true, .status = "all is well"}));
    EXPECT_THAT(said_by_systemd_notify(manager, {"--no-block", "FDSTORE=1", "FDNAME=web"}) + '\n',
                "FDSTORE=1\nFDNAME=web\n");
}

TEST(notify, socat_hears_it_at_a_path) {
    if (!testkit::find_program("socat")) {
        GTEST_SKIP() << "socat is not installed";
    }
    char made[] = "/tmp/portico-notify-XXXXXX";
    const std::string directory = ::mkdtemp(made);
    const auto at = directory + "/notify";
    {
        testkit::process socat{{"socat", "-u", "UNIX-RECV:" + at + ",unlink-close=1", "-"}};
        auto way = to({.socket = at});
        while (!way.connect()) {
        }
        ASSERT_TRUE(way.notify(notice{.ready = true, .status = "one"}));
        ASSERT_TRUE(way.notify(notice{.reloading = os::now()}));
        ASSERT_TRUE(way.notify(notice{.status = "two"}));
        EXPECT_TRUE(socat.wait_for_out("^READY=1\nSTATUS=one\nRELOADING=1\n"
                                       "MONOTONIC_USEC=[0-9]+\nSTATUS=two\n"));
    }
    ::unlink(at.c_str());
    ::rmdir(directory.c_str());
}

} // namespace
} // namespace portico::os
