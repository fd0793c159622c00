#include "dial_view.hpp"

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

namespace portico::app {
namespace {

namespace json = boost::json;

double ms_between(instant from, instant to) {
    return std::chrono::duration<double, std::milli>(to - from).count();
}

std::string_view type_of(ip::family which) {
    return which == ip::family::v6 ? "ipv6" : "ipv4";
}

std::string_view to_text(race::attempt_report::outcome how) {
    switch (how) {
    case race::attempt_report::outcome::running:
        return "running";
    case race::attempt_report::outcome::won:
        return "won";
    case race::attempt_report::outcome::failed:
        return "failed";
    case race::attempt_report::outcome::abandoned:
        return "abandoned";
    }
    return "?";
}

json::value text_or_null(const std::optional<error>& why) {
    return why ? json::value(why->code.message()) : json::value(nullptr);
}

json::object question_json(const race::resolution_report& which, instant began) {
    json::array found;
    for (const auto& each : which.found) {
        found.emplace_back(ip::to_text(each));
    }
    json::object made;
    made["network.type"] = type_of(which.family);
    made["answered_ms"] =
        which.answered ? json::value(ms_between(began, *which.answered)) : json::value(nullptr);
    made["addresses"] = std::move(found);
    made["error"] = text_or_null(which.why);
    return made;
}

json::object attempt_json(const race::attempt_report& which, instant began) {
    json::object made;
    made["endpoint"] = ip::to_text(which.to);
    made["network.type"] = type_of(which.to.address.family());
    made["started_ms"] = ms_between(began, which.started);
    made["ended_ms"] = ms_between(began, which.ended);
    made["outcome"] = to_text(which.how);
    made["error"] = text_or_null(which.why);
    return made;
}

} // namespace

json::object outcome_json(const run::dial_outcome& outcome, const std::string& target) {
    const auto& story = outcome.story;
    json::array resolutions;
    for (const auto& each : story.resolutions) {
        resolutions.push_back(question_json(each, story.began));
    }
    json::array attempts;
    for (const auto& each : story.attempts) {
        attempts.push_back(attempt_json(each, story.began));
    }
    json::array never_tried;
    for (const auto& each : story.never_tried) {
        never_tried.emplace_back(ip::to_text(each));
    }
    json::object made;
    made["target"] = target;
    made["ok"] = !outcome.why;
    made["text"] = outcome.text;
    made["peer"] = ip::to_text(outcome.peer);
    made["local"] = ip::to_text(outcome.local);
    made["duration_ms"] = ms_between(story.began, story.ended);
    made["resolutions"] = std::move(resolutions);
    made["attempts"] = std::move(attempts);
    made["never_tried"] = std::move(never_tried);
    made["dropped"] = story.dropped;
    return made;
}

} // namespace portico::app
