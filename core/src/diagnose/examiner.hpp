// One question being looked into: findings and exclusions as they come up.
#pragma once

#include "describe.hpp"

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace portico::diagnose {

class examiner {
public:
    examiner(const question& asked, const facts& known) : asked_{asked}, known_{known} {
        made_.asked = asked;
        made_.unseen = known.unseen;
    }

    void find(finding what);
    // It is not that; kept only when no finding has the cause. The first reason stands.
    void exclude(cause what, std::string why);
    [[nodiscard]] bool found(cause what) const noexcept;
    // What could not be looked at; once.
    void not_seen(std::string what);

    [[nodiscard]] const question& asked() const noexcept { return asked_; }
    [[nodiscard]] const facts& known() const noexcept { return known_; }
    // The surest first; otherwise in the order of finding.
    [[nodiscard]] diagnosis take() &&;

private:
    const question& asked_;
    const facts& known_;
    diagnosis made_;
};

void examine_bind(examiner& into);    // IP sockets
void examine_accept(examiner& into);  // clients and our listener
void examine_connect(examiner& into); // us and their listener
void examine_unix_bind(examiner& into, const ip::unix_name& name);
void examine_unix_connect(examiner& into, const ip::unix_name& name);

// Shared by several of them: findings about one place.
void examine_address(examiner& into, const ip::endpoint& at);  // is it an address of this host?
void examine_listener(examiner& into, const socket& listener); // does it keep up?
// What the kernel says of the way to it; nullptr: it was not asked.
[[nodiscard]] const route* route_for(const facts& known, const ip::address& to);
// The interface that has it; empty: none.
[[nodiscard]] std::string_view interface_of(const facts& known, const ip::address& which);
// Whether IPv6 is switched off on it, and how to switch it on.
[[nodiscard]] bool is_v6_off(const facts& known, std::string_view interface);
[[nodiscard]] std::string sysctl_of(std::string_view interface, std::string_view family,
                                    std::string_view which);
[[nodiscard]] std::string v6_switch(std::string_view interface);
// True when one probably takes packets to it away, so that whoever listens here does not matter.
bool examine_nat(examiner& into, const ip::endpoint& at, nat_rule::hook where);
// Do filters of this host let its packets pass? `by`: the interface; empty: any but the loopback.
void examine_filters(examiner& into, const ip::endpoint& at, std::span<const nat_rule::hook> hooks,
                     std::string_view by);
// `by`: as of serves().
[[nodiscard]] const socket* listener_for(const facts& known, const ip::endpoint& at,
                                         std::string_view by);

} // namespace portico::diagnose
