#include "portico/plan/difference.hpp"

#include <gtest/gtest.h>

namespace portico::plan {
namespace {

std::vector<wish> wishes_of(std::initializer_list<const char*> texts,
                            ip::transport over = ip::transport::tcp) {
    std::vector<wish> made;
    for (const auto* each : texts) {
        made.push_back({ip::parse_listen_address(each).value(), over});
    }
    return made;
}

// What is held after `made` was opened, with port 7777 where any was asked for.
std::vector<held_socket> opened(const plan& made, const std::vector<wish>& wishes) {
    std::vector<held_socket> held;
    for (const auto& each : made.sockets) {
        held.push_back({each.at, each.over, each.v6only, each.inherited, wishes[each.wish].where});
        if (auto* at = std::get_if<ip::endpoint>(&held.back().at); at != nullptr && at->port == 0) {
            at->port = 7777;
        }
    }
    return held;
}

std::string told(const std::vector<wish>& before, const std::vector<wish>& after) {
    const facts known;
    const auto held = opened(make_plan(before, known), before);
    const auto next = make_plan(after, known);
    return to_text(compare(next, after, held), next, after, held);
}

TEST(difference, what_stays_is_kept) {
    EXPECT_EQ(told(wishes_of({":80", "unix:/s"}), wishes_of({"unix:/s", ":80"})),
              "keep  unix:/s  for unix:/s\n"
              "keep  tcp [::]:80  for :80\n"
              "keep  tcp 0.0.0.0:80  for :80\n");
}

TEST(difference, what_is_new_is_opened_and_what_nobody_wants_is_closed) {
    EXPECT_EQ(told(wishes_of({":80"}), wishes_of({"[::]:80", ":81"})),
              "keep  tcp [::]:80  for [::]:80\n"
              "open  tcp [::]:81  for :81\n"
              "open  tcp 0.0.0.0:81  for :81\n"
              "close tcp 0.0.0.0:80  for :80\n");
}

TEST(difference, any_port_stays_the_one_that_it_is) {
    EXPECT_EQ(told(wishes_of({":0"}), wishes_of({":0"})), "keep  tcp [::]:7777  for :0\n"
                                                          "keep  tcp 0.0.0.0:7777  for :0\n");
}

TEST(difference, any_port_of_another_wish_is_not_taken) {
    EXPECT_EQ(told(wishes_of({"[::]:0"}), wishes_of({":0"})), "open  tcp [::]:0  for :0\n"
                                                              "open  tcp 0.0.0.0:0  for :0\n"
                                                              "close tcp [::]:7777  for [::]:0\n");
}

TEST(difference, a_port_that_any_port_became_can_be_wished_for) {
    EXPECT_EQ(told(wishes_of({"[::]:0"}), wishes_of({"[::]:0", "[::]:7777"})),
              "open  tcp [::]:0  for [::]:0\n"
              "keep  tcp [::]:7777  for [::]:7777\n");
}

TEST(difference, an_inherited_socket_is_known_by_its_descriptor) {
    const auto wish = wishes_of({"fd:3"});
    facts known;
    known.inherited.push_back(
        {3, {}, ip::endpoint{ip::address::any(ip::family::v6), 80}, ip::transport::tcp, true});
    const auto next = make_plan(wish, known);
    auto held = opened(next, wish);
    EXPECT_EQ(compare(next, wish, held).kept, (std::vector<std::optional<std::size_t>>{0}));
    held[0].inherited.reset();
    EXPECT_EQ(compare(next, wish, held).closed, (std::vector<std::size_t>{0}));
}

TEST(difference, a_socket_is_kept_once) {
    const auto wish = wishes_of({"127.0.0.1:80"});
    const facts known;
    auto next = make_plan(wish, known);
    const auto held = opened(next, wish);
    next.sockets.push_back(next.sockets.front());
    const auto made = compare(next, wish, held);
    EXPECT_EQ(made.kept, (std::vector<std::optional<std::size_t>>{0, std::nullopt}));
    EXPECT_TRUE(made.closed.empty());
}

TEST(difference, the_transports_are_apart) {
    EXPECT_EQ(told(wishes_of({"[::]:80"}), wishes_of({"[::]:80"}, ip::transport::udp)),
              "open  udp [::]:80  for [::]:80\n"
              "close tcp [::]:80  for [::]:80\n");
}

TEST(difference, a_dual_stack_socket_is_not_taken_for_one_of_ipv6_alone) {
    const auto wish = wishes_of({"[::]:80"});
    const auto next = make_plan(wish, facts{});
    auto held = opened(next, wish);
    held[0].v6only = false;
    EXPECT_EQ(compare(next, wish, held).closed, (std::vector<std::size_t>{0}));
}

} // namespace
} // namespace portico::plan
