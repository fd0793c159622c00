// One engine's loop and the connections in it.
//
//   loop.cpp     turns: events, work from other threads, deadlines; the end of connections
//   accepting.cpp  listening sockets
//   greeting.cpp from the accepted client to the admitted one: PROXY header, rules, limits
//   joining.cpp  from the accepted client to the connected target
//   moving.cpp   bytes
#pragma once

#include "portico/admit/accept_policy.hpp"
#include "portico/os/sigpipe.hpp"
#include "portico/race/race.hpp"
#include "portico/relay/deadline_wheel.hpp"
#include "portico/run/relay_engine.hpp"
#include "relay/calls.hpp"
#include "relay/pools.hpp"

#include <atomic>
#include <deque>
#include <mutex>
#include <new>

namespace portico::run {

enum class phase : std::uint8_t {
    unused,
    header,    // its PROXY header is being read
    joining,   // its target is being connected
    joined,    // bytes are moved
    lingering, // the last bytes are on their way; then it is reset
};

// What is on the way from one end to the other.
struct flow_state {
    buffer_pool::buffer held{};
    std::unique_ptr<splice_pipe> pipe{};
    std::uint32_t held_at = 0;   // where the held bytes begin
    std::uint8_t full_reads = 0; // in a row, of the whole buffer
};

struct end_state {
    int socket = -1;
    bool hung_up = false;       // its FIN or reset was announced: read until it shows
    bool told_writable = false; // EPOLLOUT is watched for
    // Nagle's delay can hold back only what comes behind something: it is switched off before the
    // second send, which many connections never make.
    bool sent_before = false;
    bool told_no_delay = false;
};

// Whether a way out of this host is needed: all places of a target are of one kind.
[[nodiscard]] inline bool leaves_host(const std::vector<target_place>& places) noexcept {
    return std::holds_alternative<ip::endpoint>(places.front().at);
}

// What is needed only until the target is connected.
struct joining_state {
    std::vector<relay::target_id> tried;
    target_offer choice;
    bool is_chosen = false;               // `choice` is neither opened nor given up
    std::optional<race::race> race{};     // when the target has several addresses
    std::vector<int> attempts;            // sockets by attempt id; -1: closed
    instant began;                        // of this target
    std::string story;                    // every attempt that failed
    error why{};                          // the last one
    std::vector<std::byte> from_client{}; // what was read before, a PROXY header first
};

struct connection : relay::deadline_wheel::node {
    connection(const relay::limits& limits, instant at) : streams{limits, at}, began{at} {}

    [[nodiscard]] end_state& at(relay::end which) noexcept {
        return ends[static_cast<std::size_t>(which)];
    }
    [[nodiscard]] const end_state& at(relay::end which) const noexcept {
        return ends[static_cast<std::size_t>(which)];
    }
    [[nodiscard]] flow_state& from(relay::end which) noexcept {
        return flows[static_cast<std::size_t>(which)];
    }

    relay::streams streams;
    std::array<end_state, 2> ends;
    std::array<flow_state, 2> flows; // by their source
    std::unique_ptr<joining_state> joining{};
    std::shared_ptr<const std::vector<target_place>> places{}; // of its target
    std::unique_ptr<wire::proxy_header> said{}; // who the client is, if that was said
    calls::peer_name peer;
    std::uint32_t index = 0;
    std::uint32_t generation = 0;
    std::uint32_t target = 0; // valid when `joined`
    std::uint32_t wish = 0;
    phase stage = phase::unused;
    relay_family family = relay_family::v4;
    bool client_readable = false; // before it was joined
    bool is_ready = false;        // in the queue of those with more to do
    bool is_starved = false;      // in the queue of those that wait for a buffer
    bool has_target = false;      // counted as one of its connections
    bool has_place = false;       // of the door
    bool is_admitted = false;     // by the door
    std::uint8_t target_what = 0; // of its tag
    std::uint16_t place = 0;      // of `places`: where it is connected to
    int failure = 0;              // errno
    instant linger_until{};
    instant began;
    std::uint64_t number = 0;
};

struct listening {
    os::fd socket;
    std::uint32_t wish = 0;
    relay_family family = relay_family::v4;
    bool shared = false;
    bool watched = false;
    unsigned expected = 1; // how many wait there, going by the last times
    admit::accept_policy policy{};
    std::optional<instant> paused{}; // until then
};

class relay_engine::loop {
public:
    loop(std::shared_ptr<const relay_settings> settings, std::shared_ptr<relay_targets> targets,
         std::shared_ptr<admission> door, std::shared_ptr<relay_counters> counters, ended tell);
    loop(const loop&) = delete;
    loop& operator=(const loop&) = delete;
    ~loop();

