#include "addrs_view.hpp"

#include <boost/json/value.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

namespace portico::app {
namespace {

namespace json = boost::json;

// Escape sequences of ECMA-48; empty ones when there is no colour.
constexpr std::string_view bold = "\x1b[1m";
constexpr std::string_view red = "\x1b[31m";
constexpr std::string_view green = "\x1b[32m";
constexpr std::string_view yellow = "\x1b[33m";
constexpr std::string_view dim = "\x1b[2m";
constexpr std::string_view plain = "\x1b[0m";

struct cell {
    std::string text;
    std::string_view colour{};
};
using table_row = std::array<cell, 9>;

std::string joined(const std::vector<std::string_view>& words, std::string_view between) {
    return fmt::format("{}", fmt::join(words, between));
}

std::string with_prefix(const os::link_address& which) {
    return fmt::format("{}/{}", ip::to_text(which.address), which.prefix_length);
}

std::string_view colour_of(const os::link& which) noexcept {
    return !which.up ? dim : which.running ? green : red;
}

std::string_view colour_of(const os::link_address& which) noexcept {
    if (which.dad_failed) {
        return red;
    }
    return which.tentative ? yellow : which.deprecated ? dim : std::string_view{};
}

std::string or_dash(std::string text) {
    return text.empty() ? "-" : std::move(text);
}

void fill_link(table_row& row, const os::link& which) {
    row[0] = {which.name, bold};
    row[1] = {std::string{state_word(which)}, colour_of(which)};
    row[2] = {or_dash(mac_text(which))};
    row[3] = {std::to_string(which.mtu)};
    row[4] = {or_dash(which.loopback ? "loopback" : which.kind)};
    row[5] = {"-"};
}

void fill_address(table_row& row, const os::link_address& which) {
    row[5] = {with_prefix(which)};
    if (which.peer) {
        row[5].text += " peer " + ip::to_text(*which.peer);
    }
    row[6] = {std::string{os::to_text(which.scope)}};
    row[7] = {or_dash(joined(flag_names(which), " ")), colour_of(which)};
    row[8] = {lifetime_words(which)};
}

std::vector<table_row> rows_of(const os::snapshot& known, const addrs_filter& filter) {
    std::vector<table_row> rows;
    for (const auto& owner : known.links) {
        if (!filter.shows(owner.name)) {
            continue;
        }
        auto& first = rows.emplace_back();
        fill_link(first, owner);
        bool on_first = true;
        for (const auto& each : known.addresses) {
            if (each.link == owner.index && filter.shows(each)) {
                fill_address(on_first ? rows.back() : rows.emplace_back(), each);
                on_first = false;
            }
        }
    }
    return rows;
}

// Colour is put around the text, so that the padding is counted without it.
std::string laid_out(const std::vector<table_row>& rows, bool coloured) {
    std::array<std::size_t, std::tuple_size_v<table_row>> widths{};
    for (const auto& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i) {
            widths[i] = std::max(widths[i], row[i].text.size());
        }
    }
    std::string text;
    for (const auto& row : rows) {
        std::string line;
        std::size_t gap = 0; // spaces that are due before the next text
        for (std::size_t i = 0; i < row.size(); ++i) {
            if (!row[i].text.empty()) {
                line.append(gap, ' ');
                gap = 0;
                const bool painted = coloured && !row[i].colour.empty();
                line += painted ? fmt::format("{}{}{}", row[i].colour, row[i].text, plain)
                                : row[i].text;
            }
            gap += widths[i] - row[i].text.size() + 2;
        }
        text += line + '\n';
    }
    return text;
}

json::value text_or_null(const std::string& text) {
    return text.empty() ? json::value(nullptr) : json::value(text); // braces would make an array
}

json::value text_or_null(const std::optional<ip::address>& which) {
    return which ? json::value(ip::to_text(*which)) : json::value(nullptr);
}

json::value seconds_or_null(const std::optional<std::chrono::seconds>& left) {
    return left ? json::value(left->count()) : json::value(nullptr);
}

json::object link_json(const os::link& which) {
    return {{"name", which.name},
            {"index", which.index},
            {"state", state_word(which)},
            {"up", which.up},
            {"running", which.running},
            {"loopback", which.loopback},
            {"mac", text_or_null(mac_text(which))},
            {"mtu", which.mtu},
            {"kind", text_or_null(which.kind)}};
}

json::object address_json(const os::link_address& which) {
    json::array flags;
    for (const auto each : flag_names(which)) {
        flags.emplace_back(each);
    }
    return {{"address", ip::to_text(which.address)},
            {"prefix_length", which.prefix_length},
            {"family", which.address.is_v6() ? "ipv6" : "ipv4"},
            {"scope", os::to_text(which.scope)},
            {"broadcast", text_or_null(which.broadcast)},
            {"peer", text_or_null(which.peer)},
            {"label", text_or_null(which.label)},
            {"flags", std::move(flags)},
            {"preferred_seconds", seconds_or_null(which.preferred)},
            {"valid_seconds", seconds_or_null(which.valid)}};
}

std::string_view to_text(addrs_event::kind how) noexcept {
    switch (how) {
    case addrs_event::kind::added:
        return "added";
    case addrs_event::kind::changed:
        return "changed";
    case addrs_event::kind::removed:
        break;
    }
    return "removed";
}

const os::link_address* find_place(const os::snapshot& known, const os::link_address& which) {
    const auto at = std::find_if(known.addresses.begin(), known.addresses.end(),
                                 [&](const auto& each) { return os::same_place(each, which); });
    return at == known.addresses.end() ? nullptr : &*at;
}

os::link link_or_number(const os::snapshot& known, std::uint32_t index) {
    if (const auto* found = known.find_link(index)) {
        return *found;
    }
    os::link unknown;
    unknown.index = index;
    unknown.name = std::to_string(index);
    return unknown;
}

addrs_event event_of(addrs_event::kind how, os::link owner,
                     std::optional<os::link_address> address = {}) {
    auto name = owner.name;
    return {how, std::move(name), std::move(owner), std::move(address)};
}

using events = std::vector<addrs_event>;
using kind = addrs_event::kind;

events take(os::snapshot& known, const os::link_set& what) {
    const bool is_new = known.find_link(what.link.index) == nullptr;
    if (!known.apply(what)) {
        return {};
    }
    return {event_of(is_new ? kind::added : kind::changed, what.link)};
}

events take(os::snapshot& known, const os::address_set& what) {
    const bool is_new = find_place(known, what.address) == nullptr;
    if (!known.apply(what)) {
        return {};
    }
    // From the snapshot, where its zone has a name.
    return {event_of(is_new ? kind::added : kind::changed, link_or_number(known, what.address.link),
                     *find_place(known, what.address))};
}

events take(os::snapshot& known, const os::address_removed& what) {
    const auto* there = find_place(known, what.address);
    if (there == nullptr) {
        return {};
    }
    events made{event_of(kind::removed, link_or_number(known, what.address.link), *there)};
    known.apply(what);
    return made;
}

events take(os::snapshot& known, const os::link_removed& what) {
    if (known.find_link(what.index) == nullptr) {
        return {};
    }
    const auto owner = link_or_number(known, what.index);
    events made;
    for (const auto& each : known.addresses) {
        if (each.link == what.index) {
            made.push_back(event_of(kind::removed, owner, each));
        }
    }
    made.push_back(event_of(kind::removed, owner));
    known.apply(what);
    return made;
}

} // namespace

