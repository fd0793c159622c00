// A small process that has the right to ports below 1024, so that the host need not have it.
//
// The host makes a socket, the binder binds it, and nothing else: a socket is a few bytes of a
// message (SCM_RIGHTS), and all its options are the host's to set. The ports are chosen before the
// host gives up its rights, and never change. Whoever holds the channel may ask, so it goes on to
// the next process with a handover; the binder ends when nobody has it any more.
#pragma once

#include "flags/port_range.hpp"

#include "portico/ip/endpoint.hpp"
#include "portico/os/privileges.hpp"
#include "portico/os/socket.hpp"
#include "portico/os/spawn.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

namespace portico::app {

class binder {
public:
    // Forks: before threads are started, and while this process has CAP_NET_BIND_SERVICE. The
    // process becomes `who`, if there is somebody, and keeps this one capability. Returns when it
    // is ready. The error is for a person.
    [[nodiscard]] static tl::expected<binder, std::string>
    start(const std::vector<port_range>& ports, const std::optional<os::new_identity>& who);
    // One that another process has started.
    [[nodiscard]] static binder by(os::fd channel);

    // The errno of bind(2); EACCES: not one of its ports; EPIPE: it has ended. It is waited for for
    // five seconds at most, and then the call ends with ETIMEDOUT. Threads: one.
    [[nodiscard]] os::sys_status bind(const os::fd& socket, const ip::endpoint& at);
    [[nodiscard]] const os::fd& channel() const noexcept { return channel_; }
    // Its process, to be reaped when it has ended; of another process' binder there is none.
    [[nodiscard]] os::child take_child() { return std::exchange(child_, {}); }

private:
    explicit binder(os::fd channel);
    [[nodiscard]] os::sys_status reply_to(std::uint64_t number) const;

    os::fd channel_;
    os::child child_;
    std::uint64_t number_ = 0; // of the last request
};

// The life of the process itself, up to its end; returns its exit code. It has no descriptor but
// this one afterwards, no file, and no system call but the few that it makes.
[[nodiscard]] int run_binder(os::fd channel, const std::vector<port_range>& ports,
                             const std::optional<os::new_identity>& who);

} // namespace portico::app
