// What a host of programs has to survive: programs that are missing, crash, hang or flood it,
// thousands at once, its own end, and a clock that jumps.

#include "listening.hpp"
#include "process_facts.hpp"

#include "portico/testkit/descriptor_limit.hpp"

#include <cstdint>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

namespace portico {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool is_sanitized = true; // then memory that was freed is kept
#else
constexpr bool is_sanitized = false;
#endif

class program_faults : public command_test {};

TEST_F(program_faults, a_missing_one_is_told_and_served_again_when_it_is_back) {
    const auto path = file("program");
    std::filesystem::copy_file("/bin/cat", path);
    listening server{{"[::1]:0", "--", path}};
    EXPECT_EQ(ask(connect_to(server.at("::1")), "there"), "there");
    std::filesystem::rename(path, path + ".away");
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(ask(connect_to(server.at("::1")), "gone"), "ECONNRESET");
    }
    EXPECT_TRUE(server->wait_for_err("level=error msg=\"connection ended\".*error.type=ENOENT.*"
                                     "program: execute it: it has gone, or the interpreter"));
    std::filesystem::rename(path + ".away", path);
    EXPECT_EQ(ask(connect_to(server.at("::1")), "back"), "back");
    EXPECT_EQ(server.end(), 0);
    EXPECT_THAT(server->err(), HasSubstr("\"programs in all\" started=2 not_started=3 "
                                         "succeeded=2 "));
}

TEST_F(program_faults, a_crash_is_told_and_the_next_client_is_served) {
    listening server{{"[::1]:0", "--", "sh", "-c", "read how; echo $how; kill -$how $$"}};
    for (const auto& [signal, status] : {std::pair{"SEGV", 139}, {"ABRT", 134}, {"KILL", 137}}) {
        const auto client = connect_to(server.at("::1"));
        put(client, std::string{signal} + '\n');
        EXPECT_EQ(read_to_end(client).text, std::string{signal} + '\n');
        EXPECT_TRUE(server->wait_for_err("process.exit.code=" + std::to_string(status)));
    }
    EXPECT_EQ(server.end(), 0);
    EXPECT_THAT(server->err(), HasSubstr("\"programs in all\" started=3 crashed=3 run_time="));
}

TEST_F(program_faults, one_that_hangs_and_hears_nothing_is_killed_at_its_limit) {
    listening server{{"[::1]:0", "--time-limit", "50ms", "--", "sh", "-c",
                      "trap '' TERM; while :; do sleep 1000; done"}};
    EXPECT_EQ(read_to_end(connect_to(server.at("::1"))).text, "");
    EXPECT_TRUE(server->wait_for_err("process.exit.code=137 error.type=ETIMEDOUT"));
    EXPECT_EQ(server.end(), 0);
    EXPECT_THAT(server->err(), HasSubstr("started=1 overtime=1 killed=1 run_time="));
}

