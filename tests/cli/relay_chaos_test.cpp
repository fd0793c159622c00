// A relay between two ends, with a bad cable on either side of it: late, in pieces, cut. Every byte
// is compared: nothing is lost, nothing is changed, and no stream ends early but by a reset.

#include "listening.hpp"

#include "portico/testkit/chaos_relay.hpp"
#include "portico/testkit/random.hpp"
#include "portico/testkit/threads.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <poll.h>
#include <thread>
#include <unordered_map>

namespace portico {
namespace {

using testkit::seeded_random;

// What one end sends: bytes that its name decides.
std::vector<std::byte> stream_of(std::uint64_t name, bool of_client) {
    seeded_random random{name * 2 + (of_client ? 1 : 0)};
    // Mostly short, some of more than the buffers between hold at once.
    const auto limit = random.chance(1, 20) ? 300'000 : 5'000;
    std::vector<std::byte> all(sizeof name + random.below(static_cast<std::uint64_t>(limit)));
    for (auto& each : all) {
        each = static_cast<std::byte>(random() >> 33U);
    }
    if (of_client) {
        std::memcpy(all.data(), &name, sizeof name);
    }
    return all;
}

enum class how_it_ended { whole, reset, wrong };

// Sends all and an end, and reads until there is an end; both at once.
class talker {
public:
    talker(const os::fd& socket, std::vector<std::byte> says)
        : socket_{socket}, says_{std::move(says)} {}

    // Reads at least so many bytes first; false when that fails.
    bool hear(std::size_t least) {
        while (heard_.size() < least && !ended_ && !failed_) {
            wait(false);
            receive();
        }
        return heard_.size() >= least;
    }
    [[nodiscard]] const std::vector<std::byte>& heard() const { return heard_; }

    how_it_ended talk(const std::vector<std::byte>& expected) {
        while (!failed_ && !(ended_ && told_end_)) {
            wait(!told_end_);
            if (!told_end_) {
                send();
            }
            receive();
        }
        const bool is_prefix = heard_.size() <= expected.size() &&
                               std::equal(heard_.begin(), heard_.end(), expected.begin());
        if (!is_prefix || (ended_ && heard_.size() != expected.size())) {
            return how_it_ended::wrong;
        }
        return failed_ ? how_it_ended::reset : how_it_ended::whole;
    }
    void say(std::vector<std::byte> what) { says_ = std::move(what); }

private:
    void wait(bool writes) {
        pollfd one{socket_.raw(),
                   static_cast<short>((ended_ ? 0 : POLLIN) | (writes ? POLLOUT : 0)), 0};
        ::poll(&one, 1, -1);
    }
    void send() {
        const auto done = os::send(socket_.raw(), std::span{says_}.subspan(said_));
        failed_ = failed_ || (!done && done.error() != std::errc::resource_unavailable_try_again);
        said_ += done.value_or(0);
        if (said_ == says_.size() && !failed_) {
            told_end_ = true;
            failed_ = !os::shutdown_send(socket_.raw());
        }
    }
    void receive() {
        if (ended_ || failed_) { // of a failed one, an end means nothing
            return;
        }
        std::array<std::byte, 20'000> part;
        const auto got = os::recv(socket_.raw(), part);
        failed_ = failed_ || (!got && got.error() != std::errc::resource_unavailable_try_again);
        ended_ = got && *got == 0;
        heard_.insert(heard_.end(), part.begin(),
                      part.begin() + static_cast<std::ptrdiff_t>(got.value_or(0)));
    }

    const os::fd& socket_;
    std::vector<std::byte> says_;
    std::vector<std::byte> heard_;
    std::size_t said_ = 0;
    bool told_end_ = false;
    bool ended_ = false;
    bool failed_ = false;
};

// The far end: answers each client with the stream that belongs to it.
class far_end {
public:
    far_end() {
        const ip::endpoint any{ip::address::loopback(ip::family::v6), 0};
        listener_ = os::socket(any, ip::transport::tcp).value();
        EXPECT_TRUE(os::bind(listener_, any) && os::listen(listener_, 4096));
        at_ = std::get<ip::endpoint>(os::getsockname(listener_.raw()).value());
        acceptor_ = std::jthread{[this](const std::stop_token& stop) { accept_all(stop); }};
    }
    [[nodiscard]] const ip::endpoint& at() const { return at_; }

