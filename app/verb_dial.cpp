// portico dial HOST PORT: connects by a race over all addresses, then pipes stdin and stdout.

#include "dial_view.hpp"
#include "figures/plain_json.hpp"
#include "flags/dial_target.hpp"
#include "flags/duration.hpp"
#include "verb.hpp"

#include "portico/ip/endpoint.hpp"
#include "portico/race/race.hpp"
#include "portico/race/timeline.hpp"
#include "portico/run/diagnose.hpp"
#include "portico/run/dial.hpp"
#include "portico/run/pump.hpp"

#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <iostream>
#include <memory>
#include <unistd.h>

namespace portico::app {
namespace {

struct dial_options {
    std::vector<std::string> target;
    bool only_v4 = false;
    bool only_v6 = false;
    bool numeric = false;
    bool udp = false;
    std::optional<duration> timeout;
    std::optional<duration> connect_timeout;
    std::optional<duration> attempt_delay;
    std::optional<duration> resolution_delay;
    std::optional<duration> dead_after;
    std::string from;
    std::string interface;
    bool nagle = false;
    std::string via;
    bool trace = false;
    bool as_json = false;
    bool probe = false;
    bool verbose = false;
    bool quiet = false;
};

int complain(const std::string& text) {
    std::cerr << "portico: dial: " << text << '\n';
    return exit_code(side::caller);
}

// "HOST PORT", "HOST:PORT" or the name of a UNIX socket. False after a complaint.
bool read_target(const dial_options& asked, run::dial_request& request) {
    const auto& first = asked.target.front();
    if (asked.target.size() > 2) {
        complain("the target is HOST PORT, HOST:PORT or unix:/path, and here are " +
                 std::to_string(asked.target.size()) + " words; what is sent is read from stdin");
        return false;
    }
    if (asked.target.size() == 2) {
        const bool bracketed = first.starts_with('[') && first.ends_with(']');
        request.host = bracketed ? first.substr(1, first.size() - 2) : first;
        request.port = asked.target.back();
        return true;
    }
    const auto over = asked.udp ? ip::transport::udp : ip::transport::tcp;
    auto read = parse_dial_target(first, over);
    if (!read) {
        complain(read.error());
        return false;
    }
    request.host = std::move(read->host);
    request.port = std::move(read->port);
    return true;
}

// "ADDR", "[ADDR]" or "ADDR:PORT".
bool read_from(const std::string& text, run::dial_request& request) {
    const auto bare =
        text.starts_with('[') && text.ends_with(']') ? text.substr(1, text.size() - 2) : text;
    if (const auto address = ip::parse_address(bare)) {
        request.from = ip::endpoint{*address, 0};
        return true;
    }
    const auto endpoint = ip::parse_endpoint(text);
    if (!endpoint) {
        complain("--from takes ADDR, ADDR:PORT or [ADDR]:PORT\n" +
                 ip::explain(text, endpoint.error()));
        return false;
    }
    request.from = *endpoint;
    return true;
}

// core/race would take the nearest delay that it allows, without a word.
bool attempt_delay_fits(const dial_options& asked) {
    const auto given = asked.attempt_delay.value_or(race::config::min_attempt_delay);
    if (given >= race::config::min_attempt_delay && given <= race::config::max_attempt_delay) {
        return true;
    }
    complain("the time between two attempts (--attempt-delay, --happy-eyeballs-timeout-ms) is "
             "from 10ms to 2s (RFC 8305 section 5)");
    return false;
}

bool has_time(const dial_options& asked) {
    for (const auto& each : {asked.timeout, asked.connect_timeout}) {
        if (each == duration::zero()) {
            complain(
                "-w and --connect-timeout: in no time at all nothing can be connected; without "
                "them it takes as long as the kernel tries");
            return false;
        }
    }
    return true;
}

bool read_options(const dial_options& asked, run::dial_request& request) {
    if (!read_target(asked, request) || (!asked.from.empty() && !read_from(asked.from, request)) ||
        !attempt_delay_fits(asked) || !has_time(asked)) {
        return false;
    }
    const bool is_unix = request.host.starts_with("unix:") || request.host.starts_with('/');
    if (asked.numeric && !is_unix && !ip::parse_address(request.host)) {
        complain(request.host + ": with -n the host must be an address, not a name");
        return false;
    }
    if (asked.probe && asked.udp && !is_unix) {
        complain("-z cannot tell whether a service is there over UDP, which has no connections; "
                 "send a question that it answers, as in\n"
                 "    printf QUESTION | portico dial --udp -w 2s HOST PORT");
        return false;
    }
    request.over = asked.udp ? ip::transport::udp : ip::transport::tcp;
    if (asked.only_v4 || asked.only_v6) {
        request.only = asked.only_v4 ? ip::family::v4 : ip::family::v6;
    }
    request.timeout = asked.connect_timeout ? asked.connect_timeout : asked.timeout;
    request.attempt_delay = asked.attempt_delay.value_or(request.attempt_delay);
    request.resolution_delay = asked.resolution_delay.value_or(request.resolution_delay);
    request.interface = asked.interface;
    request.no_delay = !asked.nagle;
    request.via = asked.via;
    if (asked.dead_after) {
        request.dead_after = std::chrono::ceil<std::chrono::seconds>(*asked.dead_after);
    }
    return true;
}

run::dial_outcome dial(run::dial_request request) {
    run::dial_outcome outcome;
    boost::asio::io_context context{1};
    run::async_dial(context.get_executor(), std::move(request),
                    [&outcome](run::dial_outcome got) { outcome = std::move(got); });
    context.run();
    return outcome;
}

// What this host knows of the first attempt that failed; of a proxy's it knows nothing. A UNIX
// socket has one attempt, which is the whole dial.
std::string cause_of(const run::dial_outcome& outcome, const dial_options& asked) {
    const auto& all = outcome.story.attempts;
    const auto failed =
        std::find_if(all.begin(), all.end(), [](const auto& each) { return each.why; });
    if (!asked.via.empty() || (failed == all.end() && !all.empty())) {
        return {};
    }
    const auto& why = all.empty() ? *outcome.why : *failed->why;
    if (asked.udp && why.code == std::errc::permission_denied &&
        std::holds_alternative<ip::endpoint>(why.at)) {
        return "dial sends to no broadcast address; if this is none, a route prohibits it";
    }
    return run::cause_of(why, asked.udp ? ip::transport::udp : ip::transport::tcp);
}

void show(const dial_options& asked, const run::dial_outcome& outcome, const std::string& title) {
    // A UNIX socket is connected at once or not at all.
    const bool has_race = !outcome.story.resolutions.empty() || !outcome.story.attempts.empty();
    if (asked.trace && has_race) {
        std::cerr << race::draw(outcome.story, title) << std::flush;
    } else if ((asked.verbose || asked.trace) && !outcome.why) {
        std::cerr << "portico: dial: " << outcome.text << '\n';
    }
    if (asked.as_json) {
        // Together with the bytes of the connection it would be of no use to anybody.
        (asked.probe ? std::cout : std::cerr)
            << to_plain_json(outcome_json(outcome, title)) << std::endl;
    }
    if (outcome.why && !asked.quiet) {
        std::cerr << "portico: dial: " << outcome.text << '\n';
        if (const auto cause = cause_of(outcome, asked); !cause.empty()) {
            std::cerr << "    " << cause << '\n';
        }
    }
}

// Which end it was: stdin and stdout are no business of the network.
std::string failure_text(const dial_options& asked, const run::pump_outcome& went) {
    using end = run::pump_outcome::end;
    if (went.was_idle) {
        return ip::to_text(went.why->at) + ": no byte moved for " +
               race::short_time(*asked.timeout) + " (-w)";
    }
    return went.failed_at == end::network
               ? to_text(*went.why)
               : (went.failed_at == end::input ? "stdin: " : "stdout: ") + went.why->code.message();
}

int finish(const dial_options& asked, const run::pump_outcome& went) {
    if (went.why) {
        if (!asked.quiet) {
            std::cerr << "portico: dial: " << failure_text(asked, went) << '\n';
        }
        return exit_code(went.why->who);
    }
    if (went.cut_short && !asked.quiet) {
        std::cerr << "portico: dial: the peer closed before it had taken all of the input\n";
    }
    if (asked.verbose) {
        std::cerr << "portico: dial: " << went.sent << " bytes sent, " << went.received
                  << " received\n";
    }
    return 0;
}

run::pump_options pump_options_of(const dial_options& asked) {
    run::pump_options how;
    how.datagrams = asked.udp;
    how.idle = asked.udp ? std::nullopt : asked.timeout;
    how.after_input = asked.timeout.value_or(how.after_input);
    return how;
}

// Datagrams have no race: the first address that can be sent to wins, and whether anybody is there
// is told afterwards, by a refusal (RFC 8085 section 5.2). What was refused before any answer goes
// to the next address.
class datagram_exchange {
public:
    datagram_exchange(const dial_options& asked, run::dial_request request, std::string title)
        : asked_{asked}, request_{std::move(request)}, title_{std::move(title)} {
        request_.allowed = [this](const ip::endpoint& to, auto) {
            return std::find(refusing_.begin(), refusing_.end(), to) == refusing_.end();
        };
    }

