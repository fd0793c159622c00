// One SOCKS client, from its first byte until it is joined, or turned away.
#pragma once

#include "portico/run/service.hpp"
#include "portico/wire/socks5_server.hpp"
#include "socks/association.hpp"
#include "socks/shared.hpp"

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <functional>

namespace portico::run {

//   talking --request--> opening --yes--> answering --told--> joined (the engine's)
//      |                    | no              |        +----> associated --end, idle--> over
//      +--------------------+--> answering ---+--> lingering --end, time--> over
//
// It keeps itself alive by its handlers, and is in socks_shared::talking until it is over or
// joined.
class socks_conversation : public std::enable_shared_from_this<socks_conversation> {
public:
    socks_conversation(std::shared_ptr<socks_shared> with, accepted from, std::uint64_t number,
                       stream_service::ended done);
    socks_conversation(const socks_conversation&) = delete;
    socks_conversation& operator=(const socks_conversation&) = delete;
    ~socks_conversation();

    std::list<std::shared_ptr<socks_conversation>>::iterator where; // in `talking`

    void start();
    // At once, with a reset.
    void stop();
    // As far as it needs one.
    void handle_egress_gone();

private:
    // ---- conversation.cpp ----
    void talk();
    [[nodiscard]] bool send();
    [[nodiscard]] bool receive();
    void check_credentials();
    void await(asio::posix::stream_descriptor::wait_type what);
    void set_timer(duration limit, void (socks_conversation::*then)());
    void unset_timer();
    void handle_late();
    void turn_away();
    void drain();
    void fail(std::error_code why, operation during);
    void finish(std::optional<error> why, bool reset);
    void let_go();
    void release();
    void note(const std::string& text);
    [[nodiscard]] error refused(std::error_code why) const;

    // ---- connect.cpp ----
    void open();
    void connect(const wire::proxy_target& to);
    void watch_client();
    void handle_dialled(dial_outcome got);
    void not_opened(wire::socks5_reply reply, error why);
    void join();

    // ---- associate.cpp ----
    void associate(const wire::proxy_target& from);
    void begin_association();
    void hold();
    void count_datagrams();

    std::shared_ptr<socks_shared> with_;
    os::fd socket_;
    asio::posix::stream_descriptor watch_; // only waits for the descriptor of socket_
    asio::steady_timer timer_;
    wire::socks5_server machine_;
    std::vector<std::byte> input_; // what the machine has not taken
    connection_end end_;
    stream_service::ended done_;
    instant began_;
    std::optional<std::string> name_; // that is dialled
    std::optional<error> why_;        // it was not opened
    std::size_t drained_ = 0;
    os::fd target_;
    std::shared_ptr<socks_association> association_{};
    asio::cancellation_signal dial_;
    bool opening_ = false;
    bool over_ = false; // or joined
};

} // namespace portico::run
