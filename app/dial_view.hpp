// A dial as JSON.
#pragma once

#include "portico/run/dial.hpp"

#include <boost/json/object.hpp>

#include <string>

namespace portico::app {

// Times are milliseconds from the start of the dial. Keys:
//   target, ok, text, peer, local (strings), duration_ms
//   resolutions: [{network.type, answered_ms or null, addresses: [...], error}]
//   attempts: [{endpoint, network.type, started_ms, ended_ms, outcome, error}] in order of start
//   never_tried: [...], dropped
[[nodiscard]] boost::json::object outcome_json(const run::dial_outcome& outcome,
                                               const std::string& target);

} // namespace portico::app
