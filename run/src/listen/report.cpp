// A start in words.

#include "portico/run/listen.hpp"

namespace portico::run {
namespace {

std::string line_of(const open_attempt& each, const plan::plan& made) {
    const bool is_unix = std::holds_alternative<ip::unix_name>(each.at);
    std::string text = "  ";
    text += is_unix ? "" : std::string{ip::to_text(made.sockets[each.planned].over)} + " ";
    text += ip::to_text(each.at) + ": ";
    if (each.why) {
        text += std::string{portico::to_text(each.why->op)} + ": " + each.why->code.message();
    } else if (each.covered_by) {
        text += "served by " + ip::to_text(made.sockets[*each.covered_by].at);
    } else {
        text += "open";
    }
    text += '\n';
    for (const auto& remark : each.remarks) {
        text += "    " + remark + '\n';
    }
    return text;
}

} // namespace

std::string listen_report::text() const {
    std::string text;
    if (missing) {
        text += "cannot listen: " + missing->text + '\n';
    }
    for (const auto& each : attempts) {
        text += line_of(each, made);
    }
    for (const auto& each : made.remarks) {
        text += "  " + std::string{plan::to_text(each.how)} + ": " + each.text + '\n';
        if (!each.hint.empty()) {
            text += "    " + each.hint + '\n';
        }
    }
    return text;
}

} // namespace portico::run