    // How the connection with that name ended here; nullopt when it never came.
    std::optional<how_it_ended> outcome(std::uint64_t name) {
        const std::lock_guard locked{mutex_};
        const auto found = outcomes_.find(name);
        return found == outcomes_.end() ? std::nullopt : std::optional{found->second};
    }
    void finish() {
        acceptor_.request_stop();
        acceptor_.join();
        connections_.join();
    }

private:
    void accept_all(const std::stop_token& stop) {
        while (!stop.stop_requested()) {
            pollfd one{listener_.raw(), POLLIN, 0};
            ::poll(&one, 1, 20);
            if (auto got = os::accept4(listener_.raw())) {
                const auto socket = std::make_shared<os::fd>(std::move(got->socket));
                connections_.start([this, socket] { answer(*socket); });
            }
        }
    }
    void answer(const os::fd& socket) {
        talker here{socket, {}};
        std::uint64_t name = 0;
        if (!here.hear(sizeof name)) {
            return;
        }
        std::memcpy(&name, here.heard().data(), sizeof name);
        here.say(stream_of(name, false));
        const auto ended = here.talk(stream_of(name, true));
        const std::lock_guard locked{mutex_};
        outcomes_[name] = ended;
    }

    os::fd listener_;
    ip::endpoint at_;
    std::mutex mutex_;
    std::unordered_map<std::uint64_t, how_it_ended> outcomes_; // guarded
    testkit::threads connections_;
    std::jthread acceptor_;
};

// Where a connection is cut, if at all: on the client's side of the relay or on the target's.
std::optional<std::size_t> cut_of(std::uint64_t name, bool on_client_side) {
    seeded_random random{name ^ 0x5bd1e995U};
    if (!random.chance(1, 4) || random.chance(1, 2) != on_client_side) {
        return std::nullopt;
    }
    return 1 + random.below(6'000);
}

class relay_chaos : public command_test {};

TEST_F(relay_chaos, ten_thousand_connections_lose_and_change_nothing) {
    constexpr std::uint64_t connections = 10'000;
    constexpr std::size_t at_a_time = 32;
    const seeded_random seed; // printed
    far_end far;
    testkit::chaos_options behind;
    behind.to = far.at();
    behind.seed = seed.seed();
    behind.cut = [](std::uint64_t name) { return cut_of(name, false); };
    testkit::chaos_relay second{behind};
    listening server{{"127.0.0.1:0", "-q", "--threads", "2", "--to", ip::to_text(second.at())}};
    auto before = behind;
    before.to = server.at("127.0.0.1");
    before.seed = seed.seed() + connections;
    before.cut = [](std::uint64_t name) { return cut_of(name, true); };
    testkit::chaos_relay first{before};

    std::vector<how_it_ended> outcomes(connections);
    std::atomic<std::uint64_t> next{0};
    std::vector<std::jthread> clients;
    for (std::size_t i = 0; i < at_a_time; ++i) {
        clients.emplace_back([&] {
            for (auto n = next++; n < connections; n = next++) {
                const auto name = seed.seed() + n;
                const auto socket = connect_to(first.at());
                ::fcntl(socket.raw(), F_SETFL, O_NONBLOCK);
                outcomes[n] = talker{socket, stream_of(name, true)}.talk(stream_of(name, false));
            }
        });
    }
    clients.clear(); // waits
    EXPECT_EQ(server.end(), 0);
    far.finish();
    std::uint64_t whole = 0;
    for (std::uint64_t n = 0; n < connections; ++n) {
        const auto name = seed.seed() + n;
        const auto there = far.outcome(name);
        const bool is_cut = cut_of(name, true) || cut_of(name, false);
        ASSERT_NE(outcomes[n], how_it_ended::wrong) << name;
        ASSERT_NE(there, how_it_ended::wrong) << name;
        if (!is_cut) {
            ASSERT_EQ(outcomes[n], how_it_ended::whole) << name;
            ASSERT_EQ(there, how_it_ended::whole) << name;
            ++whole;
        }
    }
    EXPECT_GT(whole, connections / 2);
    EXPECT_GT(first.cut_so_far(), connections / 20);
    EXPECT_GT(second.cut_so_far(), connections / 20);
}

} // namespace
} // namespace portico
