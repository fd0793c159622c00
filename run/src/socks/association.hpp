// The datagrams of one SOCKS client (RFC 1928 section 7).
//
//                     +--> names --+  (held meanwhile)
//   client --at()-----+            +--allowed--> v4 or v6 socket --> target
//          <----------------known destinations only--------------- <--
#pragma once

#include "portico/base/deadline.hpp"
#include "portico/os/resolve.hpp"
#include "portico/os/socket.hpp"
#include "portico/wire/socks5_datagram.hpp"
#include "socks/shared.hpp"

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <list>
#include <map>
#include <optional>
#include <unordered_map>

namespace portico::run {

// Threads: the executor's. Memory: bounded by socks_options, and 64 KiB of datagrams that wait for
// names.
class socks_association : public std::enable_shared_from_this<socks_association> {
public:
    // `peer`: the client's end of its connection, `local` ours; `port`: what it will send from, 0
    // when it does not say.
    [[nodiscard]] static result<std::shared_ptr<socks_association>>
    open(std::shared_ptr<socks_shared> with, const ip::endpoint& peer, const ip::endpoint& local,
         std::uint16_t port);
    explicit socks_association(std::shared_ptr<socks_shared> with);
    socks_association(const socks_association&) = delete;
    socks_association& operator=(const socks_association&) = delete;
    ~socks_association() { stop(); }

    // Where the client has to send to.
    [[nodiscard]] const ip::endpoint& at() const noexcept { return at_; }
    // `over` is called, not within this call, when it was idle for too long or is broken.
    void start(std::function<void(std::error_code)> over);
    void stop();

    struct told {
        std::uint64_t datagrams_in = 0; // from the client
        std::uint64_t bytes_in = 0;
        std::uint64_t datagrams_out = 0;
        std::uint64_t bytes_out = 0;
        std::uint64_t dropped = 0;
    };
    [[nodiscard]] const told& figures() const noexcept { return told_; }

private:
    struct channel { // one socket
        explicit channel(const asio::any_io_executor& executor) : watch{executor} {}
        os::fd socket;
        asio::posix::stream_descriptor watch; // only waits
    };
    struct held { // a datagram that waits for its name
        std::uint16_t port = 0;
        std::vector<std::byte> data;
    };
    struct named {
        std::vector<ip::destination> found;
        std::vector<held> waiting;
        int asking = 0; // questions without an answer yet
        instant used{};
        std::optional<instant> failed{};
    };

    // ---- association.cpp ----
    [[nodiscard]] os::sys_status bind(const ip::endpoint& local);
    [[nodiscard]] os::sys_status watch(channel& which);
    void wait(channel& which);
    [[nodiscard]] std::error_code read(channel& from);
    void close(channel& which);
    void handle_client(const os::datagram& got, std::span<const std::byte> whole);
    [[nodiscard]] bool is_client(const ip::endpoint& from) const;
    void handle_target(const os::datagram& got);
    enum class sent : std::uint8_t { yes, refused, failed };
    sent send(const std::optional<std::string>& name, const ip::endpoint& to,
              std::span<const std::byte> data, socks_drop& why);
    [[nodiscard]] bool open_towards(channel& out, ip::family which);
    void remember(const ip::endpoint& to);
    void drop(socks_drop why);
    void touch();
    void arm();
    void end(std::error_code why);

    // ---- association_names.cpp ----
    void handle_named(const wire::socks5_name& to, std::span<const std::byte> data);
    [[nodiscard]] named* find(const std::string& name);
    void ask(const std::string& name, named& which);
    void ask(const std::string& name, ip::family which);
    void handle_answer(const std::string& name, result<os::lookup_answer> got);
    void send_to_any(const std::string& name, const named& known, std::uint16_t port,
                     std::span<const std::byte> data);

    std::shared_ptr<socks_shared> with_;
    channel client_;
    channel v4_;
    channel v6_;
    ip::endpoint at_;
    ip::endpoint peer_;     // canonical; with port 0 until it has sent
    os::datagram reply_to_; // the client as it sent
    std::unordered_map<ip::endpoint, instant> destinations_; // when it was last sent to
    std::map<std::string, named> names_;
    std::size_t waiting_bytes_ = 0;
    std::list<asio::cancellation_signal> lookups_; // they must not move
    asio::steady_timer idle_;
    instant used_{};
    std::function<void(std::error_code)> over_; // empty once it has ended
    told told_;
};

} // namespace portico::run
