// A plan for a person.

#include "plan/words.hpp"

#include <algorithm>

namespace portico::plan {
namespace {

constexpr std::string_view indent = "        ";

std::string padded(std::string text, std::size_t width) {
    text.resize(std::max(text.size(), width), ' ');
    return text;
}

bool has_random_port(const planned_socket& which) noexcept {
    const auto* where = std::get_if<ip::endpoint>(&which.at);
    return where != nullptr && where->port == 0;
}

// "port 0" is what the kernel is told; what it means is a random one.
std::string where_text(const planned_socket& which) {
    std::string text = ip::to_text(which.at);
    if (has_random_port(which)) {
        text.back() = '*';
    }
    return text;
}

std::string port_line(const plan& made, std::size_t index) {
    const auto group = made.sockets[index].port_group;
    if (!group) {
        return "a random port";
    }
    for (std::size_t first = 0; first < index; ++first) {
        if (made.sockets[first].port_group == group) {
            return "the port of socket " + std::to_string(first + 1);
        }
    }
    return "a random port, for all sockets of this group";
}

std::string steps(const plan& made, std::size_t index, std::size_t width) {
    const auto& which = made.sockets[index];
    std::string text;
    const auto line = [&](const std::string& what, std::string_view why) {
        text += std::string{indent} + padded(what, width) + "  " + std::string{why} + '\n';
    };
    for (const auto& each : which.options()) {
        line(each.name + " = " + each.value, each.reason);
    }
    if (has_random_port(which)) {
        line("port", port_line(made, index));
    }
    if (which.unix_mode) {
        std::string octal;
        for (unsigned rest = *which.unix_mode; rest != 0; rest /= 8) {
            octal.insert(octal.begin(), static_cast<char>('0' + rest % 8));
        }
        line("mode = 0" + octal, "as asked for, from the moment the file exists");
    }
    if (which.backlog > 0) {
        line("backlog = " + std::to_string(which.backlog), "connections that may wait for accept");
    }
    return text;
}

std::size_t widest(const plan& made) {
    std::size_t width = 0;
    for (const auto& each : made.sockets) {
        width = std::max(width, where_text(each).size());
        for (const auto& option : each.options()) {
            width = std::max(width, option.name.size() + option.value.size() + 3);
        }
    }
    return width;
}

std::string remark_text(const remark& each, const std::vector<wish>& wishes) {
    std::string text{to_text(each.how)};
    if (each.wish < wishes.size()) {
        text += ": " + written(wishes[each.wish]);
    }
    text += ": " + each.text + '\n';
    return each.hint.empty() ? text : text + std::string{indent} + each.hint + '\n';
}

} // namespace

std::string_view to_text(remark::weight how) noexcept {
    switch (how) {
    case remark::weight::note:
        return "note";
    case remark::weight::warning:
        return "warning";
    case remark::weight::fault:
        return "fault";
    }
    return "?";
}

std::string to_text(const plan& made, const std::vector<wish>& wishes) {
    const std::size_t width = widest(made);
    std::string text;
    for (std::size_t i = 0; i < made.sockets.size(); ++i) {
        const auto& each = made.sockets[i];
        const bool is_unix = std::holds_alternative<ip::unix_name>(each.at);
        const std::string over{is_unix ? "unix" : ip::to_text(each.over)};
        text += padded(std::to_string(i + 1), 3) + padded(over, 5) +
                padded(where_text(each), width) + "  " + each.reason + '\n';
        text += steps(made, i, width);
    }
    for (const auto& each : made.remarks) {
        text += remark_text(each, wishes);
    }
    return text;
}

} // namespace portico::plan
