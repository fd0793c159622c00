// A log that cannot be written stops nobody, and says afterwards how much is missing.

#include "serving.hpp"

#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <regex>
#include <sstream>

namespace portico {
namespace {

using testing::HasSubstr;

class log_faults : public serve_command {
protected:
    // `portico listen` in a shell that has done `first`, and whose log is that file.
    [[nodiscard]] static std::vector<std::string> logging_to(const std::string& log,
                                                             const std::string& first = ":") {
        return {"sh", "-c", first + "; exec " + command + " listen [::1]:0 --echo 2>>" + log};
    }
    static ip::endpoint where(process& server) {
        const auto port = server.wait_for_out(R"(listening tcp \S+:(\d+)\n)").value_or("0");
        return {ip::address::loopback(ip::family::v6),
                static_cast<std::uint16_t>(std::stoul(port))};
    }
    static void serve(const ip::endpoint& at, int clients) {
        for (int i = 0; i < clients; ++i) {
            ASSERT_EQ(ask(connect_to(at), "echo"), "echo");
        }
    }
    static int end(process& server) {
        server.signal(SIGTERM);
        return server.wait();
    }
    static std::string text_of(const std::string& name) {
        std::ifstream file{name};
        return (std::ostringstream{} << file.rdbuf()).str();
    }
};

TEST_F(log_faults, a_full_disk_stops_nobody_and_what_is_lost_is_told_when_there_is_room) {
    const auto disk = file("disk");
    std::filesystem::create_directory(disk);
    if (testkit::run_command("mount -t tmpfs -o size=32k none " + disk).status != 0) {
        GTEST_SKIP() << "no disk can be mounted here";
    }
    constexpr auto clients = 100;
    const auto log = disk + "/log";
    process server{logging_to(log)};
    const auto at = where(server);
    // The log takes what there is, line by line, and a part of the last one.
    const auto ballast = testkit::run_command("head -c 24k /dev/zero >" + disk + "/ballast");
    ASSERT_EQ(ballast.status, 0) << ballast.output;
    serve(at, clients);
    serve(at, 1); // whoever came before has been logged, or lost
    const auto full = text_of(log);
    EXPECT_EQ(full.size() % 4096, 0U) << "the disk is not full";
    std::filesystem::remove(disk + "/ballast");
    serve(at, 1);
    EXPECT_EQ(end(server), 0);

    auto all = text_of(log);
    std::smatch lost;
    ASSERT_TRUE(std::regex_search(all, lost,
                                  std::regex{"\ntime=\\S+ level=error msg=\"log lines were lost\" "
                                             "lines=(\\d+)\n"}))
        << all;
    const auto count = std::stoi(lost[1]);
    EXPECT_GT(count, 0);
    // Each connection has its line or is among those that were lost, as the torn one is.
    const auto torn_at = full.rfind('\n') + 1;
    ASSERT_EQ(all[full.size()], '\n') << "the next line begins within the torn one";
    all.erase(torn_at, full.size() + 1 - torn_at);
    const std::regex whole{"(^|\n)time=\\S+ level=info msg=\"connection ended\" [^\n]* received=4 "
                           "sent=4(?=\n)"};
    const auto lines = std::distance(std::sregex_iterator{all.begin(), all.end(), whole}, {});
    EXPECT_EQ(lines + count, clients + 2) << all;
    testkit::must_run("umount -l " + disk);
}

TEST_F(log_faults, a_log_that_may_not_grow_stops_nobody) {
    const auto log = file("log");
    process server{logging_to(log, "ulimit -f 8")};
    const auto at = where(server);
    serve(at, 100);
    EXPECT_EQ(end(server), 0);
    EXPECT_EQ(std::filesystem::file_size(log), 4096U);
}

TEST_F(log_faults, a_device_that_is_always_full_stops_nobody) {
    process server{logging_to("/dev/full")};
    serve(where(server), 10);
    EXPECT_EQ(end(server), 0);
}

TEST_F(log_faults, a_stdout_that_nobody_reads_stops_nobody) {
    write("[service.a]\nlisten = '[::1]:7001'\nbuiltin = 'echo'\n");
    // The shell holds the pipe open and does not read it; there is no room from the beginning.
    const auto pipe = file("out");
    process server{{"sh", "-c",
                    "mkfifo " + pipe + " && exec 3<>" + pipe +
                        " && dd if=/dev/zero of=" + pipe + " bs=4096 count=64 oflag=nonblock 2>/dev/null; "
                        "exec " +
                        command + " serve " + config_ + " >&3"}};
    const ip::endpoint where{ip::address::loopback(ip::family::v6), 7001};
    while (!os::connect(blocking(os::socket(where, ip::transport::tcp).value()), where)) {
        // ends with the test's own limit
    }
    server.signal(SIGHUP);
    ASSERT_TRUE(server.wait_for_err("msg=reloaded reloads=1 ")) << server.err();
    serve(where, 10);
    EXPECT_EQ(end(server), 0);
}

} // namespace
} // namespace portico
