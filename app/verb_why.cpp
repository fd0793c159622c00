// portico why ADDR: why a bind, an accept or a connect fails, who is in the way, and what to do.

#include "figures/plain_json.hpp"
#include "flags/duration.hpp"
#include "terminal.hpp"
#include "verb.hpp"
#include "why_question.hpp"
#include "why_view.hpp"

#include "portico/run/diagnose.hpp"

#include <iostream>
#include <memory>

namespace portico::app {
namespace {

using diagnose::act;

struct why_options {
    std::string address;
    std::optional<std::int32_t> pid;
    bool bind = false;
    bool accept = false;
    bool connect = false;
    bool udp = false;
    bool only_v4 = false;
    bool only_v6 = false;
    bool reuse_port = false;
    bool freebind = false;
    std::optional<std::uint32_t> user;
    std::string from;
    bool no_try = false;
    std::optional<duration> timeout;
    bool as_json = false;
    bool verbose = false;
};

int complain(const why_options& asked, const std::string& text, side whose = side::caller) {
    std::cerr << "portico: why: " << text << (text.ends_with('\n') ? "" : "\n");
    if (asked.as_json) {
        std::cout << to_plain_json(why_json(text, exit_code(whose))) << '\n';
    }
    return exit_code(whose);
}

why_style style_of(const why_options& asked) {
    return {wants_colour(), asked.verbose};
}

why_wish wish_of(const why_options& asked) {
    why_wish made;
    made.address = asked.address;
    if (asked.bind || asked.accept || asked.connect) {
        made.what = asked.bind ? act::bind : asked.accept ? act::accept : act::connect;
    }
    made.over = asked.udp ? ip::transport::udp : ip::transport::tcp;
    if (asked.only_v4 || asked.only_v6) {
        made.only = asked.only_v4 ? ip::family::v4 : ip::family::v6;
    }
    made.reuse_port = asked.reuse_port;
    made.freebind = asked.freebind;
    made.timeout = asked.timeout.value_or(made.timeout);
    return made;
}

int explain_process(const why_options& asked, const run::diagnose_options& how) {
    const auto made = run::diagnose_process(*asked.pid, how);
    if (!made) {
        const bool refused = made.error() == std::errc::permission_denied ||
                             made.error() == std::errc::operation_not_permitted;
        return complain(asked,
                        "--pid " + std::to_string(*asked.pid) + ": " + made.error().message() +
                            (refused ? "; run this as root (sudo) or as the user of that process"
                                     : "; give the number of a process that runs"),
                        refused ? side::system : side::caller);
    }
    std::cout << (asked.as_json ? to_plain_json(why_json(*made)) + '\n'
                                : why_text(*made, style_of(asked)));
    for (const auto& each : made->each) {
        if (!each.findings.empty()) {
            return diagnose::exit_code(each.answer());
        }
    }
    return 0;
}

int explain_address(const why_options& asked, const run::diagnose_options& how) {
    const auto question = read_why_question(wish_of(asked));
    if (!question) {
        return complain(asked, question.error().text, question.error().whose);
    }
    if (!question->remark.empty()) {
        std::cerr << "portico: why: " << question->remark << '\n';
    }
    const auto made = run::diagnose_here(question->asked, how);
    std::cout << (asked.as_json ? to_plain_json(why_json(made)) + '\n'
                                : why_text(made, style_of(asked)));
    return diagnose::exit_code(made.answer());
}

int run_why(const why_options& asked) {
    run::diagnose_options how;
    how.every_holder = asked.verbose;
    how.count_holders = true;
    how.uid = asked.user;
    if (!asked.no_try) {
        how.try_for = std::chrono::duration_cast<std::chrono::milliseconds>(
            asked.timeout.value_or(std::chrono::seconds{3}));
    }
    if (!asked.from.empty()) {
        const auto client = ip::parse_address(asked.from);
        if (!client) {
            return complain(asked, "--from: give the address of the client\n" +
                                       ip::explain(asked.from, client.error()));
        }
        how.client = *client;
    }
    if (asked.address.empty() == !asked.pid) {
        return complain(asked, !asked.pid ? "give the address that fails, as in portico why :8080, "
                                            "or a process by --pid"
                                          : "give an address or --pid, and not both");
    }
    return asked.pid ? explain_process(asked, how) : explain_address(asked, how);
}

// Of an option that is no number, what to give; empty: it is one.
std::string pid_fault(const std::string& text) {
    const bool number = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
    return number ? std::string{}
                  : "'" + text + "' is no number: give the one of a process, as pgrep " + text +
                        " tells it";
}

void add_addresses(CLI::App& verb, why_options& asked) {
    verb.add_option("ADDR", asked.address, "what fails: :8080, HOST:PORT, unix:/path ...")
        ->type_name("");
    auto* bind = verb.add_flag("--bind", asked.bind, "why binding and listening there fails");
    auto* accept = verb.add_flag("--accept", asked.accept, "why clients do not get in there");
    auto* connect = verb.add_flag("--connect", asked.connect, "why connecting there fails");
    bind->excludes(accept)->excludes(connect);
    accept->excludes(connect);
    verb.add_option("--pid", asked.pid, "every place where this process takes clients")
        ->type_name("PID")
        ->check(CLI::Validator{pid_fault, ""});
}

} // namespace

void add_why(CLI::App& command, invocation& call) {
    auto* verb = command.add_subcommand(
        "why", "explain why a bind, accept or connect fails: who, why, what to do");
    const auto asked = std::make_shared<why_options>();
    add_addresses(*verb, *asked);
    auto* v4 = verb->add_flag("-4", asked->only_v4, "IPv4 only");
    verb->add_flag("-6", asked->only_v6, "IPv6 only")->excludes(v4);
    verb->add_flag("-u,--udp", asked->udp, "UDP, not TCP");
    verb->add_flag("--reuseport", asked->reuse_port, "the program that binds sets SO_REUSEPORT");
    verb->add_flag("--freebind", asked->freebind, "the program that binds sets IP_FREEBIND");
    verb->add_option("--user", asked->user, "the number of the user who binds; default: you")
        ->type_name("UID");
    verb->add_option("--from", asked->from, "the client that does not get in (--accept)")
        ->type_name("ADDRESS");
    verb->add_flag("--no-try", asked->no_try, "send nothing to other hosts (--connect)");
    add_duration(*verb, "-w,--timeout", asked->timeout,
                 "wait so long for names (default 10s) and for other hosts (3s)");
    verb->add_flag("--json", asked->as_json, "as JSON");
    verb->add_flag("-v,--verbose", asked->verbose, "every finding and process, and what it is not");
    verb->callback([asked, &call] { call.exit_code = run_why(*asked); });
}

} // namespace portico::app