    [[nodiscard]] result<void> ready() const;
    [[nodiscard]] result<void> listen(os::fd socket, std::size_t wish, bool shared);
    [[nodiscard]] int descriptor() const noexcept { return epoll_.raw(); }
    // One turn; waits for something to do when `may_wait`. False when all is over.
    bool turn(bool may_wait, const os::sigpipe_held& quiet);
    [[nodiscard]] deadline next_deadline() const noexcept;

    enum class order : std::uint8_t { pause, resume, drain, stop, egress_gone, egress_back };
    void post(order what);
    void post(relay_pair pair);

private:
    // ---- loop.cpp ----
    void handle_event(const epoll_event& event);
    void handle_event(connection& c, std::uint64_t what, std::uint32_t events);
    void handle_work();
    void handle_order(order what);
    void stop();
    void handle_egress_gone();
    void adopt(relay_pair pair);
    void begin(connection& c, relay_pair pair);
    [[nodiscard]] bool hold_early(connection& c, relay::end from, std::span<const std::byte> early);
    [[nodiscard]] bool send_header(connection& c);
    [[nodiscard]] bool watch(connection& c, relay::end which, std::uint64_t what);
    void handle_due(connection& c);
    void wake() noexcept;
    [[nodiscard]] connection* find(std::uint64_t tag) noexcept;
    [[nodiscard]] connection& make_connection(os::fd client, const calls::peer_name& peer,
                                              relay_family family, std::uint32_t wish);
    // Closes both sides and tells how it went.
    void finish(connection& c, relay_end why, bool reset_client, bool reset_target);
    void tell_end(connection& c, relay_end why);
    // Does it, and ends the connection when there is no memory for that.
    template <class What>
    void guarded(connection& c, const What& what) {
        try {
            what();
        } catch (const std::bad_alloc&) {
            if (c.stage != phase::unused) {
                finish(c, relay_end::no_memory, true, true);
            }
        }
    }
    void leave_door(connection& c);
    [[nodiscard]] relay_flow_counters& count(const connection& c) noexcept {
        return counters_->flows[c.wish][static_cast<std::size_t>(c.family)];
    }

    // ---- accepting.cpp ----
    void accept_from(listening& from);
    void set_stream_options(int which) const;
    void watch_listening(listening& which);
    void unwatch_listening(listening& which);
    void pause_listening(listening& which, instant until);
    void resume_listening();
    bool shed(listening& from);
    [[nodiscard]] bool begin(listening& from, os::fd client, const calls::peer_name& peer,
                             admission::room room);
    void pause_accepting(bool on);
    void begin_drain();
    void close_listening();

    // ---- greeting.cpp ----
    void greet(connection& c);
    void read_header(connection& c);
    void handle_header(connection& c, wire::proxy_header_complete got);
    void refuse_header(connection& c, wire::proxy_header_refusal why, std::string text);
    void admit(connection& c);
    void turn_away(connection& c, relay_end why, std::string text);
    [[nodiscard]] ip::any_endpoint client_of(const connection& c) const;
    [[nodiscard]] std::vector<std::byte> header_for(const connection& c) const;