TEST_F(program_faults, a_line_of_stderr_without_an_end_is_cut_and_takes_no_memory) {
    constexpr auto bytes = 30'000'000;
    listening server{{"[::1]:0", "--stderr", "log", "--", "sh", "-c",
                      "head -c " + std::to_string(bytes) +
                          " /dev/zero | tr '\\0' x >&2; "
                          "echo done"}};
    const auto before = status_of(server->pid(), "VmRSS");
    std::vector<os::fd> clients;
    for (int i = 0; i < 3; ++i) {
        clients.push_back(connect_to(server.at("::1")));
    }
    for (const auto& each : clients) {
        EXPECT_EQ(read_to_end(each).text, "done\n");
    }
    EXPECT_TRUE(server->wait_for_err("line=x{1024} cut=" + std::to_string(bytes - 1024) + "\n"));
    if (!is_sanitized) {
        EXPECT_LE(status_of(server->pid(), "VmHWM"), before + 2048);
    }
    EXPECT_EQ(server.end(), 0);
    EXPECT_LT(server->err().size(), 16'384U);
}

// ---- many ----

TEST_F(program_faults, five_thousand_at_once_cost_little_and_leave_nothing) {
    constexpr std::size_t count = 5'000;
    const testkit::room_for_descriptors all{3 * count};
    if (!all.is_enough()) {
        GTEST_SKIP() << "not so many descriptors are allowed";
    }
    testkit::process_options how;
    how.descriptor_limit = 3 * count;
    process server{{command, "listen", "unix:" + file("s"), "--max-connections",
                    std::to_string(count), "--stderr", "log", "--", "cat"},
                   how};
    ASSERT_TRUE(server.wait_for_out("listening"));
    const auto name = ip::unix_name::path(file("s")).value();
    EXPECT_EQ(ask(connect_to(name), "warm"), "warm");
    ASSERT_TRUE(server.wait_for_err("connection ended"));
    const auto descriptors = open_descriptors(server.pid());
    const auto memory = status_of(server.pid(), "VmRSS");

    std::vector<os::fd> clients;
    for (std::size_t i = 0; i < count; ++i) {
        clients.push_back(connect_to(name));
        if (const auto said = ask(clients.back(), "ping"); said != "ping") {
            ASSERT_TRUE(server.wait_for_err("Resource temporarily unavailable")) << said;
            GTEST_SKIP() << "not so many processes are allowed: only " << i;
        }
    }
    EXPECT_EQ(children_of(server.pid()).size(), count);
    EXPECT_EQ(open_descriptors(server.pid()), descriptors + 2 * count); // a pidfd, and stderr
    if (!is_sanitized) {
        EXPECT_LE(status_of(server.pid(), "VmRSS"), memory + count * 3 + 1024);
    }
    clients.clear();
    while (!children_of(server.pid()).empty() || open_descriptors(server.pid()) > descriptors) {
        ::usleep(10'000); // until all have seen their end; forever if one is left
    }
    EXPECT_EQ(ask(connect_to(name), "next"), "next");
    server.signal(SIGTERM);
    EXPECT_EQ(server.wait(), 0);
    const auto started = std::to_string(count + 2);
    EXPECT_THAT(server.err(), HasSubstr("started=" + started + " succeeded=" + started + " run_"));
}

// ---- the end of the host ----

// Those in this network that listen at the port.
std::size_t listeners_at(const std::string& port) {
    const auto found = testkit::run_command("ss -Hltn sport = :" + port);
    return static_cast<std::size_t>(std::count(found.output.begin(), found.output.end(), '\n'));
}

TEST_F(program_faults, killed_hosts_leave_connections_and_no_listener) {
    std::string port = "0";
    std::vector<os::fd> clients;
    for (int host = 0; host < 3; ++host) { // each starts while the programs of those before run
        listening server{{":" + port, "--", "cat"}};
        port = server.port();
        EXPECT_EQ(listeners_at(port), 2U);
        for (const auto* each : {"127.0.0.1", "::1"}) {
            clients.push_back(connect_to(server.at(each)));
            EXPECT_EQ(ask(clients.back(), "before"), "before");
        }
        server->signal(SIGKILL);
        EXPECT_EQ(server->wait(), 128 + SIGKILL);
        EXPECT_EQ(listeners_at(port), 0U) << "a program has the listening socket";
        for (const auto& each : clients) {
            EXPECT_EQ(ask(each, "after"), "after");
        }
    }
}

// ---- the clock ----

// The wall clock of the programs that are started with these options.
class wall_clock {
public:
    explicit wall_clock(const std::string& file) : file_{file} {
        const std::int64_t now = 0;
        std::ofstream{file_}.write(reinterpret_cast<const char*>(&now), sizeof now);
        const os::fd open{::open(file_.c_str(), O_RDWR | O_CLOEXEC)};
        void* const there =
            ::mmap(nullptr, sizeof now, PROT_READ | PROT_WRITE, MAP_SHARED, open.raw(), 0);
        EXPECT_NE(there, MAP_FAILED);
        off_ = static_cast<volatile std::int64_t*>(there);
    }
    wall_clock(const wall_clock&) = delete;
    wall_clock& operator=(const wall_clock&) = delete;
    ~wall_clock() { ::munmap(const_cast<std::int64_t*>(off_), sizeof *off_); }

    [[nodiscard]] testkit::process_options options() const {
        testkit::process_options how;
        how.environment = {{"LD_PRELOAD", JUMPING_CLOCK}, {"JUMPING_CLOCK", file_}};
        if (is_sanitized) { // it wants to be the first library
            how.environment.emplace("ASAN_OPTIONS", "verify_asan_link_order=0");
        }
        return how;
    }
    void set(std::chrono::hours off) const { *off_ = std::chrono::seconds{off}.count(); }

private:
    std::string file_;
    volatile std::int64_t* off_ = nullptr;
};

constexpr std::chrono::hours years{24 * 365};

TEST_F(program_faults, a_time_limit_does_not_hear_of_a_clock_that_is_set_back) {
    const wall_clock clock{file("clock")};
    listening server{
        {"[::1]:0", "--time-limit", "300ms", "--", "sh", "-c", "echo begun; exec sleep 1000"},
        clock.options()};
    const auto client = connect_to(server.at("::1"));
    EXPECT_EQ(take(client), "begun\n");
    clock.set(-10 * years);
    EXPECT_EQ(read_to_end(client).text, "");
    EXPECT_TRUE(server->wait_for_err("time=201\\d-.*connection ended.*duration=\\d+\\.\\d+ "
                                     "process.exit.code=143 error.type=ETIMEDOUT"))
        << server->err();
    EXPECT_EQ(server.end(), 0);
}

TEST_F(program_faults, a_time_limit_does_not_hear_of_a_clock_that_is_set_forward) {
    const wall_clock clock{file("clock")};
    listening server{{"[::1]:0", "--time-limit", "1h", "--", "cat"}, clock.options()};
    auto client = connect_to(server.at("::1"));
    EXPECT_EQ(ask(client, "before"), "before");
    clock.set(10 * years);
    // Whoever hears of it hears of its own end before another client is served and gone.
    EXPECT_EQ(ask(connect_to(server.at("::1")), "other"), "other");
    EXPECT_TRUE(server->wait_for_err("time=203\\d-.*connection=2 ")) << server->err();
    EXPECT_EQ(ask(client, "after"), "after");
    client.reset();
    EXPECT_EQ(server.end(), 0);
    EXPECT_THAT(server->err(), Not(HasSubstr("ETIMEDOUT")));
}

// The library above cannot see what the kernel is asked for.
TEST_F(program_faults, no_timer_of_the_kernel_follows_the_wall_clock) {
    listening server{{"[::1]:0", "--time-limit", "1h", "--", "cat"}};
    const auto client = connect_to(server.at("::1"));
    EXPECT_EQ(ask(client, "running"), "running");
    std::vector<std::string> clocks;
    for (const auto& each :
         std::filesystem::directory_iterator{proc_of(server->pid()) / "fdinfo"}) {
        std::ifstream file{each.path()};
        for (std::string line; std::getline(file, line);) {
            if (line.starts_with("clockid:")) {
                clocks.push_back(line);
            }
        }
    }
    EXPECT_THAT(clocks, testing::Not(testing::IsEmpty()));
    EXPECT_THAT(clocks, testing::Each("clockid: " + std::to_string(CLOCK_MONOTONIC)));
}

} // namespace
} // namespace portico
