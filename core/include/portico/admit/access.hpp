// Who may come in at all: allow and deny rules by address block.
#pragma once

#include "portico/ip/any_endpoint.hpp"
#include "portico/ip/prefix.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace portico::admit {

enum class ruling : std::uint8_t { allow, deny };

// "allow" or "deny".
[[nodiscard]] std::string_view to_text(ruling which) noexcept;

// What is ruled about the addresses of a block. A block of IPv4-mapped addresses means the IPv4
// block: clients are known by their canonical address.
struct access_rule {
    ip::prefix block;
    ruling what = ruling::allow;

    friend bool operator==(const access_rule&, const access_rule&) = default;
};

// "allow 192.0.2.0/24".
[[nodiscard]] std::string to_text(const access_rule& which);

// Reads blocks with commas between them, "192.0.2.0/24, 2001:db8::/32, ::1"; spaces around a block
// do not count. Each one becomes a rule with the same ruling, mapped blocks as the IPv4 ones they
// mean. An empty text is an error: nobody means a list of no rules.
[[nodiscard]] ip::text_result<std::vector<access_rule>> parse_access_rules(std::string_view text,
                                                                           ruling what);

// The rules of one listener. The most specific block that holds an address rules; of two rules for
// one block the denying one. An address in no block is let in, unless there is any allow rule.
// IPv6 blocks, ::/0 too, say nothing about IPv4 clients, nor the reverse.
//
// Time: building n log n; a question log n, without allocation (the nested blocks are laid out flat
// as ranges). Memory: about 100 bytes a rule. Threads: immutable, to be read from any.
class access {
public:
    // Lets everybody in.
    access() = default;
    explicit access(std::span<const access_rule> rules);

    // `which` is canonical: behind a NAT64 translator use ip::canonical() with its prefixes first.
    // (IPv4-mapped addresses are taken as IPv4 here, too.) Zones are not looked at.
    [[nodiscard]] bool allows(const ip::address& which) const noexcept;
    // A UNIX peer passes: its way in is guarded by the permissions of the socket. A peer of which
    // nothing is known passes only where there are no rules.
    [[nodiscard]] bool allows(const ip::any_endpoint& which) const noexcept;

    // The rule that decides about an address; nullptr when it is in no block. It lives as long as
    // this object.
    [[nodiscard]] const access_rule* rule_for(const ip::address& which) const noexcept;
    // What happens to an address in no block.
    [[nodiscard]] ruling otherwise() const noexcept { return otherwise_; }
    // The rules, each block once.
    [[nodiscard]] std::span<const access_rule> rules() const noexcept { return rules_; }

private:
    // From this address up to the next range's, one rule counts.
    struct range {
        std::uint64_t high = 0;
        std::uint64_t low = 0;
        std::uint32_t rule = 0; // index into rules_, or no_rule
    };

    class layout;

    std::vector<access_rule> rules_;
    std::vector<range> v4_; // by their first address
    std::vector<range> v6_;
    ruling otherwise_ = ruling::allow;
};

} // namespace portico::admit
