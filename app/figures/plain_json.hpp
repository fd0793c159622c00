// JSON as people and simple programs read it.
#pragma once

#include <boost/json/value.hpp>

#include <string>

namespace portico::app {

// Like boost::json::serialize(), but a number with a fraction is written out, to nine places at
// most: 0.41 and not 4.1E-1.
[[nodiscard]] std::string to_plain_json(const boost::json::value& what);

} // namespace portico::app
