#include "portico/run/datagram_relay.hpp"
#include "relay/listed_targets_test.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/local/datagram_protocol.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <dirent.h>
#include <set>
#include <sys/resource.h>

namespace portico::run {
namespace {

using asio::ip::udp;
using boost::system::error_code;
using testing::ElementsAre;
using testing::IsEmpty;

using target_lists = std::vector<std::vector<ip::any_endpoint>>;

ip::any_endpoint endpoint_of(const udp::endpoint& which) {
    return ip::parse_endpoint(
               which.address().is_v6()
                   ? "[" + which.address().to_string() + "]:" + std::to_string(which.port())
                   : which.address().to_string() + ":" + std::to_string(which.port()))
        .value();
}

std::size_t open_descriptors() {
    std::size_t count = 0;
    DIR* all = ::opendir("/proc/self/fd");
    while (::readdir(all) != nullptr) {
        ++count;
    }
    ::closedir(all);
    return count;
}

// The relay, its clients and its targets share one thread: whoever waits runs the others.
class relayed_datagrams : public testing::Test {
protected:
    relayed_datagrams() { listen(ip::address::any(ip::family::v4)); }
    ~relayed_datagrams() override {
        relay.reset();
        context.restart();
        context.poll(); // what was cancelled
    }

    void listen(const ip::address& where, bool v4_too = false) {
        sockets.clear();
        const ip::endpoint wish{where, 0};
        auto made = os::socket(wish, ip::transport::udp);
        EXPECT_TRUE(made && (!v4_too || os::set_v6only(*made, false)) &&
                    os::set_receive_packet_info(*made, where.family()) && os::bind(*made, wish));
        auto& socket = sockets.emplace_back();
        socket.at = os::getsockname(made->raw()).value();
        socket.over = ip::transport::udp;
        socket.descriptor = std::move(*made);
    }

    void start(const target_lists& to) {
        targets = std::make_shared<listed_targets>(to);
        auto made =
            datagram_relay::make(context.get_executor(), sockets, targets, how, door,
                                 [this](const association_end& end) { ends.push_back(end); });
        ASSERT_TRUE(made);
        relay = *std::move(made);
    }
    void start(const udp::socket& one) { start({{endpoint_of(one.local_endpoint())}}); }

    udp::socket socket_at(const std::string& address = "127.0.0.1") {
        return udp::socket{context, udp::endpoint{asio::ip::make_address(address), 0}};
    }
    // An address of ours.
    udp::endpoint ours(const std::string& address = "127.0.0.1") const {
        return {asio::ip::make_address(address), std::get<ip::endpoint>(sockets[0].at).port};
    }

    template <class Condition>
    void run_until(Condition holds) {
        context.restart(); // it stops when there was nothing to do
        while (!holds()) {
            ASSERT_NE(context.run_one(), 0U) << "nothing is left to wait for";
        }
    }

