// The one table of all keys of the configuration: how each is called, what it takes, which services
// it is for, and where it goes. The reader, the canonical text and the test of the man page walk
// it.
#pragma once

#include "flags/wish_options.hpp"
#include "service/service_request.hpp"

#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

namespace portico::app {

// What the keys of one table of the file are read into; each table uses its own part.
struct settings {
    // [log]
    std::string format = "logfmt";
    std::string level = "info";
    std::string log_to = "stderr";
    bool names = false;
    // [serve]
    std::optional<duration> timeout{};
    std::string user{};
    std::string group{};
    std::string sandbox = "auto";
    bool binder = false;
    std::vector<std::string> binder_ports{};
    std::string pid_file{};
    std::string status{};
    std::string control{};
    // [metrics]
    std::vector<std::string> metrics{};
    // [service.NAME]
    wish_flags where{};
    std::string family{};
    std::string builtin{};
    service_request asks{};
};

enum class table : std::uint8_t { log, serve, metrics, service };

// Kinds of services, as a set of bits.
using kind_set = std::uint8_t;
namespace kind {
inline constexpr kind_set builtin = 1;
inline constexpr kind_set chargen = 2; // beside `builtin`
inline constexpr kind_set program = 4;
inline constexpr kind_set relay = 8;
inline constexpr kind_set socks = 16;
inline constexpr kind_set every = 31;
} // namespace kind

// What a key asks of the transports of its service.
enum class carries : std::uint8_t {
    anything,
    tcp,       // among them
    tcp_alone, // UDP may not be there
    udp,       // among them
};

// Where a value goes. The type of the place is the type of the value.
using text_slot = std::string& (*)(settings&);
using list_slot = std::vector<std::string>& (*)(settings&);
using truth_slot = bool& (*)(settings&);
using span_slot = std::optional<duration>& (*)(settings&);
struct number_slot {
    std::optional<std::int64_t> (*value)(settings&);
    void (*set)(settings&, std::optional<std::int64_t>);
};
using slot = std::variant<text_slot, list_slot, truth_slot, span_slot, number_slot>;

enum class list_form : std::uint8_t {
    plain,  // one text or a list; a comma within one means what it means to whom reads it
    commas, // and a comma separates as the flag's does
    words,  // always a list: a command
    pairs,  // a table of texts, read as "NAME=VALUE" each, by name
};

struct key {
    std::string_view name{};
    table in = table::service;
    kind_set kinds = kind::every;
    slot at{};
    carries over = carries::anything;
    std::span<const std::string_view> words{};               // of a text: only these
    std::string (*fault)(const std::string& text) = nullptr; // of a text, or of each: its fault
    std::int64_t least = 0;                                  // of a number
    std::int64_t most = 0;
    list_form form = list_form::plain;
};

[[nodiscard]] std::span<const key> all_keys() noexcept;
[[nodiscard]] const key* find_key(table in, std::string_view name) noexcept;
[[nodiscard]] std::string_view to_text(table which) noexcept; // "[log]", "[service.NAME]"

// The key that makes a service one of a kind: "to" of kind::relay.
struct kind_name {
    kind_set bit;
    std::string_view key;
    std::string_view what; // "a relay"
};
[[nodiscard]] std::span<const kind_name> all_kinds() noexcept;

// Flags of `portico listen` that are no key of the same name, and what is written instead.
struct other_name {
    std::string_view flag;
    std::string_view written; // `family = "ipv4"`
};
[[nodiscard]] std::span<const other_name> other_names() noexcept;

// Puts back what a key sets to its default.
void reset(const key& which, settings& in);
// Gives `to` the value that a key has in `from`.
void copy(const key& which, settings& from, settings& to);
// Whether a key has another value than its default.
[[nodiscard]] bool is_set(const key& which, settings& in);

} // namespace portico::app
