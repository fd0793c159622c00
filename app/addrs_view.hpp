// How `portico addrs` shows interfaces and addresses: words, a table, JSON. Pure.
#pragma once

#include "portico/os/netlink.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace portico::app {

// Which addresses to show: both families, or one.
struct addrs_filter {
    std::vector<std::string> interfaces; // none: all
    std::optional<ip::family> only;

    [[nodiscard]] bool shows(std::string_view interface) const;
    [[nodiscard]] bool shows(const os::link_address& which) const;
};

// "3d4h", "23h59m", "59m3s", "42s"; "forever" for nullopt.
[[nodiscard]] std::string to_words(std::optional<std::chrono::seconds> left);
// "forever", "23h59m left", "23h59m left (preferred 3h0m)", "59m3s left (no longer preferred)".
[[nodiscard]] std::string lifetime_words(const os::link_address& which);
// "tentative", "dad_failed" and so on, in a fixed order.
[[nodiscard]] std::vector<std::string_view> flag_names(const os::link_address& which);
// "up", "no carrier" or "down".
[[nodiscard]] std::string_view state_word(const os::link& which) noexcept;
// "02:00:00:00:00:01", or empty.
[[nodiscard]] std::string mac_text(const os::link& which);

// One line for each address, with a heading; an interface without any has a line of its own.
[[nodiscard]] std::string addrs_table(const os::snapshot& known, const addrs_filter& filter,
                                      bool coloured);

// The keys are stable; null stands for "none", and for "for ever" in the two lifetimes.
//   {"name": "eth0", "index": 2, "state": "up", "up": true, "running": true, "loopback": false,
//    "mac": "02:00:00:00:00:01", "mtu": 1500, "kind": "veth", "addresses": [
//      {"address": "2001:db8::1", "prefix_length": 64, "family": "ipv6", "scope": "global",
//       "broadcast": null, "peer": null, "label": null, "flags": ["tentative"],
//       "preferred_seconds": 3600, "valid_seconds": null}]}
[[nodiscard]] boost::json::array addrs_json(const os::snapshot& known, const addrs_filter& filter);

// Something that happened to an interface, or to an address of one.
struct addrs_event {
    enum class kind { added, changed, removed };
    kind how = kind::added;
    std::string interface;
    // What it is now, or was when it was removed. The address is unset when it is about the
    // interface itself.
    os::link link;
    std::optional<os::link_address> address;
};

// Applies a change to `known` and says what came of it; nothing when it had no effect. Addresses
// that a removed interface takes along come before it.
[[nodiscard]] std::vector<addrs_event> take_change(os::snapshot& known, const os::change& what);

// "address added     eth0  2001:db8::1/64  global  tentative  forever"
[[nodiscard]] std::string to_line(const addrs_event& what);
// {"event": "added", "interface": "eth0", "link": {...}} or {..., "address": {...}}; the inner
// objects are those of addrs_json(), the link without "addresses".
[[nodiscard]] boost::json::object to_json(const addrs_event& what);

} // namespace portico::app
