// portico addrs [INTERFACE...]: interfaces and addresses with everything that getifaddrs(3) hides,
// and, with --watch, each change of them.

#include "addrs_view.hpp"
#include "flags/nearest_word.hpp"
#include "terminal.hpp"
#include "verb.hpp"

#include <boost/json/serialize.hpp>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <iostream>
#include <memory>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace portico::app {
namespace {

struct addrs_options {
    std::vector<std::string> interfaces;
    bool only_v4 = false;
    bool only_v6 = false;
    bool as_json = false;
    bool watch = false;

    [[nodiscard]] addrs_filter filter() const {
        addrs_filter made{interfaces, {}};
        if (only_v4 || only_v6) {
            made.only = only_v4 ? ip::family::v4 : ip::family::v6;
        }
        return made;
    }
};

int system_failure(std::string_view what, const std::error_code& why) {
    std::cerr << "portico: addrs: " << what << ": " << why.message() << '\n';
    return exit_code(side::system);
}

// Explains every name that is no interface; true when all are.
bool all_known(const std::vector<std::string>& names, const os::snapshot& known) {
    std::vector<std::string> here;
    for (const auto& each : known.links) {
        here.push_back(each.name);
    }
    bool all = true;
    for (const auto& name : names) {
        if (std::find(here.begin(), here.end(), name) == here.end()) {
            all = false;
            const auto like = nearest_word(name, here);
            std::cerr << "portico: addrs: " << name << ": there is no such interface here"
                      << (like.empty() ? "; `portico addrs` lists them all"
                                       : "; did you mean " + like + "?")
                      << '\n';
        }
    }
    return all;
}

// Follows the kernel's events until a signal, or until nobody reads any more.
class watcher {
public:
    watcher(const addrs_options& asked, os::monitor events, os::snapshot known, os::fd signals)
        : filter_{asked.filter()}, as_json_{asked.as_json}, events_{std::move(events)},
          known_{std::move(known)}, signals_{std::move(signals)} {}

    int run() {
        const auto count = known_.links.size();
        std::cerr << "portico: addrs: watching " << count
                  << (count == 1 ? " interface" : " interfaces") << "; interrupt to end\n";
        for (;;) {
            pollfd waiting[] = {{events_.raw(), POLLIN, 0},
                                {signals_.raw(), POLLIN, 0},
                                {STDOUT_FILENO, 0, 0}}; // errors come unasked
            if (::poll(waiting, std::size(waiting), -1) < 0 && errno != EINTR) {
                return system_failure("poll", {errno, std::system_category()});
            }
            if (waiting[1].revents != 0 ||
                (waiting[2].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0) {
                return 0;
            }
            if (waiting[0].revents != 0) {
                if (const auto ended = read_events()) {
                    return *ended;
                }
            }
        }
    }

private:
    // The exit code when it is over.
    std::optional<int> read_events() {
        const auto news = events_.read_changes();
        if (!news) {
            return system_failure("events of the kernel", news.error());
        }
        if (!news->lost) {
            return show(news->changes);
        }
        std::cerr << "portico: addrs: events were lost: comparing with a new snapshot\n";
        auto now = os::take_snapshot();
        if (!now) {
            return system_failure("interfaces and addresses", now.error());
        }
        const auto ended = show(os::difference(known_, *now));
        known_ = std::move(*now);
        return ended;
    }

    std::optional<int> show(const std::vector<os::change>& changes) {
        std::string text;
        for (const auto& change : changes) {
            for (const auto& each : take_change(known_, change)) {
                if (filter_.shows(each.interface) &&
                    (!each.address || filter_.shows(*each.address))) {
                    text += as_json_ ? boost::json::serialize(to_json(each)) : to_line(each);
                    text += '\n';
                }
            }
        }
        std::cout << text << std::flush;
        return std::cout ? std::nullopt : std::optional{0}; // main() tells why it ended
    }

    addrs_filter filter_;
    bool as_json_;
    os::monitor events_;
    os::snapshot known_;
    os::fd signals_;
};

// INT and TERM as something to poll; before anything is announced, so that none is missed.
os::sys_result<os::fd> take_signals() {
    sigset_t set;
    ::sigemptyset(&set);
    ::sigaddset(&set, SIGINT);
    ::sigaddset(&set, SIGTERM);
    if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) {
        return tl::unexpected{std::error_code{errno, std::system_category()}};
    }
    os::fd made{::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)};
    if (!made) {
        return tl::unexpected{std::error_code{errno, std::system_category()}};
    }
    return made;
}

int watch_addrs(const addrs_options& asked) {
    auto signals = take_signals();
    if (!signals) {
        return system_failure("signals", signals.error());
    }
    auto events = os::monitor::open(); // before the snapshot: no change falls between
    if (!events) {
        return system_failure("events of the kernel", events.error());
    }
    auto known = os::take_snapshot();
    if (!known) {
        return system_failure("interfaces and addresses", known.error());
    }
    if (!all_known(asked.interfaces, *known)) {
        return exit_code(side::caller);
    }
    return watcher{asked, std::move(*events), std::move(*known), std::move(*signals)}.run();
}

int show_addrs(const addrs_options& asked) {
    const auto known = os::take_snapshot();
    if (!known) {
        return system_failure("interfaces and addresses", known.error());
    }
    if (!all_known(asked.interfaces, *known)) {
        return exit_code(side::caller);
    }
    const auto filter = asked.filter();
    std::cout << (asked.as_json ? boost::json::serialize(addrs_json(*known, filter)) + '\n'
                                : addrs_table(*known, filter, wants_colour()));
    return 0;
}

} // namespace

void add_addrs(CLI::App& command, invocation& call) {
    auto* verb =
        command.add_subcommand("addrs", "show interfaces and addresses, with states and lifetimes");
    const auto asked = std::make_shared<addrs_options>();
    verb->add_option("INTERFACE", asked->interfaces, "only these; default all");
    auto* v4 = verb->add_flag("-4", asked->only_v4, "only IPv4 addresses");
    verb->add_flag("-6", asked->only_v6, "only IPv6 addresses")->excludes(v4);
    verb->add_flag("--json", asked->as_json, "as JSON: an array, or with --watch an object a line");
    verb->add_flag("--watch", asked->watch, "print each change until interrupted");
    verb->callback([asked, &call] {
        call.exit_code = asked->watch ? watch_addrs(*asked) : show_addrs(*asked);
    });
}

} // namespace portico::app