bool addrs_filter::shows(std::string_view interface) const {
    return interfaces.empty() ||
           std::find(interfaces.begin(), interfaces.end(), interface) != interfaces.end();
}

bool addrs_filter::shows(const os::link_address& which) const {
    return !only || which.address.family() == *only;
}

std::string to_words(std::optional<std::chrono::seconds> left) {
    if (!left) {
        return "forever";
    }
    const auto seconds = left->count();
    if (seconds >= 86400) {
        return fmt::format("{}d{}h", seconds / 86400, seconds % 86400 / 3600);
    }
    if (seconds >= 3600) {
        return fmt::format("{}h{}m", seconds / 3600, seconds % 3600 / 60);
    }
    if (seconds >= 60) {
        return fmt::format("{}m{}s", seconds / 60, seconds % 60);
    }
    return fmt::format("{}s", seconds);
}

std::string lifetime_words(const os::link_address& which) {
    std::string whole = which.valid ? to_words(which.valid) + " left" : "forever";
    if (which.preferred && which.preferred->count() == 0) {
        return whole + " (no longer preferred)";
    }
    if (which.preferred == which.valid || !which.preferred) {
        return whole;
    }
    return whole + " (preferred " + to_words(which.preferred) + ")";
}

std::vector<std::string_view> flag_names(const os::link_address& which) {
    const std::pair<bool, std::string_view> all[] = {
        {which.dad_failed, "dad_failed"}, {which.tentative, "tentative"},
        {which.optimistic, "optimistic"}, {which.deprecated, "deprecated"},
        {which.temporary, "temporary"},   {which.secondary, "secondary"},
        {which.permanent, "permanent"},   {which.nodad, "nodad"},
    };
    std::vector<std::string_view> names;
    for (const auto& [set, name] : all) {
        if (set) {
            names.push_back(name);
        }
    }
    return names;
}

