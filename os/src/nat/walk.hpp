// The way of packets through the chains of a hook, written out as one list.
#pragma once

#include "portico/os/nat.hpp"

#include <optional>
#include <set>
#include <string>
#include <vector>

namespace portico::os {

class walk {
public:
    explicit walk(const nat_listing& all) : all_{all} {}

    // Each base chain of the hook, from its first rule on.
    void hook(diagnose::nat_rule::hook where, bool nat_listing::chain::*is_base);
    // The same of filters.
    void filters(diagnose::nat_rule::hook where);
    // nullopt: they were too many.
    [[nodiscard]] std::optional<std::vector<diagnose::nat_rule>> take() &&;

private:
    void chain(const nat_listing::chain_key& key, const diagnose::nat_rule& under);
    void rule(const nat_listing::chain_key& key, const nat_listing::rule& which,
              const diagnose::nat_rule& under);
    void one(const nat_listing::chain_key& key, const diagnose::nat_rule& what,
             const nat_listing::verdict& does);
    void spare(diagnose::nat_rule what, std::vector<std::size_t>& of);
    [[nodiscard]] bool too_many() const noexcept { return steps_ > nat_listing::most; }
    [[nodiscard]] std::set<std::string> tables_of_iptables() const;
    void policy(const nat_listing::chain_key& key);
    void end(std::vector<std::size_t>& all); // those pass over everything up to here

    const nat_listing& all_;
    diagnose::nat_rule::hook where_{};
    bool of_filters_ = false;
    std::uint32_t state_ = nat_listing::state_new; // of the connections that they are about
    std::vector<diagnose::nat_rule> made_;
    std::vector<nat_listing::chain_key> path_; // chains that the packets are in
    std::vector<std::size_t> to_base_end_;     // indices in made_
    std::vector<std::size_t> to_chain_end_;
    std::size_t steps_ = 0;
};

} // namespace portico::os
