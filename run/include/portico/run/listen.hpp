// Listening on every address: from wishes to bound sockets, and accepting from all of them.
#pragma once

#include "portico/base/deadline.hpp"
#include "portico/base/error.hpp"
#include "portico/os/fd.hpp"
#include "portico/os/listening.hpp"
#include "portico/plan/memberships.hpp"
#include "portico/plan/plan.hpp"
#include "portico/run/completion.hpp"
#include "portico/run/stream.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace portico::run {

namespace asio = boost::asio;

// One open socket of a listener.
struct bound_socket {
    os::fd
        descriptor; // listening when it is a stream socket; blocks, or not, as who shares it likes
    ip::any_endpoint at; // from getsockname: the real port
    ip::transport over = ip::transport::tcp;
    std::size_t wish = 0;    // index into the wishes
    std::size_t planned = 0; // index into the plan
    // The socket file that was made for it, which close() removes if it is still this one.
    std::optional<os::file_identity> file{};
    bool v6only = false; // as it was planned
    // The number that an inherited one had in our start.
    std::optional<int> inherited{};
    bool foreign = false; // another program, which knows nothing of it, has it as well
    // Further listening sockets at the same address, for other threads (SO_REUSEPORT).
    std::vector<os::fd> clones{};
    std::string interface {};        // that it is bound to; empty: none
    std::vector<ip::group> groups{}; // that it was planned to join; see run::group_watch
    // Those that it has joined. The memberships are the socket's: all descriptors of it have this
    // one set.
    std::shared_ptr<std::set<plan::membership>> joined =
        std::make_shared<std::set<plan::membership>>();
    // Of one that was open already: what the plan has for it, and listener::settle() gives it.
    struct terms {
        int backlog = 0;
        std::optional<unsigned> unix_mode{};
        bool reuse_port = false;
    };
    std::optional<terms> owed{};
};

// A socket that is open already, here or in the process before us, and may go on serving.
struct held_socket {
    bound_socket socket;
    ip::listen_address wish; // that it was opened for
};

// Binds a socket to an address and port, as os::bind() does; of UNIX sockets it is not asked. It
// may wait for somebody who has the right to ports that this process does not have, but not for
// long. Threads: that of the listener. Empty: os::bind().
using bind_call = std::function<os::sys_status(const os::fd&, const ip::endpoint&)>;

// What happened to one planned socket.
struct open_attempt {
    std::size_t planned = 0;    // index into the plan's sockets
    ip::any_endpoint at;        // bound, or tried
    std::optional<error> why{}; // unset: it is open, or covered
    // The attempt whose socket serves this one as well: an IPv6 wildcard that takes IPv4 too,
    // because IPV6_V6ONLY could not be set.
    std::optional<std::size_t> covered_by{};
    std::vector<std::string>
        remarks; // options that could not be set, a stale socket file removed, ...
};

// The whole story of a start.
struct listen_report {
    plan::plan made;
    std::vector<open_attempt> attempts;       // in the order of opening
    std::optional<error> why{};               // unset: the start is a success
    std::optional<plan::shortfall> missing{}; // what `why` is about
    // Every attempt and its error, and the plan's remarks, for a person; lines end in '\n'.
    [[nodiscard]] std::string text() const;
};

// Second descriptors of them all.
[[nodiscard]] os::sys_result<std::vector<held_socket>>
share(const std::vector<held_socket>& sockets);

// Counters of accepting; each event is counted once.
struct accept_counters {
    std::uint64_t calls = 0; // accept4(2) calls, whatever came of them
    std::uint64_t accepted = 0;
    std::uint64_t aborted =
        0; // ECONNABORTED, EPROTO and the network errors of accept(2): passed over
    std::uint64_t shed =
        0; // accepted on the spare descriptor and closed at once: out of descriptors
    std::uint64_t backed_off =
        0; // pauses: out of memory, or out of descriptors in the whole system
};

struct accepted {
    os::fd socket; // non-blocking, close-on-exec
    ip::any_endpoint local;
    ip::any_endpoint peer; // as the kernel gave it; see ip::canonical()
    std::size_t wish = 0;
};

// So long the last packet of a handshake may take.
inline constexpr duration half_way = std::chrono::milliseconds{100};

// All the sockets of a start. Threads: all calls on the executor's thread or strand. Destroying it
// closes the sockets and completes a pending accept with operation_aborted.
// An open stream socket may count as work, so that io_context::run() returns only after close().
class listener {
public:
    // `bind`: how clones are bound.
    listener(asio::any_io_executor executor, std::vector<bound_socket> sockets,
             bind_call bind = {});
    listener(const listener&) = delete;
    listener& operator=(const listener&) = delete;
    ~listener();

