// `portico serve`: many services in one process, from the file to the end of the last connection.
#pragma once

#include "config/config.hpp"
#include "host/control_service.hpp"
#include "host/daemon.hpp"
#include "host/handover.hpp"
#include "host/host_guard.hpp"
#include "host/manager_link.hpp"
#include "host/pid_file.hpp"
#include "log/log.hpp"
#include "service/service_run.hpp"
#include "service/status_service.hpp"

#include "portico/os/clock.hpp"
#include "portico/run/listen.hpp"
#include "portico/run/network_watch.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace portico::app {

// One service of the host. It is shared with handlers that may come after its end.
struct hosted_service {
    service_config config;
    std::shared_ptr<service_run> run;
};

// A socket of a service that ends, which nobody goes on with.
struct going_socket {
    kept_socket which;
    deadline until; // it may be open until then
};

// A start, or a reload, on its way.
struct transition {
    serve_config next;
    std::vector<plan::wish> wishes;      // of all services
    std::vector<std::size_t> of_service; // for each wish the index of its service
    bool by_network = false;             // nothing is new but addresses of this host
    bool misses_some = false;            // an address that is followed could not be had
    std::string not_open{};              // what else could not be had, for a person; or empty
    std::vector<hosted_service> made;    // in the order of `next.services`
    std::vector<std::string> goes_on;    // names of those that are as they were
    std::size_t preparing = 0;
    std::shared_ptr<run::reverse_names> names{}; // as the next ones are to have
    std::string needs_restart{};                 // keys that have changed for nothing
    std::vector<kept_socket> sockets_before;
};

//            +--HUP: read, plan, open what is new, prepare --all is there--> swap --+
//            v                                            `--no--> as it was        |
//   start--> serving <--------------------------------------------------------------+
//            `--TERM--> draining --last connection--> over
//
// Threads: one.
class serve_run {
public:
    // `program`: how the next process is started by a handover. `take_from`: a process whose
    // sockets are used where the configuration wishes for them. `background` outlives it.
    serve_run(std::string path, std::vector<outer_setting> outer, const serve_config& first,
              const log_settings& logging, successor_program program,
              std::optional<pid_t> take_from, manager_link manager, host_guard guard,
              daemon_start& background)
        : path_{std::move(path)}, outer_{std::move(outer)}, log_{logging}, first_{first},
          take_from_{take_from}, program_{std::move(program)}, manager_{std::move(manager)},
          guard_{std::move(guard)}, background_{background} {}

    // Returns the exit code.
    int run();

private:
    // ---- start and reload: serve_transition.cpp ----
    void begin(serve_config next, bool by_network = false);
    void handle_opened(run::listen_outcome outcome);
    [[nodiscard]] std::string about_binder(const run::listen_report& report) const;
    [[nodiscard]] std::string half_open(const run::listen_report& report) const;
    [[nodiscard]] std::string shared_by(const plan::plan& made) const;
    void spread(std::vector<run::bound_socket> sockets);
    void prepare();
    void handle_prepared();
    [[nodiscard]] descriptor_room room(std::size_t services);
    [[nodiscard]] bool goes_on(const hosted_service& which) const;
    void use_names();
    void swap();
    void tell_done(const std::vector<hosted_service>& before);
    void tell_network();
    [[nodiscard]] bool is_still_ours(const run::listen_report& report);
    [[nodiscard]] bool misses_some(const run::listen_report& report) const;
    void begin_again_soon(duration pause);
    void follow_network_later();
    void fail(const std::string& why, side who);
    void fail(const diagnostic& why, side who);
    void give_up_transition();
    [[nodiscard]] std::vector<kept_socket> others_sockets() const;
    void finish();

    // ---- from the process before us, and to the next one: serve_handover.cpp ----
    [[nodiscard]] bool take_over();
    [[nodiscard]] bool claim_pid_file();
    [[nodiscard]] bool take_from(pid_t which);
    void wait_for_turn();
    void tell_serving();
    void hand_over();
    void pause(bool on);
    void handle_handed_over(const handover_report& report);
    void handle_not_handed_over(const std::string& why);

    // ---- what it answers itself: serve_own.cpp ----
    [[nodiscard]] service_choice own(own_part which);
    void obey(const control_order& order, control_reply reply);
    void answer_reload(const control_outcome& outcome);
    void answer_handover(const control_outcome& outcome);
    void refuse_orders();
    [[nodiscard]] std::string status(status_form how) const;
    [[nodiscard]] process_figures figures() const;

    // ---- running: serve_run.cpp ----
    void reload();
    void watch_network();
    void handle_network();
    [[nodiscard]] bool try_again_later(const run::listen_report& report);
    void wait_for_signal();
    void handle_signal(int number);
    void drain(std::string_view signal = {}); // that asked for it
    void stop_now(std::string_view signal);
    void sweep_soon();
    void sweep();
    void watch_counters();
    [[nodiscard]] std::vector<std::shared_ptr<service_run>> take_services();
    [[nodiscard]] std::size_t number_of_services() const;
    void add_counts(fields& to) const;
    void tell_ready();
    void count_failed_reload();
    [[nodiscard]] os::sys_result<std::vector<run::held_socket>> shared_sockets() const;

    std::string path_;
    std::vector<outer_setting> outer_; // which hold after a reload, too
    event_log log_;
    serve_config first_;
    boost::asio::io_context context_{1};
    boost::asio::signal_set signals_{context_};
    boost::asio::steady_timer every_second_{context_};
    std::shared_ptr<run::reverse_names> names_; // null: they are not logged
    std::uint64_t nameless_ = 0;                // clients, that have been told
    std::vector<hosted_service> services_;      // and parts of the host; at an end only the parts
    std::vector<std::shared_ptr<service_run>> leaving_; // until their last connection
    std::unique_ptr<transition> coming_;
    std::uint64_t reloads_ = 0;
    std::uint64_t reloads_failed_ = 0;
    bool last_reload_failed_ = false;
    std::uint64_t handovers_ = 0; // that led to this process
    std::uint64_t handovers_failed_ = 0;
    const instant began_ = os::now();
    bool is_starting_ = true;
    bool again_ = false;                        // HUP came during a transition
    bool network_again_ = false;                // or the network changed
    bool hand_over_next_ = false;               // or USR2 came
    std::vector<control_reply> reload_asked_;   // by whom, and not begun
    std::vector<control_reply> reload_answers_; // of the one that is on its way
    control_reply handover_answer_;
    std::string handover_program_; // that was asked for; empty: as it was started
    std::unique_ptr<run::network_watch> network_;
    serve_config now_; // what is running
    std::shared_ptr<run::descriptor_budget> budget_;
    deadline start_until_ = deadline::never();
    std::vector<going_socket> going_;
    duration network_pause_{}; // before the addresses are looked at again after a failure
    boost::asio::steady_timer retry_{context_};
    std::unique_ptr<handover_in> before_; // until the process before us has let go
    std::unique_ptr<handover_out> after_; // while the next one is on its way
    std::vector<run::held_socket> given_; // by the process before us, until the start
    std::optional<pid_t> take_from_;
    os::child successor_;           // that has taken over from us
    std::vector<os::child> failed_; // next processes, and a binder, until they have ended
    successor_program program_;     // as it was started
    manager_link manager_;
    host_guard guard_;
    daemon_start& background_;
    std::optional<pid_file> pid_file_;
    bool ending_ = false;
    int exit_code_ = 0;
};

} // namespace portico::app