    int run(run::dial_outcome outcome) {
        auto how = pump_options_of(asked_);
        for (int in = STDIN_FILENO;;) {
            auto went = run::pump(in, STDOUT_FILENO, std::move(outcome.socket), how);
            const auto& story = outcome.story;
            if (!went.refused || !story.winner || refusing_.size() >= most_addresses) {
                const int code = finish(asked_, went);
                advise(went);
                return code;
            }
            refusing_.push_back(story.attempts[*story.winner].to);
            outcome = dial(request_);
            if (outcome.why) {
                return fail(*went.why);
            }
            if (asked_.verbose) {
                std::cerr << "portico: dial: " << to_text(*went.why) << "; now "
                          << ip::to_text(outcome.peer) << '\n';
            }
            how.first = *std::move(went.refused);
            in = went.input_ended ? -1 : in;
        }
    }

private:
    static constexpr std::size_t most_addresses = 64;

    int fail(const error& why) const {
        if (!asked_.quiet) {
            std::cerr << "portico: dial: " << title_ << ": nobody is there:";
            for (const auto& each : refusing_) {
                std::cerr << (each == refusing_.front() ? " " : "; ") << ip::to_text(each) << ' '
                          << why.code.message();
            }
            std::cerr << '\n';
        }
        return exit_code(why.who);
    }