    // The open sockets, in the order of the plan. Datagram sockets are for the caller to read: see
    // os::recv_datagram().
    [[nodiscard]] std::span<const bound_socket> sockets() const noexcept;
    [[nodiscard]] accept_counters counters() const noexcept;

    // The next connection on any of the stream sockets, as void(result<accepted>). It fails only
    // with operation_aborted, after close() or a cancellation: everything that accept(2) can say is
    // passed over, shed or backed off, and counted. One accept may be pending at a time.
    // Cancellation: total.
    template <class Token>
    auto async_accept(Token&& token) {
        return asio::async_initiate<Token, void(result<accepted>)>(
            [this](auto handler) {
                start_accept(completion<result<accepted>>{std::move(handler), executor()});
            },
            token);
    }

    // Gives those sockets that were open before what was planned for them: the length of the queue,
    // the mode of the file. Until then they are as whoever else has them made them. Errors are as
    // in a start.
    void settle();

    // Accepts nobody until it is told to go on; who is pending stays so.
    void pause(bool on);

    // Accepts nobody from those sockets any more: they are somebody else's, and who waits there is.
    void leave(const std::function<bool(const bound_socket&)>& which);

    // Opens `clones` of each stream socket until there are `count` sockets at its address, so that
    // the kernel spreads connections over them. Where that cannot be had (UNIX and inherited
    // sockets) there are none; a remark says so, unless nobody would expect them.
    //
    // SO_REUSEPORT is switched on only after the first was bound without it, so that an address
    // that somebody has is refused, as ever. From then on the kernel lets other programs of the
    // same user have a share of the port if they ask for that by SO_REUSEPORT; a socket that would
    // keep them out does not exist (Linux remembers the option of the port, not of each socket).
    [[nodiscard]] std::vector<std::string> clone(std::size_t count);

    // Second descriptors of all sockets, for whoever is to go on with them: see async_listen().
    // `wishes`: those that it was opened for.
    [[nodiscard]] os::sys_result<std::vector<held_socket>>
    share(const std::vector<plan::wish>& wishes) const;
    // Gives the sockets away, to be spread over several listeners. Precondition: nothing was
    // accepted, and nothing is asked of it any more.
    [[nodiscard]] std::vector<bound_socket> release() &&;

    // From now on nobody is answered who asks for a connection at a TCP socket, but who is half-way
    // in is let in; to be closed `half_way` later, when the queues are empty. Not those which
    // `goes_on` is true for, and not inherited ones, which the manager keeps for the next start,
    // nor foreign ones.
    void ignore_new(const std::function<bool(const bound_socket&)>& goes_on = {});
    // Whether a connection waits in one of the queues that it accepts from.
    [[nodiscard]] bool has_waiting() const;

    // Closes the listening sockets; UNIX socket files that were made for them are removed, but not
    // `those`, which somebody goes on with.
    void close(std::span<const os::file_identity> but_not_those = {});

private:
    [[nodiscard]] asio::any_io_executor executor() const;
    void start_accept(completion<result<accepted>> done);

    struct state;
    std::shared_ptr<state> state_;
};

struct listen_outcome {
    std::unique_ptr<listener> sockets; // null when the start failed
    listen_report report;
};

namespace detail {
void start_listen(const asio::any_io_executor& executor, std::vector<plan::wish> wishes,
                  std::vector<held_socket> held, deadline until, bind_call bind,
                  completion<listen_outcome> done);
}

// Resolves the names among the wishes, gathers facts, plans and opens; completes with
// void(listen_outcome). A name that has not resolved at `until` is given up and reported.
// Cancellation: total.
//
// `held`: sockets that are open already. A planned one that is among them (see plan::compare()) is
// not opened but taken over, with its clones and the options that it has; listener::settle() gives
// it the planned ones. The others are closed, and their files stay. A failed start does nothing to
// those that are shared with somebody.
//
// `bind`: how the others are bound; with one, the plan counts on ports below 1024.
template <class Token>
auto async_listen(asio::any_io_executor executor, std::vector<plan::wish> wishes,
                  std::vector<held_socket> held, deadline until, bind_call bind, Token&& token) {
    return asio::async_initiate<Token, void(listen_outcome)>(
        [](auto handler, asio::any_io_executor ex, std::vector<plan::wish> what,
           std::vector<held_socket> have, deadline limit, bind_call how) {
            detail::start_listen(ex, std::move(what), std::move(have), limit, std::move(how),
                                 completion<listen_outcome>{std::move(handler), ex});
        },
        token, executor, std::move(wishes), std::move(held), until, std::move(bind));
}
template <class Token>
auto async_listen(asio::any_io_executor executor, std::vector<plan::wish> wishes, deadline until,
                  Token&& token) {
    return async_listen(std::move(executor), std::move(wishes), std::vector<held_socket>{}, until,
                        bind_call{}, std::forward<Token>(token));
}

} // namespace portico::run