    // ---- joining.cpp ----
    void begin_joining(connection& c);
    void try_next_target(connection& c);
    void begin_race(connection& c);
    void pump_race(connection& c);
    bool begin_attempt(connection& c, std::uint32_t id, const target_place& to);
    [[nodiscard]] int open_socket(const target_place& to);
    void handle_client_while_joining(connection& c, std::uint32_t events);
    void handle_attempt(connection& c, std::uint32_t id, std::uint32_t events);
    void attempt_failed(connection& c, std::uint32_t id, int why);
    void note_failed(connection& c, const ip::any_endpoint& at, const error& why);
    void give_up_choice(connection& c);
    void close_attempt(connection& c, std::uint32_t id, bool reset);
    void close_attempts(connection& c, bool reset);
    void join(connection& c, std::uint32_t id, bool readable);

    // ---- moving.cpp ----
    void handle_joined(connection& c, relay::end which, std::uint32_t events);
    void pump(connection& c);
    bool move(connection& c, relay::end from);
    relay::moved copy(connection& c, relay::end from);
    relay::moved send_held(connection& c, relay::end from);
    relay::moved splice(connection& c, relay::end from);
    void hold(connection& c, relay::end from, std::span<const std::byte> bytes);
    [[nodiscard]] ssize_t send(connection& c, relay::end to, std::span<const std::byte> bytes);
    void want_writable(connection& c, relay::end which);
    void let_go(flow_state& flow, bool is_empty);
    void linger(connection& c);
    void make_ready(connection& c);
    void run_ready_ones();
    void feed_starved();

    const std::shared_ptr<const relay_settings> settings_;
    const std::shared_ptr<relay_targets> targets_;
    const std::shared_ptr<admission> door_;
    const std::shared_ptr<relay_counters> counters_;
    const ended tell_;

    os::fd epoll_;
    os::fd wakeup_; // eventfd
    os::fd spare_;  // for shedding a connection when there are no descriptors
    const os::sigpipe_held* quiet_ = nullptr; // of this turn's thread
    instant now_;
    std::vector<epoll_event> events_;
    std::vector<std::byte> scratch_; // what is read lands here, for all connections
    relay::deadline_wheel wheel_;
    buffer_pool buffers_;
    pipe_pool pipes_;
    std::deque<connection> connections_; // slots; they never move
    std::vector<std::uint32_t> unused_;
    std::vector<connection*> ready_;
    std::deque<connection*> starved_;
    std::deque<listening> listening_;
    std::size_t active_ = 0;
    std::size_t number_at_door_ = 0;
    bool waits_for_room_ = false;
    bool is_egress_gone_ = false;
    bool is_paused_ = false; // somebody else accepts, perhaps
    std::uint64_t number_ = 0;
    bool accepting_ = true;
    bool stopped_ = false;
    std::optional<instant> close_listening_at_{}; // a drain gives half-way handshakes so long

    std::mutex work_mutex_;
    std::vector<order> orders_;     // guarded
    std::vector<relay_pair> pairs_; // guarded
};

// What epoll gives back: whose event it is.
//
//   63     56 55        32 31       0
//   | what   | generation | index   |
namespace tag {
constexpr std::uint64_t client = 0;
constexpr std::uint64_t first_attempt = 1; // and on: sockets towards the target
constexpr std::uint64_t last_attempt = 0xf0;
constexpr std::uint64_t listener = 0xfe;
constexpr std::uint64_t work = 0xff;

[[nodiscard]] constexpr std::uint64_t make(std::uint64_t what, std::uint32_t generation,
                                           std::uint32_t index) noexcept {
    return what << 56 | std::uint64_t{generation & 0xffffffU} << 32 | index;
}
[[nodiscard]] constexpr std::uint64_t what(std::uint64_t tag) noexcept {
    return tag >> 56;
}
[[nodiscard]] constexpr std::uint32_t generation(std::uint64_t tag) noexcept {
    return static_cast<std::uint32_t>(tag >> 32) & 0xffffffU;
}
[[nodiscard]] constexpr std::uint32_t index(std::uint64_t tag) noexcept {
    return static_cast<std::uint32_t>(tag);
}
} // namespace tag

} // namespace portico::run
