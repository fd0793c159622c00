// The listening sockets of a host, given to the process that goes on with them.
//
//   old                                       new
//   starts it ------------------------------>
//   its sockets, a message each, and what
//   else goes on, "end" -------------------->  reads the file, plans, opens what is new, prepares
//   <-------------------------------- "ready"
//   accepts nobody any more, "go" ---------->  serves
//   <------------------------------ "serving"
//   has seen each queue served, "done" ----->  is the service from now on
//   drains
//
// A queue is served when it is empty, or when somebody has left it: one whose service is full may
// never be empty, and nobody is lost in it, for both have it.
//
// Until "done" the old one can go on as if nothing had been: it still has its sockets, and does so,
// and says "stop", when the new one ends, says "failed", or takes too long; one that has not said
// "serving" has no client yet, and is killed, for it would go on having the sockets. When it is the
// old one that ends without a word after "go", the new one goes on as after "done". The messages
// are those of os/fdpass.hpp.
#pragma once

#include "log/log.hpp"

#include "portico/base/deadline.hpp"
#include "portico/os/counters.hpp"
#include "portico/os/fdpass.hpp"
#include "portico/os/spawn.hpp"
#include "portico/run/listen.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

namespace portico::app {

// The variable that names the descriptor of the new process' end.
inline constexpr const char* handover_variable = "PORTICO_HANDOVER";

// And the one that says how many handovers there have been.
inline constexpr const char* handover_count_variable = "PORTICO_HANDOVERS";
// How many memberships of a socket are told in its message.
inline constexpr std::size_t most_memberships = 500;

// How long the new process may take for its part, before and after "go".
inline constexpr duration handover_patience = std::chrono::seconds{30};

// A line at a time. Threads: that of `context`.
class handover_channel {
public:
    // `heard`: a message, or "" when the other end is gone. It may destroy the channel.
    handover_channel(boost::asio::io_context& context, os::fd socket,
                     std::function<void(const std::string&)> heard);
    ~handover_channel();
    handover_channel(const handover_channel&) = delete;
    handover_channel& operator=(const handover_channel&) = delete;

    // What cannot be sent shows as the end of the other side.
    void say(std::string_view text);
    void listen();
    [[nodiscard]] int raw() const noexcept { return socket_.raw(); }

private:
    void wait();

    os::fd socket_;
    boost::asio::posix::stream_descriptor watch_; // only waits for it
    std::function<void(const std::string&)> heard_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// What the new process is.
struct successor_program {
    std::string path;
    std::vector<std::string> arguments;
    std::vector<std::string> variables{}; // "NAME=VALUE", besides our environment
};

// What goes on besides the sockets. Both sides know what a name means; an unknown one is passed
// over.
struct carried_thing {
    std::string name;
    std::string text{};
    os::fd descriptor{}; // where it has one
};

struct handover_report {
    pid_t successor = 0;
    std::size_t sockets = 0;
    std::uint64_t waiting = 0; // connections in the queues at the swap
    std::uint64_t left = 0;    // of all that came until "done"
    duration unattended{};     // from "go" until every queue had been empty, or shorter than before
    // What the kernel had counted in this network namespace at "go", and at "done"; unset where it
    // cannot be read.
    os::tcp_counters before{};
    os::tcp_counters after{};
};
void add_report(fields& to, const handover_report& report);
// For a person. Lines end in '\n'.
[[nodiscard]] std::string to_text(const handover_report& report);

// The listening and datagram sockets of another process, which knows nothing of it and keeps them
// as well. The error is for a person, of one line or two.
[[nodiscard]] tl::expected<std::vector<run::held_socket>, std::string> take_sockets_of(pid_t which);

// For a process that was started to take over, and cannot even begin: lets the one before it know
// why. Does nothing when there is none.
void refuse_handover(std::string_view why);

// The old side. Threads: that of `context`.
class handover_out {
public:
    struct events {
        std::function<void(bool on)> pause; // accept nobody, or go on
        std::function<void(const handover_report&)> done;
        std::function<void(const std::string& why)> failed; // everything is as it was
    };
    handover_out(boost::asio::io_context& context, events tell);
    ~handover_out(); // gives it up
    handover_out(const handover_out&) = delete;
    handover_out& operator=(const handover_out&) = delete;

    // One of the events follows, not within this call. The error is for a person.
    [[nodiscard]] tl::expected<void, std::string> start(const successor_program& which,
                                                        std::vector<run::held_socket> sockets,
                                                        std::vector<carried_thing> besides);
    // The program that was started, to be reaped when it has ended.
    [[nodiscard]] os::child take_child() { return std::exchange(child_, {}); }

private:
    [[nodiscard]] tl::expected<void, std::string> spawn(const successor_program& which,
                                                        os::fd other_end);
    [[nodiscard]] tl::expected<void, std::string>
    send_all(const std::vector<carried_thing>& besides);
    [[nodiscard]] tl::expected<void, std::string> send_one(const std::string& text,
                                                           std::span<const int> descriptors);
    void handle(const std::string& what);
    void look_at_queues();
    void give_up();
    void fail(const std::string& why);
    void arm(duration patience, void (handover_out::*then)());
    void handle_late();
    void finish();

    boost::asio::io_context& context_;
    events tell_;
    std::unique_ptr<handover_channel> channel_;
    os::child child_;
    std::vector<run::held_socket> sockets_;
    struct watched_queue {
        const os::fd* socket;
        std::optional<std::uint32_t> most{}; // that waited there since "go", where that can be told
        bool is_served = false;              // it was empty, or somebody has left it
    };
    std::vector<watched_queue> queues_;
    boost::asio::steady_timer timer_;
    deadline until_ = deadline::never();
    instant went_{};
    bool paused_ = false;
    bool serves_ = false;    // the new one, it says
    bool is_ending_ = false; // the new one, by itself
    handover_report report_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// The new side, from what the old one sent. Threads: that of `context`.
class handover_in {
public:
    // Receives the sockets; waits for them, for as long as handover_patience.
    [[nodiscard]] static tl::expected<std::unique_ptr<handover_in>, std::string>
    take(boost::asio::io_context& context, os::fd channel);

    [[nodiscard]] std::vector<run::held_socket> take_sockets() {
        return std::exchange(sockets_, {});
    }
    [[nodiscard]] std::vector<carried_thing> take_carried() { return std::exchange(carried_, {}); }
    // All is prepared; `go` is called when it is our turn, and `gone` when the old one does not
    // want us any more.
    void ready(std::function<void()> go, std::function<void()> gone);
    // We serve; `done` is called when the old one has let go.
    void serving(std::function<void()> done);
    void failed(std::string_view why);

private:
    handover_in(boost::asio::io_context& context, os::fd channel);
    [[nodiscard]] tl::expected<void, std::string> receive();
    void handle(const std::string& what);

    std::unique_ptr<handover_channel> channel_;
    std::vector<run::held_socket> sockets_;
    std::vector<carried_thing> carried_;
    bool went_ = false; // it was told to go
    std::function<void()> go_;
    std::function<void()> gone_;
    std::function<void()> done_;
};

} // namespace portico::app
