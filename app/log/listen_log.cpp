#include "log/listen_log.hpp"

#include <cerrno>
#include <climits>
#include <poll.h>
#include <unistd.h>
#include <utility>

namespace portico::app {

void log_remarks(event_log& log, const run::listen_report& report,
                 const std::vector<plan::wish>& wishes) {
    for (const auto& each : report.attempts) {
        fields what;
        if (each.why) {
            add_endpoints(what, report.made.sockets[each.planned].over, each.at, {});
            add_error(what, *each.why);
            log.write(severity::warning, "a socket could not be opened", what);
        }
        for (const auto& remark : each.remarks) {
            log.write(severity::warning, "remark",
                      {{"network.local.address", ip::to_text(each.at)}, {"remark", remark}});
        }
    }
    for (const auto& each : report.made.remarks) {
        fields what{{"wish", wishes[each.wish].where.text}, {"remark", each.text}};
        if (!each.hint.empty()) {
            what.push_back({"hint", each.hint});
        }
        log.write(each.how == plan::remark::weight::note ? severity::info : severity::warning,
                  "remark", what);
    }
}

std::string listening_lines(const run::listener& open) {
    std::string lines;
    for (const auto& each : open.sockets()) {
        const bool is_unix = std::holds_alternative<ip::unix_name>(each.at);
        lines += "listening ";
        lines += is_unix ? "" : std::string{ip::to_text(each.over)} + ' ';
        lines += ip::to_text(each.at);
        lines += each.interface.empty() ? "\n" : " on " + each.interface + '\n';
    }
    return lines;
}

namespace {

// As many whole lines as a pipe has room for when poll(2) says that it has any.
std::string_view first_part(std::string_view text) {
    const auto part = text.substr(0, PIPE_BUF);
    const auto end = part.rfind('\n');
    return part.size() == text.size() || end == part.npos ? part : part.substr(0, end + 1);
}

// Whether stdout takes something within so many milliseconds; a signal begins them anew.
bool has_room(int patience_ms) {
    pollfd room{STDOUT_FILENO, POLLOUT, 0};
    int ready = -1;
    do {
        ready = ::poll(&room, 1, patience_ms);
    } while (ready < 0 && errno == EINTR);
    return ready > 0;
}

} // namespace

void announce(std::string_view text) {
    constexpr int patience_ms = 1000;
    static bool is_stuck = false; // nobody read when the last was to be written
    while (!text.empty()) {
        is_stuck = !has_room(is_stuck ? 0 : patience_ms);
        const auto part = std::as_bytes(std::span{first_part(text)});
        const auto done =
            is_stuck ? os::sys_result<std::size_t>{0} : os::write(STDOUT_FILENO, part);
        if (is_stuck || !done) {
            return;
        }
        text.remove_prefix(*done);
    }
}

void log_nameless(event_log& log, const run::reverse_names& names, std::uint64_t& told) {
    const auto before = std::exchange(told, names.turned_away());
    if (told != before) {
        log.write(severity::warning, "too many clients wait for their names: logged without",
                  {{"connections", told - before}});
    }
}

} // namespace portico::app
