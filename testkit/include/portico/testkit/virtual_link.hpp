// A slow or lossy cable between this network and a peer network.
#pragma once

#include "portico/os/fd.hpp"
#include "portico/testkit/private_network.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace portico::testkit {

// How packets of one family fare, the same in both directions.
struct link_quality {
    std::chrono::milliseconds delay{0}; // one way; order is kept within a family and direction
    unsigned lost_of_1000 = 0;
};

struct link_options {
    link_quality v4{};
    link_quality v6{};
    std::uint64_t seed = 1; // of the losses
    std::string here = "ta";
    std::string there = "tb";
    std::vector<std::string> addresses_here{};  // "192.0.2.1/24", "2001:db8::1/64"
    std::vector<std::string> addresses_there{}; // the same, of the peer
};

// Two TUN devices, one here and one in the peer network, and what carries packets between them.
//
//   this network  [here: TUN] --- delay, loss, by family --- [there: TUN]  peer network
//
// Both are up, with their addresses, without duplicate address detection.
// Memory: at most max_in_flight packets; more are dropped and counted. Threads: one of its own.
class virtual_link {
public:
    static constexpr std::size_t max_in_flight = 4096;

    // Throws std::runtime_error with the step that failed. Precondition:
    // !private_network_refusal().
    virtual_link(const peer_network& peer, link_options how);
    virtual_link(const virtual_link&) = delete;
    virtual_link& operator=(const virtual_link&) = delete;
    ~virtual_link();

    struct counters {
        std::uint64_t carried = 0;
        std::uint64_t lost = 0;     // by link_quality::lost_of_1000
        std::uint64_t overflow = 0; // over max_in_flight
        std::uint64_t unknown = 0;  // neither IPv4 nor IPv6
    };
    [[nodiscard]] counters counted() const noexcept;

private:
    void carry();

    link_options how_;
    std::array<os::fd, 2> ends_; // here, there
    os::fd stop_;
    std::atomic<std::uint64_t> carried_{0};
    std::atomic<std::uint64_t> lost_{0};
    std::atomic<std::uint64_t> overflow_{0};
    std::atomic<std::uint64_t> unknown_{0};
    std::thread thread_;
};

} // namespace portico::testkit
