#include "host/manager_link.hpp"

#include "portico/os/fdpass.hpp"
#include "portico/os/inherit.hpp"
#include "portico/os/listening.hpp"

#include <algorithm>
#include <cstdlib>
#include <unistd.h>
#include <utility>

namespace portico::app {

manager_link::manager_link() : given_{os::read_notify_environment()} {
    for (const char* each : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "FDSTORE"}) {
        ::unsetenv(each);
    }
    auto socket = os::notify_socket::to_manager(given_);
    if (!socket) {
        trouble_ = socket.error().what + "; " + socket.error().hint;
        return;
    }
    socket_ = *std::move(socket);
    const auto often = os::watchdog_interval(given_, ::getpid());
    if (!often) {
        trouble_ = often.error().what + "; " + often.error().hint;
    } else {
        watchdog_ = *often;
    }
}

// The watchdog is for the process that it names: the manager tells the next main process nothing,
// so it gets its own number there.
std::vector<std::string> manager_link::variables() const {
    std::vector<std::string> made;
    if (given_.socket) {
        made.push_back("NOTIFY_SOCKET=" + *given_.socket);
    }
    if (watchdog_ && given_.watchdog_usec) {
        made.push_back("WATCHDOG_USEC=" + *given_.watchdog_usec);
    }
    return made;
}

void manager_link::start_watchdog(boost::asio::io_context& context) {
    if (watchdog_ && socket_.has_manager()) {
        timer_.emplace(context);
        be_well();
    }
}

void manager_link::be_well() {
    os::notice told;
    told.well = true;
    static_cast<void>(socket_.notify(told)); // what is lost is said again in time
    timer_->expires_after(*watchdog_ / 2);
    timer_->async_wait([this](boost::system::error_code wrong) {
        if (!wrong) {
            be_well();
        }
    });
}

void manager_link::tell(const os::notice& what, event_log& log) {
    if (!trouble_.empty()) {
        log.write(severity::warning, "the manager cannot be told anything",
                  {{"detail", std::exchange(trouble_, {})}});
    }
    if (const auto done = socket_.notify(what); !done) {
        complain(done.error(), log);
    }
}

void manager_link::complain(std::error_code why, event_log& log) {
    if (!std::exchange(has_complained_, true)) {
        log.write(severity::warning, "the manager cannot be told anything",
                  {{"detail", *given_.socket + ": " + why.message()}});
    }
}

void manager_link::keep(const std::vector<run::held_socket>& sockets, event_log& log) {
    if (!socket_.has_manager()) {
        return;
    }
    std::vector<int> all;
    for (const auto& each : sockets) {
        if (each.socket.inherited) {
            continue; // it has those
        }
        all.push_back(each.socket.descriptor.raw());
        for (const auto& clone : each.socket.clones) {
            all.push_back(clone.raw());
        }
    }
    auto done = socket_.unstore(store_name);
    for (std::size_t at = 0; at < all.size() && done; at += os::most_passed) {
        const auto size = std::min(os::most_passed, all.size() - at);
        done = socket_.store(store_name, std::span{all}.subspan(at, size));
    }
    if (!done) {
        complain(done.error(), log);
    }
}

namespace {

// The manager passes on the sockets of its own units first, and then those from its store. These
// are taken out of the environment, and their numbers are closed: nobody asks for them by number.
void forget_originals(const std::vector<plan::inherited_socket>& all) {
    auto first = all.size();
    while (first > 0 && all[first - 1].name == store_name) {
        os::fd{all[--first].number}.reset();
    }
    std::string names;
    for (std::size_t i = 0; i < first; ++i) {
        names += (i == 0 ? "" : ":") + all[i].name;
    }
    if (first == all.size()) {
        return;
    }
    ::setenv("LISTEN_FDS", std::to_string(first).c_str(), 1);
    ::setenv("LISTEN_FDNAMES", names.c_str(), 1);
    if (first == 0) {
        for (const char* each : {"LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID"}) {
            ::unsetenv(each);
        }
    }
}

} // namespace

// Sockets of one address belong together: the first is the socket, the others are its clones.
std::vector<run::held_socket> manager_link::kept() {
    std::vector<run::held_socket> made;
    const auto inherited = os::inherited_sockets(os::read_listen_environment(), ::getpid());
    if (!inherited) {
        return made; // the start will say so
    }
    for (const auto& each : *inherited) {
        const auto wish = ip::parse_listen_address(ip::to_text(each.bound));
        if (each.name != store_name || !each.over || !wish) {
            continue;
        }
        os::fd original{each.number};
        auto copy = os::dup(original);
        static_cast<void>(std::move(original).release()); // see forget_originals()
        if (!copy) {
            continue;
        }
        os::answer_new_connections(*copy); // whoever put it there may have been about to end
        const auto interface = os::bound_device(copy->raw(), each.bound);
        const auto same = std::find_if(made.begin(), made.end(), [&](const auto& one) {
            return one.socket.over == *each.over && one.socket.at == each.bound &&
                   one.socket.interface == interface;
        });
        if (same != made.end()) {
            same->socket.clones.push_back(*std::move(copy));
            continue;
        }
        run::held_socket one;
        one.wish = *wish;
        one.socket.at = each.bound;
        one.socket.over = *each.over;
        one.socket.interface = interface;
        const auto* at = std::get_if<ip::endpoint>(&each.bound);
        one.socket.v6only = at != nullptr && at->address.is_v6();
        one.socket.descriptor = *std::move(copy);
        made.push_back(std::move(one));
    }
    forget_originals(*inherited);
    return made;
}

} // namespace portico::app
