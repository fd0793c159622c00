// The sockets of a relay of datagrams that are connected to its targets.
#pragma once

#include "portico/os/fd.hpp"
#include "portico/os/socket.hpp"
#include "portico/run/datagram_relay.hpp"

#include <array>
#include <bitset>
#include <cstdint>
#include <unordered_set>

namespace portico::run {

// Makes them, and knows their names.
//
// An answer may come late, when its socket is closed; had the next socket towards that target the
// same port, another client would get it. So a port is not taken again while it is among the last
// `remembered` that were closed, as long as the kernel has others to give.
//
// Memory: 16 KiB, and about 100 bytes for each open one. Threads: the caller serialises.
class target_sockets {
public:
    static constexpr std::size_t remembered = 4096;

    struct made {
        os::fd socket; // non-blocking
        ip::any_endpoint name;
    };

    explicit target_sockets(const datagram_relay_settings& how)
        : from_{how.from}, interface_{how.interface}, buffer_{how.socket_buffer} {}

    [[nodiscard]] os::sys_result<made> open(const ip::any_endpoint& to);
    void handle_closed(const ip::any_endpoint& name);

    // Whether an open one has this name. `canonical`: as ip::canonical() gives it.
    [[nodiscard]] bool is_ours(const ip::endpoint& canonical) const {
        return names_.contains(canonical);
    }

private:
    [[nodiscard]] os::sys_result<made> connect(const ip::any_endpoint& to) const;
    [[nodiscard]] os::sys_status prepare(const os::fd& socket, bool is_local) const;
    [[nodiscard]] bool was_closed_lately(const ip::any_endpoint& name) const;

    std::optional<ip::endpoint> from_;
    std::string interface_;
    std::optional<int> buffer_;
    std::unordered_set<ip::endpoint> names_;         // canonical
    std::array<std::uint16_t, remembered> closed_{}; // ports, a ring
    std::size_t next_ = 0;
    std::bitset<65'536> is_closed_; // those in the ring
};

} // namespace portico::run
