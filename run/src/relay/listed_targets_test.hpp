// Targets that a test lists, and what a relay tells of them.
#pragma once

#include "portico/run/relay_targets.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

namespace portico::run {

// The first one that was not tried, as long as it `is_there`. It holds the relay to the contract.
class listed_targets final : public relay_targets {
public:
    struct listed {
        std::shared_ptr<const std::vector<target_place>> places;
        bool is_there = true;
    };

    explicit listed_targets(const std::vector<std::vector<ip::any_endpoint>>& all) {
        for (const auto& each : all) {
            targets.push_back({places_of(each)});
        }
    }
    ~listed_targets() override {
        EXPECT_EQ(joining, 0) << "chosen, and neither opened nor given up";
        EXPECT_EQ(active, 0) << "opened, and not closed";
    }

    static std::shared_ptr<const std::vector<target_place>>
    places_of(const std::vector<ip::any_endpoint>& all) {
        std::vector<target_place> made;
        for (const auto& each : all) {
            std::optional<ip::source> from;
            if (const auto* where = std::get_if<ip::endpoint>(&each)) {
                from = ip::source{.address = where->address};
            }
            made.push_back({each, from, os::to_sockaddr(each).value()});
        }
        return std::make_shared<const std::vector<target_place>>(std::move(made));
    }

    std::optional<target_offer> choose(instant, const ip::any_endpoint& client,
                                       std::span<const relay::target_id> tried) override {
        clients.push_back(client);
        for (std::uint32_t i = 0; i < targets.size(); ++i) {
            if (targets[i].is_there && std::find(tried.begin(), tried.end(), i) == tried.end()) {
                ++joining;
                return target_offer{i, targets[i].places};
            }
        }
        return std::nullopt;
    }
    void handle_opened(relay::target_id target, relay::way which) override {
        --joining;
        ++active;
        opened.emplace_back(target, which);
    }
    void handle_given_up(relay::target_id) override { --joining; }
    void handle_closed(relay::target_id) override { --active; }
    void handle_failed(instant, relay::target_id target, relay::way, const error& why) override {
        failed.emplace_back(target, why.code);
    }
    std::vector<relay::target_state> snapshot() const override { return {}; }
    std::string trouble() const override { return {}; }
    std::size_t capacity() const noexcept override { return targets.size(); }
    void tell_begun(std::function<void(relay::target_id)>) override {}

    std::vector<listed> targets;
    std::vector<ip::any_endpoint> clients;
    std::vector<std::pair<relay::target_id, relay::way>> opened;
    std::vector<std::pair<relay::target_id, std::error_code>> failed;
    int joining = 0;
    int active = 0;
};

} // namespace portico::run