std::string_view state_word(const os::link& which) noexcept {
    return !which.up ? "down" : which.running ? "up" : "no carrier";
}

std::string mac_text(const os::link& which) {
    return fmt::format("{:02x}", fmt::join(which.mac, ":"));
}

std::string addrs_table(const os::snapshot& known, const addrs_filter& filter, bool coloured) {
    auto rows = rows_of(known, filter);
    rows.insert(rows.begin(), table_row{{{"INTERFACE", dim},
                                         {"STATE", dim},
                                         {"MAC", dim},
                                         {"MTU", dim},
                                         {"KIND", dim},
                                         {"ADDRESS", dim},
                                         {"SCOPE", dim},
                                         {"FLAGS", dim},
                                         {"LIFETIME", dim}}});
    return laid_out(rows, coloured);
}

boost::json::array addrs_json(const os::snapshot& known, const addrs_filter& filter) {
    json::array all;
    for (const auto& owner : known.links) {
        if (!filter.shows(owner.name)) {
            continue;
        }
        auto made = link_json(owner);
        json::array addresses;
        for (const auto& each : known.addresses) {
            if (each.link == owner.index && filter.shows(each)) {
                addresses.push_back(address_json(each));
            }
        }
        made["addresses"] = std::move(addresses);
        all.push_back(std::move(made));
    }
    return all;
}

std::vector<addrs_event> take_change(os::snapshot& known, const os::change& what) {
    return std::visit([&](const auto& each) { return take(known, each); }, what);
}

std::string to_line(const addrs_event& what) {
    const auto verb =
        fmt::format("{} {}", what.address ? "address" : "interface", to_text(what.how));
    if (what.address) {
        return fmt::format("{:<17}  {}  {}  {}  {}  {}", verb, what.interface,
                           with_prefix(*what.address), os::to_text(what.address->scope),
                           or_dash(joined(flag_names(*what.address), " ")),
                           lifetime_words(*what.address));
    }
    return fmt::format("{:<17}  {}  {}  mac {}  mtu {}", verb, what.interface,
                       state_word(what.link), or_dash(mac_text(what.link)), what.link.mtu);
}

boost::json::object to_json(const addrs_event& what) {
    json::object made{{"event", to_text(what.how)}, {"interface", what.interface}};
    if (what.address) {
        made["address"] = address_json(*what.address);
    } else {
        made["link"] = link_json(what.link);
    }
    return made;
}

} // namespace portico::app