    struct received {
        std::string text;
        udp::endpoint from;
    };
    received take(udp::socket& by) {
        received got{std::string(70'000, '\0'), {}};
        bool done = false;
        by.async_receive_from(asio::buffer(got.text), got.from,
                              [&](error_code wrong, std::size_t size) {
                                  EXPECT_FALSE(wrong) << wrong.message();
                                  got.text.resize(size);
                                  done = true;
                              });
        run_until([&] { return done; });
        return got;
    }
    static void put(udp::socket& by, std::string_view text, const udp::endpoint& to) {
        by.send_to(asio::buffer(text), to);
    }
    // A question and its answer, through the relay; the relay's socket towards the target.
    udp::endpoint converse(udp::socket& by, udp::socket& with,
                           const std::string& through = "127.0.0.1",
                           const std::string& question = "question",
                           const std::string& answer = "answer") {
        put(by, question, ours(through));
        const auto asked = take(with);
        EXPECT_EQ(asked.text, question);
        put(with, answer, asked.from);
        const auto answered = take(by);
        EXPECT_EQ(answered.text, answer);
        EXPECT_EQ(answered.from, ours(through));
        return asked.from;
    }
    std::uint64_t dropped(datagram_drop why) const {
        return relay->counters().from_clients.of(why);
    }

    asio::io_context context;
    datagram_relay_settings how;
    association_door door;
    std::vector<bound_socket> sockets;
    std::shared_ptr<listed_targets> targets;
    std::vector<association_end> ends;
    std::unique_ptr<datagram_relay> relay;
    udp::socket client = socket_at();
    udp::socket target = socket_at();
};

// ---- what goes through ----

TEST_F(relayed_datagrams, an_answer_comes_from_the_address_that_was_asked) {
    start(target);
    for (const auto* each : {"127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.1"}) {
        converse(client, target, each);
    }
    EXPECT_EQ(relay->active(), 3U);
}

TEST_F(relayed_datagrams, empty_ones_and_the_largest_ones_go_through) {
    start(target);
    converse(client, target, "127.0.0.1", "", std::string(65'507, 'a'));
    converse(client, target, "127.0.0.2", std::string(65'507, 'q'), "");
    const auto counts = relay->counters();
    EXPECT_EQ(counts.from_clients.received, 2U);
    EXPECT_EQ(counts.from_clients.sent_bytes, 65'507U);
    EXPECT_EQ(counts.from_targets.sent, 2U);
    EXPECT_EQ(counts.from_targets.received_bytes, 65'507U);
}

TEST_F(relayed_datagrams, each_client_has_a_socket_of_its_own) {
    start(target);
    auto other = socket_at();
    const auto first = converse(client, target);
    EXPECT_NE(converse(other, target), first);
    EXPECT_EQ(converse(client, target), first);
    EXPECT_THAT(targets->opened,
                ElementsAre(std::pair{0U, relay::way::v4}, std::pair{0U, relay::way::v4}));
}

TEST_F(relayed_datagrams, the_target_may_speak_at_any_time) {
    start(target);
    const auto association = converse(client, target);
    for (const auto* each : {"one", "two", "three"}) {
        put(target, each, association);
        EXPECT_EQ(take(client).text, each);
    }
}

TEST_F(relayed_datagrams, strangers_cannot_speak_for_the_target) {
    start(target);
    const auto association = converse(client, target);
    auto stranger = socket_at();
    put(stranger, "forged", association);
    put(target, "true", association);
    EXPECT_EQ(take(client).text, "true");
}

TEST_F(relayed_datagrams, more_than_a_turn_takes_goes_through_both_ways) {
    start(target);
    for (int i = 0; i < 150; ++i) {
        put(client, std::to_string(i), ours());
    }
    udp::endpoint association;
    for (int i = 0; i < 150; ++i) {
        const auto got = take(target);
        EXPECT_EQ(got.text, std::to_string(i));
        association = got.from;
    }
    for (int i = 0; i < 150; ++i) {
        put(target, std::to_string(i), association);
    }
    for (int i = 0; i < 150; ++i) {
        EXPECT_EQ(take(client).text, std::to_string(i));
    }
}

TEST_F(relayed_datagrams, both_families_meet) {
    listen(ip::address::loopback(ip::family::v6));
    start(target);
    auto v6_client = socket_at("::1");
    converse(v6_client, target, "::1");
    put(v6_client, std::string(65'527, 'x'), ours("::1")); // 20 bytes more than IPv4 can take
    run_until([&] { return dropped(datagram_drop::too_large) == 1; });
    converse(v6_client, target, "::1");
}

TEST_F(relayed_datagrams, a_mapped_client_is_answered_as_it_came_and_known_as_what_it_is) {
    listen(ip::address::any(ip::family::v6), true);
    std::vector<ip::endpoint> asked;
    door.let_in = [&](instant, const ip::endpoint& who) -> std::optional<datagram_drop> {
        asked.push_back(who);
        return std::nullopt;
    };
    start(target);
    converse(client, target, "127.0.0.3");
    const auto canonical = endpoint_of(client.local_endpoint());
    EXPECT_THAT(asked, ElementsAre(std::get<ip::endpoint>(canonical)));
    EXPECT_THAT(targets->clients, ElementsAre(canonical));
}

TEST_F(relayed_datagrams, a_unix_target_answers) {
    using local = asio::local::datagram_protocol;
    const std::string name{"\0portico-datagram-relay-test", 28};
    local::socket far{context, local::endpoint{name + std::to_string(::getpid())}};
    start({{os::getsockname(far.native_handle()).value()}});
    put(client, "question", ours());
    std::string room(100, '\0');
    local::endpoint from;
    bool done = false;
    far.async_receive_from(asio::buffer(room), from, [&](error_code wrong, std::size_t size) {
        EXPECT_FALSE(wrong);
        EXPECT_EQ(room.substr(0, size), "question");
        done = true;
    });
    run_until([&] { return done; });
    far.send_to(asio::buffer("answer", 6), from);
    EXPECT_EQ(take(client).text, "answer");
}

TEST_F(relayed_datagrams, they_leave_from_the_address_and_device_that_were_given) {
    how.from = ip::endpoint{ip::address::v4(127, 0, 0, 9), 0};
    how.interface = "lo";
    start(target);
    EXPECT_EQ(converse(client, target).address().to_string(), "127.0.0.9");
}

TEST_F(relayed_datagrams, they_leave_by_no_other_device_when_theirs_is_gone) {
    how.interface = "portico-none";
    start(target);
    put(client, "x", ours());
    run_until([&] { return dropped(datagram_drop::no_target) == 1; });
    EXPECT_EQ(relay->counters().target_failures, 1U);
    EXPECT_EQ(target.available(), 0U);
}

TEST_F(relayed_datagrams, while_the_way_out_is_gone_nothing_is_relayed) {
    start(target);
    converse(client, target);
    relay->set_egress(false);
    EXPECT_EQ(relay->active(), 0U);
    put(client, "x", ours());
    run_until([&] { return dropped(datagram_drop::no_egress) == 1; });
    relay->set_egress(true);
    converse(client, target);
    EXPECT_EQ(target.available(), 0U);
}

// ---- targets that fail ----

TEST_F(relayed_datagrams, what_follows_a_refusal_goes_to_the_next_target) {
    auto gone = socket_at();
    const auto nobody = endpoint_of(gone.local_endpoint());
    gone.close();
    start({{nobody}, {endpoint_of(target.local_endpoint())}});
    put(client, "lost", ours());
    run_until([&] { return !targets->failed.empty(); });
    ASSERT_EQ(targets->failed.size(), 1U);
    EXPECT_EQ(targets->failed[0].first, 0U);
    EXPECT_EQ(targets->failed[0].second, std::errc::connection_refused);
    EXPECT_EQ(relay->counters().last_failure->at, nobody);
    converse(client, target);
    EXPECT_EQ(relay->active(), 1U);
}

TEST_F(relayed_datagrams, a_target_that_comes_back_is_used_again) {
    start(target);
    converse(client, target);
    const auto where = target.local_endpoint();
    target.close();
    for (std::size_t i = 1; i < 4; ++i) {
        put(client, "lost", ours());
        run_until([&] { return targets->failed.size() == i; });
    }
    target = udp::socket{context, where};
    converse(client, target);
}

TEST_F(relayed_datagrams, an_answer_before_a_refusal_is_not_lost) {
    start(target);
    const auto association = converse(client, target);
    put(client, "?", ours());
    ASSERT_EQ(take(target).text, "?");
    put(client, "refused", ours());
    put(target, "still here", association); // both wait for the relay
    target.close();
    EXPECT_EQ(take(client).text, "still here");
    run_until([&] { return !targets->failed.empty(); });
}

TEST_F(relayed_datagrams, a_place_that_cannot_be_sent_to_is_passed_over_at_once) {
    const ip::endpoint broadcast{ip::address::v4(255, 255, 255, 255), 9}; // EACCES
    start({{broadcast}, {endpoint_of(target.local_endpoint())}});
    converse(client, target);
    EXPECT_EQ(targets->failed.size(), 1U);
    EXPECT_EQ(relay->counters().from_clients.sent, 1U);
}

TEST_F(relayed_datagrams, without_a_target_nothing_is_kept) {
    start(target);
    targets->targets[0].is_there = false;
    put(client, "x", ours());
    run_until([&] { return dropped(datagram_drop::no_target) == 1; });
    EXPECT_EQ(relay->active(), 0U);
    targets->targets[0].is_there = true;
    converse(client, target);
}

TEST_F(relayed_datagrams, without_a_descriptor_they_are_dropped_and_later_ones_are_not) {
#ifdef __SANITIZE_ADDRESS__
    GTEST_SKIP() << "the sanitizers need a descriptor to look at an object";
#endif
    start(target);
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    rlimit none = before;
    none.rlim_cur = 3;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
    put(client, "x", ours());
    run_until([&] { return dropped(datagram_drop::no_socket) == 1; });
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_THAT(targets->failed, IsEmpty());
    EXPECT_EQ(relay->active(), 0U);
    converse(client, target);
}

// ---- who may not ----

TEST_F(relayed_datagrams, the_door_is_asked_once_and_told_of_the_end) {
    std::vector<ip::endpoint> in;
    std::vector<ip::endpoint> out;
    door.let_in = [&](instant, const ip::endpoint& who) -> std::optional<datagram_drop> {
        in.push_back(who);
        return who.address == ip::address::v4(127, 0, 0, 7) ? std::optional{datagram_drop::denied}
                                                            : std::nullopt;
    };
    door.left = [&](const ip::endpoint& who) { out.push_back(who); };
    start(target);
    converse(client, target);
    converse(client, target);
    EXPECT_EQ(in.size(), 1U);
    auto stranger = socket_at("127.0.0.7");
    put(stranger, "x", ours());
    run_until([&] { return dropped(datagram_drop::denied) == 1; });
    EXPECT_EQ(relay->active(), 1U);
    EXPECT_THAT(out, IsEmpty());
    relay->stop();
    EXPECT_THAT(out, ElementsAre(in.front()));
}

TEST_F(relayed_datagrams, a_relay_to_itself_does_not_go_round) {
    start({{ip::any_endpoint{ip::endpoint{ip::address::v4(127, 0, 0, 1), ours().port()}}}});
    put(client, "x", ours());
    run_until([&] { return dropped(datagram_drop::looped) == 1; });
    EXPECT_EQ(relay->active(), 1U);
}

TEST_F(relayed_datagrams, what_was_sent_to_everybody_is_dropped) {
    start(target);
    client.set_option(asio::socket_base::broadcast{true});
    put(client, "x", ours("127.255.255.255"));
    run_until([&] { return dropped(datagram_drop::to_group) == 1; });
    EXPECT_EQ(relay->active(), 0U);
}

// ---- the bounds ----

TEST_F(relayed_datagrams, a_question_without_an_answer_makes_room_and_its_socket_is_closed) {
    how.table.capacity = 1;
    start(target);
    put(client, "first", ours());
    const auto first = take(target);
    const auto before = open_descriptors();
    auto other = socket_at();
    const auto one_more = open_descriptors();
    EXPECT_EQ(one_more, before + 1);
    put(other, "second", ours());
    const auto second = take(target);
    EXPECT_EQ(open_descriptors(), one_more);
    ASSERT_EQ(ends.size(), 1U);
    EXPECT_EQ(ends[0].why, relay::association_drop::evicted);
    EXPECT_EQ(ends[0].client, endpoint_of(client.local_endpoint()));
    EXPECT_EQ(ends[0].target, endpoint_of(target.local_endpoint()));
    EXPECT_EQ(ends[0].received_bytes, 5U);
    EXPECT_EQ(ends[0].sent, 0U);
    put(target, "nobody waits for this", first.from);
    put(target, "answer", second.from);
    EXPECT_EQ(take(other).text, "answer");
    EXPECT_EQ(client.available(), 0U);
}

TEST_F(relayed_datagrams, a_late_answer_is_for_nobody_else) {
    how.table.capacity = 1; // each client takes the place of the one before
    start(target);
    std::set<udp::endpoint> names;
    for (int i = 0; i < 2000; ++i) {
        auto other = socket_at(); // while the one before is open: they are not the same client
        put(other, "question", ours());
        names.insert(take(target).from);
        client = std::move(other);
    }
    EXPECT_EQ(names.size(), 2000U); // the kernel alone gives about 70 of them twice
}

TEST_F(relayed_datagrams, conversations_are_not_disturbed_when_the_table_is_full) {
    how.table.capacity = 1;
    start(target);
    converse(client, target);
    converse(client, target);
    auto other = socket_at();
    put(other, "x", ours());
    run_until([&] { return dropped(datagram_drop::full) == 1; });
    converse(client, target);
}

TEST_F(relayed_datagrams, one_prefix_has_its_own_bound) {
    how.table.max_per_prefix = 1;
    start(target);
    converse(client, target);
    converse(client, target);
    auto other = socket_at();
    put(other, "x", ours());
    run_until([&] { return dropped(datagram_drop::prefix_full) == 1; });
    auto elsewhere = socket_at("127.0.0.8");
    converse(elsewhere, target);
}

TEST_F(relayed_datagrams, who_is_idle_is_forgotten_with_the_socket) {
    how.table.idle = std::chrono::milliseconds{20};
    how.table.idle_unproven = how.table.idle;
    const auto before = open_descriptors();
    start(target);
    converse(client, target);
    put(client, "no answer", ours("127.0.0.2"));
    static_cast<void>(take(target));
    run_until([&] { return ends.size() == 2; });
    EXPECT_EQ(relay->active(), 0U);
    EXPECT_EQ(open_descriptors(), before + 1); // its copy of the listening one
    EXPECT_EQ(targets->active, 0);
    EXPECT_EQ(ends[0].number + ends[1].number, 3U);
    EXPECT_EQ(ends[0].received_bytes + ends[1].received_bytes, 17U);
    EXPECT_EQ(ends[0].sent_bytes + ends[1].sent_bytes, 6U);
    for (const auto& each : ends) {
        EXPECT_EQ(each.why, relay::association_drop::expired);
        EXPECT_GE(each.lasted, how.table.idle);
        EXPECT_EQ(each.received, 1U);
    }
    converse(client, target);
}

// ---- the end ----

TEST_F(relayed_datagrams, a_drain_waits_for_the_answers_to_what_was_asked) {
    start(target);
    auto late = socket_at();
    put(client, "question", ours());
    const auto asked = take(target);
    put(late, "in the queue", ours());
    bool over = false;
    relay->drain([&] { over = true; });
    sockets.clear(); // as the listener does
    const auto queued = take(target);
    EXPECT_EQ(queued.text, "in the queue");
    EXPECT_FALSE(over);
    put(target, "one", asked.from);
    put(target, "two", queued.from);
    EXPECT_EQ(take(client).text, "one");
    EXPECT_EQ(take(late).text, "two");
    run_until([&] { return over; });
    EXPECT_EQ(relay->active(), 0U);
    EXPECT_EQ(ends.size(), 2U);
}

TEST_F(relayed_datagrams, a_drain_ends_at_once_when_nobody_waits) {
    start(target);
    converse(client, target);
    bool over = false;
    relay->drain([&] {
        over = true;
        relay.reset();
    });
    EXPECT_FALSE(over);
    run_until([&] { return over; });
}

TEST_F(relayed_datagrams, a_drain_does_not_wait_for_ever) {
    how.drain = std::chrono::milliseconds{5};
    start(target);
    put(client, "x", ours());
    static_cast<void>(take(target)); // which says nothing
    bool over = false;
    relay->drain([&] { over = true; });
    run_until([&] { return over; });
}

TEST_F(relayed_datagrams, a_stopped_relay_leaves_nothing_behind) {
    const auto before = open_descriptors();
    start(target);
    converse(client, target);
    put(client, "x", ours());
    relay->stop();
    context.restart();
    context.run(); // ends: nothing is waited for
    EXPECT_EQ(open_descriptors(), before);
    EXPECT_EQ(ends.size(), 1U);
    EXPECT_EQ(ends[0].why, relay::association_drop::closed);
    EXPECT_NE(sockets[0].descriptor.raw(), -1);
}

} // namespace
} // namespace portico::run
