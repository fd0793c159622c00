#include "log/listen_log.hpp"

#include "log/standard_output.hpp"

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

void announce(std::string_view text) {
    (void)print_out(text);
}

} // namespace portico::app
