// What a relay has to survive: many short connections, no descriptors, no memory, a reader that
// does not read, and TERM in the middle of it all.

#include "listening.hpp"
#include "process_facts.hpp"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <numeric>
#include <sys/resource.h>
#include <thread>

namespace portico {
namespace {

using testkit::run_command;

class relay_faults : public command_test {};

int highest_descriptor(int of) {
    int highest = 0;
    for (const auto& each :
         std::filesystem::directory_iterator{"/proc/" + std::to_string(of) + "/fd"}) {
        highest = std::max(highest, std::stoi(each.path().filename()));
    }
    return highest;
}

// Sets the soft limit of another process, until the end.
class limit_of_process {
public:
    limit_of_process(int pid, __rlimit_resource which, rlim_t value) : pid_{pid}, which_{which} {
        EXPECT_EQ(::prlimit(pid_, which_, nullptr, &before_), 0);
        const rlimit now{value, before_.rlim_max};
        EXPECT_EQ(::prlimit(pid_, which_, &now, nullptr), 0);
    }
    limit_of_process(const limit_of_process&) = delete;
    limit_of_process& operator=(const limit_of_process&) = delete;
    ~limit_of_process() { ::prlimit(pid_, which_, &before_, nullptr); }

private:
    int pid_;
    __rlimit_resource which_;
    rlimit before_{};
};

bool answers(const listening& server) {
    return ask(connect_to(server.at("127.0.0.1")), "ping") == "ping";
}

TEST_F(relay_faults, a_hundred_thousand_short_connections_leak_nothing) {
    listening echo{{"[::1]:0", "-q", "--echo", "--max-connections", "4000"}};
    listening server{{"127.0.0.1:0", "-q", "--threads", "2", "--to", "[::1]:" + echo.port()}};
    const auto work = [&](int count) {
        for (int i = 0; i < count; ++i) {
            auto client = connect_to(server.at("127.0.0.1"));
            put(client, "ping");
            ASSERT_EQ(take(client), "ping");
            if (i % 3 == 0) {
                close_with_reset(client);
            } else if (i % 3 == 1) {
                ASSERT_TRUE(os::shutdown_send(client.raw()));
                ASSERT_EQ(take(client), "");
            }
        }
    };
    const auto all = [&](int each) {
        std::vector<std::jthread> clients;
        for (int i = 0; i < 4; ++i) {
            clients.emplace_back([&work, each] { work(each); });
        }
    };
    all(2'500);
    const auto descriptors = open_descriptors(server->pid());
    const auto memory = status_of(server->pid(), "VmRSS");
    all(22'500);
    // The last ones may still be on their way out.
    EXPECT_LE(open_descriptors(server->pid()), descriptors + 8);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) // they keep what was freed
    EXPECT_LE(status_of(server->pid(), "VmRSS"), memory + 1024);
#else
    static_cast<void>(memory);
#endif
    EXPECT_EQ(server.end(), 0);
}

// A connection takes two: for the last client there is either none, or one and none for its target.
TEST_F(relay_faults, without_descriptors_clients_are_refused_and_later_served) {
    listening echo{{"[::1]:0", "-q", "--echo"}};
    listening server{{"127.0.0.1:0", "--threads", "1", "--to", "[::1]:" + echo.port()}};
    ASSERT_TRUE(answers(server));
    auto at_rest = open_descriptors(server->pid());
    for (int i = 0; i < 100; ++i) { // that connection is on its way out
        ::usleep(1000);
        at_rest = std::min(at_rest, open_descriptors(server->pid()));
    }
    for (const int more : {1, 2}) {
        while (open_descriptors(server->pid()) > at_rest) {
            ::usleep(1000); // what was closed before is on its way out
        }
        std::vector<os::fd> open;
        const limit_of_process few{server->pid(), RLIMIT_NOFILE,
                                   static_cast<rlim_t>(highest_descriptor(server->pid()) + more)};
        std::string said;
        do {
            open.push_back(connect_to(server.at("127.0.0.1")));
            said = ask(open.back(), "ping");
        } while (said == "ping");
        EXPECT_EQ(said, "ECONNRESET");
        for (int i = 0; i < 20; ++i) {
            EXPECT_EQ(take(connect_to(server.at("127.0.0.1"))), "ECONNRESET");
        }
    }
    EXPECT_TRUE(server->wait_for_err("out of descriptors or memory"));
    EXPECT_TRUE(server->wait_for_err("Too many open files"));
    EXPECT_TRUE(answers(server)); // and the target was not held to have failed
    EXPECT_EQ(server.end(), 0);
}

// It lets in as many as there are descriptors for, and the others wait.
TEST_F(relay_faults, with_few_descriptors_clients_wait_and_nobody_is_reset) {
    listening echo{{"[::1]:0", "-q", "--echo"}};
    testkit::process_options few;
    few.descriptor_limit = 30;
    listening server{{"127.0.0.1:0", "[::1]:0", "--threads", "1", "--to", "[::1]:" + echo.port()},
                     few};
    std::vector<os::fd> clients;
    for (int i = 0; i < 40; ++i) {
        clients.push_back(connect_to(server.at("127.0.0.1")));
        put(clients.back(), "ping");
    }
    for (auto& each : clients) {
        EXPECT_EQ(take(each), "ping");
        each.reset();
    }
    EXPECT_EQ(server.end(), 0);
    EXPECT_THAT(server->err(), testing::Not(testing::HasSubstr("accept.shed")));
}

TEST_F(relay_faults, without_memory_connections_are_reset_and_later_served) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "the sanitizers need memory of their own";
#endif
    const target_here target;
    // With small buffers of the kernel nothing is bulk, which would be held in a pipe.
    listening server{
        {"127.0.0.1:0", "-q", "--threads", "1", "--socket-buffer", "4096", "--to", target.name()}};
    std::vector<os::fd> clients;
    std::vector<os::fd> far;
    const auto add = [&] {
        clients.push_back(connect_to(server.at("127.0.0.1")));
        far.push_back(target.accept());
    };
    add();
    const auto data = status_of(server->pid(), "VmData") << 10U;
    const limit_of_process none{server->pid(), RLIMIT_DATA, data + (1U << 20U)};
    // What nobody reads is held, in a buffer of 64 KiB for each.
    const std::vector<std::byte> much(65536);
    std::size_t reset = 0;
    for (int i = 0; i < 40; ++i) {
        add();
        const auto& client = clients.back();
        ::fcntl(client.raw(), F_SETFL, O_NONBLOCK);
        for (int idle = 0; idle < 20;) {
            const auto sent = os::send(client.raw(), much);
            if (!sent && sent.error() == std::errc::resource_unavailable_try_again) {
                ++idle;
                ::usleep(1000);
            } else if (!sent) {
                ++reset;
                break;
            }
        }
    }
    EXPECT_GT(reset, 0U);
    EXPECT_LT(reset, 40U); // who was there before has kept what it had
    clients.clear();
    far.clear();
    add();
    put(clients.back(), "ping");
    EXPECT_EQ(take(far.back()), "ping");
    clients.clear();
    far.clear();
    EXPECT_EQ(server.end(), 0);
}

TEST_F(relay_faults, a_slow_reader_holds_its_writer_back_and_costs_no_memory) {
    const target_here target;
    listening server{{"127.0.0.1:0", "-q", "--threads", "1", "--to", target.name()}};
    std::vector<os::fd> clients;
    std::vector<os::fd> far;
    const auto before = status_of(server->pid(), "VmRSS");
    constexpr std::size_t streams = 8;
    const std::vector<std::byte> much(1 << 20);
    for (std::size_t i = 0; i < streams; ++i) {
        clients.push_back(connect_to(server.at("127.0.0.1")));
        far.push_back(target.accept());
        ::fcntl(clients.back().raw(), F_SETFL, O_NONBLOCK);
    }
    // As fast as they can, until nothing has moved for a while.
    std::array<std::uint64_t, streams> sent{};
    for (int idle = 0; idle < 200;) {
        bool moved = false;
        for (std::size_t i = 0; i < streams; ++i) {
            const auto did = os::send(clients[i].raw(), much);
            sent[i] += did.value_or(0);
            moved = moved || did;
        }
        idle = moved ? 0 : idle + 1;
        if (!moved) {
            ::usleep(1000);
        }
    }
#ifdef __SANITIZE_THREAD__
    constexpr std::size_t own = 8192; // for what it remembers of each access
#else
    constexpr std::size_t own = 0;
#endif
    EXPECT_LE(status_of(server->pid(), "VmRSS"), before + streams * 2 * 64 + 1024 + own);
    // Nothing of it is lost.
    for (std::size_t i = 0; i < streams; ++i) {
        ASSERT_TRUE(os::shutdown_send(clients[i].raw()));
        EXPECT_EQ(read_to_end(far[i]).text.size(), sent[i]);
    }
}

// The connections that are open when TERM comes end as they would have.
TEST_F(relay_faults, term_under_load_cuts_no_transfer) {
    listening echo{{"[::1]:0", "-q", "--echo"}};
    listening server{{"127.0.0.1:0", "-q", "--threads", "2", "--to", "[::1]:" + echo.port()}};
    constexpr std::size_t streams = 16;
    constexpr std::size_t bytes = 4 << 20;
    std::atomic<std::size_t> begun{0};
    std::array<std::size_t, streams> got{};
    std::array<bool, streams> ended{};
    std::vector<std::jthread> load;
    for (std::size_t i = 0; i < streams; ++i) {
        load.emplace_back([&, i] {
            const auto client = connect_to(server.at("127.0.0.1"));
            std::vector<std::byte> all(bytes);
            std::iota(reinterpret_cast<unsigned char*>(all.data()),
                      reinterpret_cast<unsigned char*>(all.data() + all.size()),
                      static_cast<unsigned char>(i));
            const std::jthread sender{[&] {
                for (std::size_t at = 0; at < bytes;) {
                    const auto sent = os::send(client.raw(), std::span{all}.subspan(at, 65536));
                    if (!sent) {
                        return;
                    }
                    at += *sent;
                }
                static_cast<void>(os::shutdown_send(client.raw()));
            }};
            std::vector<std::byte> part(65536);
            for (;;) {
                const auto size = os::recv(client.raw(), part);
                if (!size || *size == 0) {
                    ended[i] = size.has_value();
                    return;
                }
                if (got[i] == 0) {
                    ++begun;
                }
                if (!std::equal(part.begin(), part.begin() + static_cast<std::ptrdiff_t>(*size),
                                all.begin() + static_cast<std::ptrdiff_t>(got[i]))) {
                    return;
                }
                got[i] += *size;
            }
        });
    }
    while (begun < streams) {
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
    server->signal(SIGTERM);
    load.clear(); // waits
    for (std::size_t i = 0; i < streams; ++i) {
        EXPECT_EQ(got[i], bytes);
        EXPECT_TRUE(ended[i]);
    }
    EXPECT_EQ(server->wait(), 0);
}

// Its packets vanish: the next target is taken when its time is over.
TEST_F(relay_faults, a_target_in_a_black_hole_is_passed_over) {
    listening echo{{"[::1]:0", "-q", "--echo"}};
    testkit::must_run("ip addr add 192.0.2.1/32 dev lo");
    const testkit::packet_drop hole{"ip daddr 192.0.2.1"};
    listening server{
        {"127.0.0.1:0", "--connect-timeout", "200ms", "--to", "192.0.2.1:7,[::1]:" + echo.port()}};
    for (int i = 0; i < 6; ++i) {
        EXPECT_TRUE(answers(server));
    }
    EXPECT_TRUE(server->wait_for_err("192.0.2.1:7 Connection timed out; connected to"));
}

TEST_F(relay_faults, a_target_that_says_nothing_is_left_at_the_idle_limit) {
    const target_here silent;
    listening server{{"127.0.0.1:0", "--idle-limit", "200ms", "--to", silent.name()}};
    const auto client = connect_to(server.at("127.0.0.1"));
    put(client, "hello?");
    const auto far = silent.accept();
    EXPECT_EQ(take(client), "ECONNRESET");
    EXPECT_EQ(take(far), "hello?");
    EXPECT_EQ(take(far), "ECONNRESET");
}

} // namespace
} // namespace portico
