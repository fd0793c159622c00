// How `portico why` shows a diagnosis: text and JSON. Pure.
#pragma once

#include "portico/run/diagnose.hpp"

#include <boost/json/object.hpp>

#include <string>

namespace portico::app {

struct why_style {
    bool coloured = false;
    bool verbose = false; // further findings in full, and what was excluded
};

// The cause in one sentence, how sure it is, the evidence, what to do; lines end in '\n'.
[[nodiscard]] std::string why_text(const diagnose::diagnosis& made, const why_style& how);
[[nodiscard]] std::string why_text(const run::process_places& made, const why_style& how);

// The keys are stable:
//   {"address": "...", "act": "bind", "transport": "tcp", "cause": "in_use", "exit_code": 10,
//    "findings": [{"cause", "exit_code", "sureness", "sentence", "evidence": [], "fixes": []}],
//    "excluded": [{"cause", "why"}], "unseen": []}
[[nodiscard]] boost::json::object why_json(const diagnose::diagnosis& made);
//   {"pid": 1, "name": "...", "command": "...", "user": 0, "unit": null, "container": null,
//    "sockets": [{"socket": "tcp 0.0.0.0:80: listening, ...", "diagnosis": {...}}], "unseen": []}
[[nodiscard]] boost::json::object why_json(const run::process_places& made);
// Of a question that cannot be answered: {"error": "...", "exit_code": 100}
[[nodiscard]] boost::json::object why_json(const std::string& error, int exit_code);

} // namespace portico::app
