// `portico listen`, from the wishes to the end of the last connection.
#pragma once

#include "admission_flags.hpp"
#include "datagram_relay_run.hpp"
#include "log.hpp"
#include "relay_flags.hpp"
#include "relay_run.hpp"
#include "socks_flags.hpp"
#include "socks_run.hpp"
#include "status_socket.hpp"
#include "wish_options.hpp"

#include "portico/run/builtin.hpp"
#include "portico/run/listen.hpp"
#include "portico/run/program.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace portico::app {

namespace asio = boost::asio;

struct builtin_flag {
    serve::builtin which;
    const char* name;
    const char* description;
};
inline constexpr std::array<builtin_flag, 6> builtin_flags{{
    {serve::builtin::echo, "--echo", "send back what comes (RFC 862)"},
    {serve::builtin::discard, "--discard", "read and drop what comes (RFC 863)"},
    {serve::builtin::daytime, "--daytime", "tell the date and time as text (RFC 867)"},
    {serve::builtin::time, "--time",
     "tell the seconds since 1900 in 4 bytes, until 2036 (RFC 868)"},
    {serve::builtin::chargen, "--chargen", "send characters, as many as --chargen-limit (RFC 864)"},
    {serve::builtin::hello, "--hello", "tell the client both addresses, in one line"},
}};

struct listen_options {
    explicit listen_options(CLI::App& verb) : where{verb} {}
    wish_options where;
    std::array<bool, builtin_flags.size()> chosen{};
    relay_flags relay;
    socks_flags socks;
    admission_flags door;
    std::vector<std::string> program;
    std::uint64_t chargen_limit = run::builtin_options{}.chargen_limit;
    std::optional<duration> timeout;
    std::optional<duration> dead_after;
    bool nagle = false;
    bool quiet = false;
    bool verbose = false;
    std::string log_format = "logfmt";

    [[nodiscard]] std::optional<serve::builtin> builtin_service() const;
    [[nodiscard]] log_settings logging() const;
};

// What a start needs to know of its service, once and before anything is opened.
struct service_choice {
    std::optional<serve::builtin> which; // else `relay`, `socks` or `program`
    std::optional<run::relay_options> relay;
    std::optional<socks_choice> socks;
    relay::association_settings associations; // of a relay, for datagrams
    std::optional<ip::unix_name> status;      // of the relay
    run::program_options program;
    run::admission_settings door;
};

// One start, from the wishes to the end of the last connection.
class listen_run {
public:
    listen_run(const listen_options& asked, service_choice choice)
        : asked_{asked}, choice_{std::move(choice)}, log_{asked.logging()} {}

    int run(std::vector<plan::wish> wishes);

private:
    void handle_start(run::listen_outcome outcome);
    void log_remarks(const run::listen_report& report);
    void open_status();
    void start_services();
    void serve_streams();
    void set_limit();
    void prepare_relay();
    void relay_datagrams();
    void start_relay();
    [[nodiscard]] std::uint64_t connections() const;
    [[nodiscard]] fields stop_fields(std::string_view signal) const;
    void accept_next();
    void handle_accepted(result<run::accepted> got);
    [[nodiscard]] bool let_in(const run::accepted& who);
    void handle_end(const run::connection_end& end);
    void log_end(const run::connection_end& end);
    void handle_datagram(const run::datagram_end& end);
    void wait_for_signal();
    void handle_signal(int number);
    void drain(std::string_view signal);
    void stop_now(std::string_view signal);
    void end_if_idle();
    void watch_counters();
    void log_counters();

    const listen_options& asked_;
    service_choice choice_;
    event_log log_;
    asio::io_context context_{1};
    asio::signal_set signals_{context_};
    asio::steady_timer every_second_{context_};
    std::vector<plan::wish> wishes_;
    std::unique_ptr<run::listener> listener_;
    std::unique_ptr<socks_run> socks_;
    std::unique_ptr<run::stream_service> streams_;
    std::unique_ptr<run::datagram_service> datagrams_;
    std::unique_ptr<relay_run> relay_;
    std::unique_ptr<datagram_relay_run> datagram_relay_;
    std::unique_ptr<status_socket> status_;
    std::shared_ptr<run::admission> door_;
    std::size_t at_door_ = 0; // our number there
    std::size_t active_ = 0;
    std::uint64_t number_ = 0;
    bool has_streams_ = false;
    bool relay_is_over_ = false;
    bool accepting_ = false;
    bool draining_ = false;
    bool full_ = false; // --max-connections was reached since the last look
    run::accept_counters told_;
    std::uint64_t dropped_told_ = 0;
    int exit_code_ = 0;
};

} // namespace portico::app