    // Too much was sent to send it again, or there was an answer.
    void advise(const run::pump_outcome& went) const {
        if (went.why && went.why->code == std::errc::connection_refused && !request_.only &&
            !ip::parse_address(request_.host) && !asked_.quiet) {
            std::cerr << "    " << request_.host
                      << " may have an address that answers: -4 and -6 choose the family\n";
        }
    }

    const dial_options& asked_;
    run::dial_request request_;
    std::string title_;
    std::vector<ip::endpoint> refusing_;
};

int run_dial(const dial_options& asked) {
    run::dial_request request;
    if (!read_options(asked, request)) {
        return exit_code(side::caller);
    }
    const auto title = request.port.empty() ? request.host : request.host + " " + request.port;
    auto outcome = dial(request);
    show(asked, outcome, title);
    if (outcome.why) {
        return exit_code(outcome.why->who);
    }
    if (asked.probe) {
        if (!asked.as_json && !asked.quiet) {
            std::cout << outcome.text << '\n';
        }
        return 0;
    }
    if (asked.udp) {
        return datagram_exchange{asked, std::move(request), title}.run(std::move(outcome));
    }
    auto how = pump_options_of(asked);
    how.early = std::move(outcome.early);
    return finish(
        asked, run::pump(STDIN_FILENO, STDOUT_FILENO, std::move(outcome.socket), std::move(how)));
}

} // namespace

void add_dial(CLI::App& command, invocation& call) {
    auto* verb = command.add_subcommand(
        "dial", "connect to a service on any of its addresses; pipe stdin and stdout");
    const auto asked = std::make_shared<dial_options>();
    verb->add_option("TARGET", asked->target, "HOST PORT, HOST:PORT or unix:/path")
        ->expected(1, -1)
        ->required()
        ->type_name("");
    auto* v4 = verb->add_flag("-4", asked->only_v4, "only IPv4");
    verb->add_flag("-6", asked->only_v6, "only IPv6")->excludes(v4);
    verb->add_flag("-n", asked->numeric, "do not resolve: the host must be an address");
    verb->add_flag("-u,--udp", asked->udp, "UDP: each read of stdin is a datagram");
    add_duration(*verb, "-w,--timeout", asked->timeout,
                 "give up after so long without a connection or a byte");
    add_duration(*verb, "--connect-timeout", asked->connect_timeout,
                 "give up when not connected after so long");
    add_duration(*verb, "--attempt-delay", asked->attempt_delay,
                 "between two attempts; default 250ms, 10ms to 2s");
    verb->add_option_function<unsigned>(
        "--happy-eyeballs-timeout-ms",
        [asked](unsigned ms) { asked->attempt_delay = std::chrono::milliseconds{ms}; },
        "the same, in milliseconds, as curl has it");
    add_duration(*verb, "--resolution-delay", asked->resolution_delay,
                 "wait for IPv6 answers; default 50ms");
    verb->add_option("--from", asked->from, "local address, with or without a port")
        ->type_name("ADDR");
    verb->add_option("--interface", asked->interface, "leave by this interface only")
        ->type_name("NAME");
    add_duration(*verb, "--dead-after", asked->dead_after, "give a silent peer up after so long");
    verb->add_flag("--nagle", asked->nagle, "let small writes wait (no TCP_NODELAY)");
    verb->add_option(
            "--via", asked->via,
            "a proxy: socks5://, socks5h:// or http://[user:password@]host:port; it resolves "
            "the name")
        ->type_name("URL");
    verb->add_flag("--trace", asked->trace, "draw the race on stderr");
    verb->add_flag("--json", asked->as_json, "the race as JSON: on stdout with -z, else on stderr");
    verb->add_flag("-z,--probe", asked->probe, "connect, tell how it went, and close");
    verb->add_flag("-v,--verbose", asked->verbose, "say where it connected and how much was moved");
    verb->add_flag("-q,--quiet", asked->quiet, "no messages, only the exit code");
    verb->footer("exit codes:\n"
                 "  0    connected, and all was moved\n"
                 "  100  the question was wrong, or the name does not exist\n"
                 "  111  no address answered, or the connection failed: trying again may help\n"
                 "\n"
                 "examples:\n"
                 "  portico dial --trace www.example.org 80   connect, and see the race\n"
                 "  portico dial -z -w 5s localhost:22        is a service there?\n"
                 "  portico dial unix:/run/service.sock       a UNIX socket\n"
                 "  portico dial --via socks5://localhost:1080 www.example.org 80");
    verb->callback([asked, &call] { call.exit_code = run_dial(*asked); });
}

} // namespace portico::app
