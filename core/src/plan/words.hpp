// How wishes are named in remarks and reasons.
#pragma once

#include "portico/plan/plan.hpp"

#include <string>
#include <string_view>

namespace portico::plan {

// The wish as the user wrote it.
[[nodiscard]] inline std::string written(const wish& which) {
    return which.where.text.empty() ? ip::to_text(which.where) : which.where.text;
}

[[nodiscard]] inline std::string quoted(std::string_view text) {
    return "'" + std::string{text} + "'";
}

// "localhost" and everything below it are the loopback addresses (RFC 6761 section 6.3), whatever
// a resolver would say. Upper case and a final dot make no difference.
[[nodiscard]] bool is_localhost(std::string_view name) noexcept;

} // namespace portico::plan
