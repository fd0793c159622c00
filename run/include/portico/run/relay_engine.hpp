// Moving bytes between clients and targets: one engine a thread, with an epoll loop of its own.
#pragma once

#include "portico/ip/prefix.hpp"
#include "portico/os/fd.hpp"
#include "portico/relay/streams.hpp"
#include "portico/run/admission.hpp"
#include "portico/run/relay_counters.hpp"
#include "portico/run/relay_targets.hpp"
#include "portico/run/service.hpp"
#include "portico/wire/proxy_header.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace portico::run {

// Connections that begin with a PROXY header (see wire/proxy_header.hpp), which says who the client
// is. LOCAL, UNKNOWN and UNSPEC mean the peer itself.
struct proxy_in {
    // A connection from one of these has to begin with a header, and any other one is refused. Of
    // UNIX sockets the permissions say who is trusted.
    std::vector<ip::prefix> trusted{};
    duration patience = std::chrono::seconds{5};     // for the whole header
    std::size_t max_v2 = wire::default_max_proxy_v2; // bytes
};

// How one relay service treats its connections. The same for all its engines.
struct relay_settings {
    relay::limits limits{};                                  // of joined connections
    duration connect_timeout = std::chrono::seconds{10};     // for all addresses of one target
    duration attempt_delay = std::chrono::milliseconds{250}; // RFC 8305 section 5
    // A reset waits so long at most for the last bytes to be acknowledged.
    duration linger = std::chrono::seconds{2};
    std::optional<ip::endpoint> from{};               // local address of connections to targets
    std::string interface {};                         // SO_BINDTODEVICE for them
    bool no_delay = true;                             // TCP_NODELAY on both sides
    std::optional<std::chrono::seconds> dead_after{}; // see os::set_dead_after(); both sides
    // SO_RCVBUF and SO_SNDBUF of both sides, bytes; unset: the kernel sizes them as it goes.
    std::optional<int> socket_buffer{};
    // TCP_FASTOPEN for clients (RFC 7413): how many such requests may be pending; 0: none. Never
    // towards targets, where a connect that only seems to work would keep the next one from being
    // tried.
    int fast_open = 0;
    std::size_t buffer = 64 << 10;  // bytes of a buffer, and what is read at once; at least 1
    std::size_t max_buffers = 1024; // of each engine: when all are lent, reading waits
    std::size_t max_pipes = 256;    // of each engine, for splice(2); 0: bytes are copied
    std::optional<proxy_in> headers_in{};
    // What every target is told of its client before the client's bytes. TLVs that came with the
    // client go on with it (version 2), and its CRC32C is made anew.
    std::optional<wire::proxy_version> headers_out{};
};

// A client that somebody else has accepted, and perhaps its target, connected.
struct relay_pair {
    os::fd client;         // both non-blocking
    os::fd target;         // empty: the engine chooses and connects one
    ip::any_endpoint peer; // the client
    std::size_t wish = 0;
    std::uint64_t number = 0;             // of the connection; 0: the engine gives one
    std::vector<std::byte> from_client{}; // what was read already, at most one buffer
    std::vector<std::byte> from_target{};
};

// The engine. It owns no thread: give it one with run(), or let another loop watch descriptor() for
// readability and call run_ready().
//
//   listening sockets --accept--> choose a target --connect, or race--> join --> move bytes --> end
//        (paused at the limit)        ^-- the next target, when none of its addresses answers
//
// A connection holds no buffer while nothing waits to be written, and costs about 400 bytes.
//
// Threads: post_*() from any; everything else from the one that runs it. `ended` is called on that
// one. SIGPIPE is blocked in it while run() or run_ready() lasts, and left as it was.
class relay_engine {
public:
    using ended = std::function<void(connection_end)>;

    // All but the counters are shared with the other engines of the service. `door` is asked only
    // about clients that the engine accepts itself. `tell` may be empty; `targets` may be null when
    // every client comes by post(), with its target.
    relay_engine(std::shared_ptr<const relay_settings> settings,
                 std::shared_ptr<relay_targets> targets, std::shared_ptr<admission> door,
                 std::shared_ptr<relay_counters> counters, ended tell);
    relay_engine(const relay_engine&) = delete;
    relay_engine& operator=(const relay_engine&) = delete;
    // Closes everything; `ended` is not called.
    ~relay_engine();

    // Whether there were descriptors for its own loop.
    [[nodiscard]] result<void> ready() const;
    // Accepts from this listening socket, which is non-blocking. `shared`: others wait for the same
    // socket, and one of them is to be woken (EPOLLEXCLUSIVE). Before run().
    [[nodiscard]] result<void> listen(os::fd socket, std::size_t wish, bool shared);

    // Until a drain or a stop is over.
    void run();
    // The same for a loop that watches descriptor(): what is to be done now. False when all is
    // over. next_deadline() is when to call it again at the latest.
    [[nodiscard]] int descriptor() const noexcept;
    [[nodiscard]] bool run_ready();
    [[nodiscard]] deadline next_deadline() const noexcept;

    // Takes a client over.
    void post(relay_pair pair);
    // Accepts nobody, until it is told to go on.
    void post_pause(bool on);
    // Accepts what is in the queues and nothing more, and ends with the last connection. New
    // connection requests are ignored, so that those that are half-way can be finished.
    void post_drain();
    // Ends everything at once, with resets.
    void post_stop();
    // Whether the device and the address of outgoing connections are there. While they are not,
    // clients are reset at once unless a UNIX target is left; when they go, what they carried is
    // reset, and every pair whose target came with it. At first they are taken to be there.
    void post_egress(bool is_there);

private:
    class loop;
    std::unique_ptr<loop> loop_;
};

} // namespace portico::run
