// A TOML file as a tree in which everything knows where it stands.
#pragma once

#include "config/diagnostic.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <variant>
#include <vector>

namespace portico::app {

struct document_entry;
using document_table = std::vector<document_entry>; // in the order of the file

// A float, a date or a time: no setting is any of them.
struct foreign_value {
    std::string_view type; // "a date"
};

struct document_value {
    explicit document_value(position where); // an empty text

    position at;
    std::variant<std::string, std::int64_t, bool, foreign_value, std::vector<document_value>,
                 document_table>
        is;
};

struct document_entry {
    std::string key{};
    position at{}; // of the key
    document_value value;
};

inline document_value::document_value(position where) : at{where} {}

// "a text", "a whole number", "a list", ...
[[nodiscard]] std::string_view type_name(const document_value& which) noexcept;

// TOML 1.0, at most 32 values inside each other. It ends at the first error of syntax; the place of
// the error is in `file`. Time and memory: linear in the text, which the caller has bounded.
[[nodiscard]] tl::expected<document_table, diagnostic> parse_document(std::string_view text,
                                                                      const std::string& file);

} // namespace portico::app
