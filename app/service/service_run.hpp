// One service, from its open sockets to the end of its last connection.
#pragma once

#include "log/log.hpp"
#include "service/datagram_relay_run.hpp"
#include "service/flow_meter.hpp"
#include "service/relay_run.hpp"
#include "service/service_request.hpp"
#include "service/socks_run.hpp"

#include "portico/run/datagram_program.hpp"
#include "portico/run/group_watch.hpp"
#include "portico/run/listen.hpp"
#include "portico/run/reverse_names.hpp"
#include "portico/run/waiting_program.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace portico::app {

// A socket that goes on without us.
struct kept_socket {
    ip::transport over = ip::transport::tcp;
    ip::any_endpoint at;
    std::optional<os::file_identity> file{};
    std::string interface {}; // that it is bound to
    bool for_waiting = false; // a program has it that takes its clients itself

    // Whether both are open at the same place; a file may be another one there.
    [[nodiscard]] bool is_where(const kept_socket& other) const {
        return over == other.over && at == other.at && interface == other.interface;
    }
};

inline constexpr std::string_view raise_limit =
    "raise the limit of open files: ulimit -n, LimitNOFILE=";

// What a service may open.
struct descriptor_room {
    std::size_t left = 0;     // of this process; to count them takes long where there are many
    std::size_t services = 1; // that share them
    std::shared_ptr<run::descriptor_budget> budget{}; // null: nobody else needs any
};

struct service_failure {
    setting_error what;
    side who = side::system;
};

//   made --prepare()--> ready --start()--> serving --drain()--> ending --> over
//
// Threads: all calls on the thread of `context`.
class service_run : public std::enable_shared_from_this<service_run> {
public:
    // `over` is called once, perhaps within drain() or stop_now(), when its last connection has
    // ended after one of them. Made by std::make_shared.
    service_run(boost::asio::io_context& context, const event_log& log, service_choice choice,
                std::unique_ptr<run::listener> sockets, std::vector<plan::wish> wishes,
                std::function<void()> over);
    service_run(const service_run&) = delete;
    service_run& operator=(const service_run&) = delete;

    // Finds the targets of a relay; `ready` is called when they have been asked for, perhaps within
    // this call. Clients wait in the queues until start().
    [[nodiscard]] tl::expected<void, service_failure> prepare(const descriptor_room& room,
                                                              std::function<void()> ready);
    // The sockets of further threads, which have to be opened by the user that opened the first
    // ones. start() does so as well.
    void open_clones();
    [[nodiscard]] tl::expected<void, service_failure> start(const descriptor_room& room);
    // From now on clients are told of by these names, too.
    void use_names(std::shared_ptr<run::reverse_names> names) { names_ = std::move(names); }

    // Takes nobody from the queues of its connections until it is told to go on. Datagrams are
    // taken as ever.
    void pause(bool on);
    // No more clients but those that are on their way in; who is there may stay. `successors`:
    // sockets that somebody goes on with, and where nobody is kept out.
    void drain(std::vector<kept_socket> successors = {});
    // So long its sockets may be open after drain().
    static constexpr duration longest_close = std::chrono::milliseconds{2500};
    // Every connection is reset.
    void stop_now();

    [[nodiscard]] bool is_over() const noexcept { return is_over_; }
    [[nodiscard]] std::uint64_t connections() const;
    // For the line that tells of a stop.
    void add_counts(fields& to) const;
    // What has become of its programs; nullopt when it has none.
    [[nodiscard]] std::optional<run::program_counters> program_counts() const;
    // For whoever asks how it is doing; all but its name.
    void read(service_figures& to) const;
    [[nodiscard]] const run::listener& sockets() const noexcept { return *listener_; }
    [[nodiscard]] std::vector<kept_socket> open_sockets() const;

    // Logs what has changed since the last time.
    void log_counters();

private:
    [[nodiscard]] std::string kind() const;
    [[nodiscard]] tl::expected<void, service_failure> prepare_relay(const descriptor_room& room);
    [[nodiscard]] tl::expected<void, service_failure>
    prepare_datagram_relay(const descriptor_room& room);
    [[nodiscard]] tl::expected<void, service_failure> prepare_socks(const descriptor_room& room);
    [[nodiscard]] tl::expected<void, service_failure> prepare_program();
    [[nodiscard]] std::function<void()> once_prepared();
    void handle_prepared();
    [[nodiscard]] tl::expected<void, service_failure> start_streams();
    [[nodiscard]] tl::expected<void, service_failure> start_datagrams();
    // `what` the log calls that which a program is for.
    [[nodiscard]] run::program_options programs(std::string_view what);
    void start_waiting();
    void start_datagram_program();
    [[nodiscard]] std::size_t descriptors_of_program() const;
    [[nodiscard]] std::size_t descriptors_of_connection() const;
    void set_limit(const descriptor_room& room);
    void accept_next();
    void handle_accepted(result<run::accepted> got);
    void want_name(const ip::any_endpoint& peer);
    [[nodiscard]] bool let_in(const run::accepted& who, flow_meter::place where);
    void handle_end(const run::connection_end& end, flow_meter::place where);
    void log_end(const run::connection_end& end);
    void write_named(severity how, std::string_view what, fields with,
                     const ip::any_endpoint& peer);
    void handle_run_end(const run::program_run_end& end);
    void log_line(std::string_view what, const run::program_line& line);
    void handle_datagram(const run::datagram_end& end);
    void handle_query_end(const run::query_end& end);
    void log_query(severity weight, const run::datagram_end& end, fields more);
    void watch_groups();
    void log_group(const run::group_news& news);
    void log_dropped_queries();
    void log_dropped_lines();
    void log_programs();
    void stop_datagrams();
    void close_soon();
    void close();
    void end_if_idle();

    boost::asio::io_context& context_;
    event_log log_;
    service_choice choice_;
    std::unique_ptr<run::listener> listener_;
    std::vector<plan::wish> wishes_;
    std::function<void()> over_;
    bool has_streams_ = false;
    bool has_datagrams_ = false;

    std::function<void()> ready_; // while it is being prepared
    int preparing_ = 0;           // parts

    std::unique_ptr<socks_run> socks_;
    std::unique_ptr<run::stream_service> streams_;
    const run::program_service* programs_ = nullptr; // `streams_`, when it is one
    std::unique_ptr<run::waiting_program> waiting_;
    std::unique_ptr<run::datagram_service> datagrams_;
    std::unique_ptr<run::datagram_program> datagram_programs_;
    std::unique_ptr<run::group_watch> groups_;
    std::unique_ptr<relay_run> relay_;
    std::unique_ptr<datagram_relay_run> datagram_relay_;
    std::shared_ptr<run::admission> door_;
    std::size_t at_door_ = 0; // our number there
    std::shared_ptr<run::reverse_names> names_;
    flow_meter meter_; // of connections that are no relay's
    std::size_t active_ = 0;
    std::uint64_t times_full_ = 0;
    std::uint64_t times_short_told_ = 0;
    std::uint64_t number_ = 0;
    bool accepting_ = false;
    bool ending_ = false;
    bool closed_ = false; // and nobody is accepted any more
    boost::asio::steady_timer closing_;
    int looks_ = 0; // whether somebody is still in a queue
    std::vector<os::file_identity> successors_files_{};
    bool relay_is_over_ = false;
    bool is_over_ = false;
    bool full_ = false; // the limit of connections was reached since the last look
    run::accept_counters told_;
    std::uint64_t dropped_told_ = 0;
    std::uint64_t lines_dropped_told_ = 0;
};

} // namespace portico::app
