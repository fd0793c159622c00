// The old process' part of a handover.

#include "host/handover.hpp"

#include "portico/os/clock.hpp"
#include "portico/os/inherit.hpp"
#include "portico/os/queue.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>
#include <utility>

namespace portico::app {
namespace {

namespace json = boost::json;

constexpr duration between_looks = std::chrono::milliseconds{10};

const std::string ended_early = "the new process has ended before it served";

std::string to_message(const run::held_socket& which) {
    const auto& socket = which.socket;
    json::object made{{"wish", ip::to_text(which.wish)},
                      {"transport", ip::to_text(socket.over)},
                      {"v6only", socket.v6only},
                      {"foreign", socket.foreign},
                      {"interface", socket.interface}};
    json::array joined;
    for (const auto& each : *socket.joined) {
        if (joined.size() == most_memberships) {
            break; // what is beyond them stays until the socket is closed
        }
        joined.push_back(
            json::object{{"group", ip::to_text(each.group)}, {"interface", each.interface}});
    }
    made["joined"] = std::move(joined);
    if (socket.inherited) {
        made["inherited"] = *socket.inherited;
    }
    if (socket.file) {
        made["device"] = socket.file->device;
        made["inode"] = socket.file->inode;
    }
    return json::serialize(made);
}

// How many descriptors the manager gave us, from 3 on.
int given_by_manager() {
    const auto given = os::read_listen_environment();
    int count = 0;
    if (given.fds && given.pid == std::to_string(::getpid())) {
        std::from_chars(given.fds->data(), given.fds->data() + given.fds->size(), count);
    }
    return count;
}

} // namespace

void add_report(fields& to, const handover_report& report) {
    to.push_back({"process.successor", static_cast<std::uint64_t>(report.successor)});
    to.push_back({"sockets", std::uint64_t{report.sockets}});
    to.push_back({"waiting", report.waiting});
    to.push_back({"left", report.left});
    const auto add = [&](std::string name, std::optional<std::uint64_t> value) {
        if (value) {
            to.push_back({std::move(name), *value});
        }
    };
    const auto counted = os::difference(report.before, report.after);
    add("kernel.listen_overflows", counted.listen_overflows);
    add("kernel.listen_drops", counted.listen_drops);
    add("kernel.request_drops", counted.request_drops);
    add("kernel.resets_sent", counted.resets_sent);
    add_duration(to, report.unattended);
}

std::string to_text(const handover_report& report) {
    auto made = fmt::format("handed over to process {}\n"
                            "sockets: {}\n"
                            "clients in their queues at the swap: {}\n"
                            "clients in them when the new process served each: {}\n"
                            "until it did: {:.6f} s\n",
                            report.successor, report.sockets, report.waiting, report.left,
                            std::chrono::duration<double>{report.unattended}.count());
    made +=
        fmt::format("{:<38}{:>10}{:>10}\n", "kernel, whole network namespace", "before", "after");
    const auto add = [&](std::string_view what, std::optional<std::uint64_t> before,
                         std::optional<std::uint64_t> after) {
        if (before && after) {
            made += fmt::format("{:<38}{:>10}{:>10}\n", what, *before, *after);
        }
    };
    const auto& [was, is] = std::pair{report.before, report.after};
    add("  full accept queues", was.listen_overflows, is.listen_overflows);
    add("  connection requests dropped", was.listen_drops, is.listen_drops);
    add("  dropped as too many were half-way in", was.request_drops, is.request_drops);
    add("  resets sent", was.resets_sent, is.resets_sent);
    return made;
}

handover_out::handover_out(boost::asio::io_context& context, events tell)
    : context_{context}, tell_{std::move(tell)}, timer_{context} {}

handover_out::~handover_out() {
    give_up();
    static_cast<void>(child_.reap());
}

// One that hears nothing would have the sockets for ever.
void handover_out::give_up() {
    if (channel_) {
        channel_->say("stop");
        channel_.reset();
        if (!serves_ && !is_ending_) {
            static_cast<void>(child_.kill(SIGKILL));
        }
    }
}

tl::expected<void, std::string> handover_out::start(const successor_program& which,
                                                    std::vector<run::held_socket> sockets,
                                                    std::vector<carried_thing> besides) {
    auto pair = os::passing_pair();
    if (!pair) {
        return tl::unexpected{"a channel: " + pair.error().message()};
    }
    sockets_ = std::move(sockets);
    for (const auto& each : sockets_) {
        if (each.socket.over == ip::transport::tcp) {
            queues_.push_back({&each.socket.descriptor});
            for (const auto& clone : each.socket.clones) {
                queues_.push_back({&clone});
            }
        }
    }
    if (auto done = spawn(which, std::move(pair->second)); !done) {
        return done;
    }
    channel_ = std::make_unique<handover_channel>(
        context_, std::move(pair->first), [this](const std::string& what) { handle(what); });
    if (auto done = send_all(besides); !done) {
        static_cast<void>(child_.kill(SIGKILL));
        return done;
    }
    report_.successor = child_.pid();
    report_.sockets = sockets_.size();
    channel_->listen();
    arm(handover_patience, &handover_out::handle_late);
    return {};
}

// What was inherited keeps its number there, because "fd:3" is asked for by it.
tl::expected<void, std::string> handover_out::spawn(const successor_program& which,
                                                    os::fd other_end) {
    std::vector<int> descriptors{0, 1, 2};
    int last = 2 + given_by_manager();
    for (const auto& each : sockets_) {
        last = std::max(last, each.socket.inherited.value_or(0));
    }
    if (static_cast<std::size_t>(last) + 2 > os::most_descriptors) {
        return tl::unexpected{"descriptor " + std::to_string(last) +
                              " was inherited, and no number beyond " +
                              std::to_string(os::most_descriptors - 2) + " can be handed on"};
    }
    for (int number = 3; number <= last; ++number) {
        const bool is_open = ::fcntl(number, F_GETFD) >= 0;
        const bool is_inherited =
            number <= 2 + given_by_manager() ||
            std::any_of(sockets_.begin(), sockets_.end(),
                        [&](const auto& each) { return each.socket.inherited == number; });
        descriptors.push_back(is_open && is_inherited ? number : 2);
    }
    descriptors.push_back(other_end.raw());
    auto environment = os::environment();
    std::erase_if(environment, [](const std::string& each) {
        return each.starts_with(std::string{handover_variable} + '=');
    });
    environment.insert(environment.end(), which.variables.begin(), which.variables.end());
    environment.push_back(std::string{handover_variable} + '=' +
                          std::to_string(descriptors.size() - 1));
    os::spawn_settings how;
    how.inherits_capabilities = true; // it is one of us, and opens sockets as we do
    if (given_by_manager() > 0) {
        how.pid_variable = "LISTEN_PID";
    }
    auto made = os::spawn(which.path, which.arguments, environment, descriptors, how);
    if (!made) {
        return tl::unexpected{which.path + ": " + os::to_text(made.error(), how) + ": " +
                              made.error().why.message()};
    }
    child_ = *std::move(made);
    return {};
}

// The new process reads as fast as they come, but begins only when it has been started: there may
// be more of them than its queue takes, and that moment is waited for.
tl::expected<void, std::string> handover_out::send_one(const std::string& text,
                                                       std::span<const int> descriptors) {
    constexpr int patience_ms = 5000;
    for (;;) {
        const auto sent =
            os::send_descriptors(channel_->raw(), std::as_bytes(std::span{text}), descriptors);
        if (sent) {
            return {};
        }
        const bool is_full = sent.error().value() == EAGAIN;
        pollfd room{channel_->raw(), POLLOUT, 0};
        if (!is_full || ::poll(&room, 1, patience_ms) != 1) {
            const bool is_gone = sent.error() == std::errc::broken_pipe ||
                                 sent.error() == std::errc::connection_reset;
            return tl::unexpected{
                is_gone ? ended_early : "the sockets cannot be sent: " + sent.error().message()};
        }
    }
}

tl::expected<void, std::string> handover_out::send_all(const std::vector<carried_thing>& besides) {
    for (const auto& each : sockets_) {
        std::vector<int> descriptors{each.socket.descriptor.raw()};
        for (const auto& clone : each.socket.clones) {
            descriptors.push_back(clone.raw());
        }
        const auto text = to_message(each);
        if (auto done = send_one(text, descriptors); !done) {
            return done;
        }
    }
    for (const auto& each : besides) {
        const auto text =
            json::serialize(json::object{{"carried", each.name}, {"text", each.text}});
        const int number = each.descriptor.raw();
        if (auto done = send_one(text, {&number, number < 0 ? 0U : 1U}); !done) {
            return done;
        }
    }
    return send_one("end", {});
}

void handover_out::handle(const std::string& what) {
    if (what == "ready" && !paused_) {
        paused_ = true;
        tell_.pause(true);
        for (auto& each : queues_) {
            if (const auto queue = os::accept_queue_of(each.socket->raw())) {
                each.most = queue->waiting;
                report_.waiting += queue->waiting;
            }
        }
        went_ = os::now();
        report_.before = os::read_tcp_counters().value_or(os::tcp_counters{});
        channel_->say("go");
        return arm(handover_patience, &handover_out::handle_late);
    }
    if (what == "serving" && paused_) {
        serves_ = true;
        until_ = deadline::after(os::now(), handover_patience);
        return look_at_queues();
    }
    is_ending_ = what.empty() || what.starts_with("failed ");
    fail(what.empty()                  ? ended_early
         : what.starts_with("failed ") ? "the new process: " + what.substr(7)
                                       : "the new process says '" + what + "' out of turn");
}

// We accept nobody, so whoever leaves a queue was taken by the new process.
void handover_out::look_at_queues() {
    report_.left = 0;
    for (auto& each : queues_) {
        const int raw = each.socket->raw();
        if (!os::is_readable(raw)) {
            each.is_served = true;
            continue;
        }
        if (const auto queue = os::accept_queue_of(raw)) {
            each.is_served = each.is_served || queue->waiting < each.most.value_or(0);
            each.most = std::max(each.most.value_or(0), queue->waiting);
            report_.left += queue->waiting;
        }
    }
    if (std::all_of(queues_.begin(), queues_.end(),
                    [](const watched_queue& each) { return each.is_served; })) {
        return finish();
    }
    if (until_.has_passed(os::now())) {
        return fail("the new process does not take all of the connections that wait");
    }
    arm(between_looks, &handover_out::look_at_queues);
}

void handover_out::arm(duration patience, void (handover_out::*then)()) {
    timer_.expires_after(patience);
    timer_.async_wait([this, then, alive = std::weak_ptr{alive_}](boost::system::error_code wrong) {
        if (!wrong && !alive.expired()) {
            (this->*then)();
        }
    });
}

void handover_out::handle_late() {
    fail("the new process took longer than 30 seconds");
}

void handover_out::fail(const std::string& why) {
    timer_.cancel();
    give_up();
    if (std::exchange(paused_, false)) {
        tell_.pause(false);
    }
    const auto tell = tell_.failed; // it may end us
    tell(why);
}

void handover_out::finish() {
    timer_.cancel();
    report_.unattended = os::now() - went_;
    report_.after = os::read_tcp_counters().value_or(os::tcp_counters{});
    // A manager listens to the new process only when it has heard of it from us (sd_notify(3)).
    const auto tell = tell_.done;
    tell(report_);
    channel_->say("done");
    channel_.reset();
}

} // namespace portico::app
