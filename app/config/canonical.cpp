#include "config/canonical.hpp"

#include <fmt/format.h>

namespace portico::app {
namespace {

// {A = "x", B = "y"}, from "A=x" and "B=y".
std::string pairs_toml(const std::vector<std::string>& pairs) {
    std::string out;
    for (const auto& each : pairs) {
        const auto equals = each.find('=');
        out += fmt::format("{}{} = {}", out.empty() ? "{" : ", ", each.substr(0, equals),
                           toml_text(each.substr(equals + 1)));
    }
    return out + '}';
}

struct value_writer {
    settings& from;
    list_form form;

    std::string operator()(text_slot at) const { return toml_text(at(from)); }
    std::string operator()(list_slot at) const {
        if (form == list_form::pairs) {
            return pairs_toml(at(from));
        }
        std::string out;
        for (const auto& each : at(from)) {
            out += (out.empty() ? "[" : ", ") + toml_text(each);
        }
        return out + ']';
    }
    std::string operator()(truth_slot at) const { return at(from) ? "true" : "false"; }
    std::string operator()(span_slot at) const {
        const auto span = std::chrono::round<std::chrono::milliseconds>(at(from).value());
        const bool whole = span.count() % 1000 == 0;
        return fmt::format("\"{}{}\"", whole ? span.count() / 1000 : span.count(),
                           whole ? "s" : "ms");
    }
    std::string operator()(number_slot at) const { return std::to_string(at.value(from).value()); }
};

} // namespace

std::string toml_text(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if ((c >= 0 && c < ' ') || c == '\x7f') {
            out += fmt::format("\\u{:04X}", static_cast<unsigned>(c));
        } else {
            out += c;
        }
    }
    return out + '"';
}

std::string keys_toml(table which, settings from) {
    std::string out;
    for (const auto& each : all_keys()) {
        if (each.in == which && is_set(each, from)) {
            out += fmt::format("{} = {}\n", each.name,
                               std::visit(value_writer{from, each.form}, each.at));
        }
    }
    return out;
}

std::string service_toml(std::string_view name, const settings& from) {
    return fmt::format("[service.{}]\n{}", name, keys_toml(table::service, from));
}

} // namespace portico::app
