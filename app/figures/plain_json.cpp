#include "figures/plain_json.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <fmt/format.h>

namespace portico::app {
namespace {

namespace json = boost::json;

void append(std::string& to, double number) {
    auto text = fmt::format("{:.9f}", number);
    text.erase(text.find_last_not_of('0') + 1);
    text += text.ends_with('.') ? "0" : "";
    to += text;
}

void append(std::string& to, const json::value& what) {
    if (const auto* members = what.if_object()) {
        char before = '{';
        for (const auto& [name, value] : *members) {
            to += before;
            to += json::serialize(name) + ':';
            append(to, value);
            before = ',';
        }
        to += members->empty() ? "{}" : "}";
    } else if (const auto* elements = what.if_array()) {
        char before = '[';
        for (const auto& each : *elements) {
            to += before;
            append(to, each);
            before = ',';
        }
        to += elements->empty() ? "[]" : "]";
    } else if (what.is_double()) {
        append(to, what.get_double());
    } else {
        to += json::serialize(what);
    }
}

} // namespace

std::string to_plain_json(const boost::json::value& what) {
    std::string text;
    append(text, what);
    return text;
}

} // namespace portico::app
