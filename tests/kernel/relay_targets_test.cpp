// The targets of a relay by real name servers, while they change and under load.

#include "portico/testkit/dns_server.hpp"
#include "portico/testkit/private_network.hpp"

#include "named_server.hpp"
#include "private_network_test.hpp"
#include "resolver_built_here.hpp"
#include "running_relay.hpp"

#include <algorithm>
#include <atomic>
#include <gmock/gmock.h>
#include <map>

namespace portico {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;
using testkit::dns_answer;
using testkit::dns_service;
using testkit::dns_type;

const std::pair<std::string, dns_type> service{"_x._tcp.service.test", dns_type::srv};
const std::string wish = "srv:" + service.first;

class relay_targets : public private_network_test {
protected:
    void SetUp() override {
        private_network_test::SetUp();
        if (!IsSkipped()) {
            testkit::must_run("ip link set lo up");
            use_resolver_built_here();
            testkit::replace_file("/etc/resolv.conf", "nameserver 127.0.0.1\n"
                                                      "options timeout:1 attempts:1\n");
        }
    }

    // Names that cannot be resolved yet.
    static testkit::dns_script hosts() {
        testkit::dns_script made;
        for (const std::string each : {"a", "b", "c"}) {
            made[{each + ".test", dns_type::a}] = {.addresses = {"127.0.1." + each_number(each)}};
        }
        return made;
    }
    static std::string each_number(const std::string& host) {
        return std::to_string(host.front() - 'a' + 1);
    }
    static dns_answer records(std::vector<dns_service> all, std::uint32_t lifetime = 0) {
        return {.services = std::move(all), .lifetime = lifetime};
    }

    // The names are asked for all the time.
    static run::relay_options options(const std::vector<std::string>& targets) {
        run::relay_options how;
        how.refresh = 100ms;
        how.least_refresh = 50ms;
        for (const auto& each : targets) {
            auto& made = how.targets.emplace_back();
            const auto colon = each.starts_with("srv:") ? std::string::npos : each.rfind(':');
            made.host = each.substr(0, colon);
            made.port = colon == std::string::npos ? "" : each.substr(colon + 1);
        }
        return how;
    }

    // Who answers so many connections, one after the other.
    static std::map<char, int> count(const running_relay& relay, int connections) {
        std::map<char, int> seen;
        for (int i = 0; i < connections; ++i) {
            ++seen[named_client{relay.at()}.who()];
        }
        return seen;
    }
    static bool is_leaving(const running_relay& relay, const std::string& name) {
        const auto all = relay.targets().snapshot();
        return std::any_of(all.begin(), all.end(),
                           [&](const auto& each) { return each.name == name && each.is_leaving; });
    }
    static std::size_t times_asked(const testkit::dns_server& server) {
        const auto all = server.asked();
        return static_cast<std::size_t>(std::count(all.begin(), all.end(), service));
    }
};

using seen = std::map<char, int>;

TEST_F(relay_targets, weights_and_priorities_are_those_of_the_records) {
    const named_server a{'a', "127.0.1.1"};
    auto b = std::make_unique<named_server>('b', "127.0.1.2");
    const named_server c{'c', "127.0.1.3"};
    testkit::dns_server names{hosts()};
    names.say(service, records({{20, 9, c.port(), "c.test"},
                                {10, 30, a.port(), "a.test"},
                                {10, 10, b->port(), "b.test"}}));
    const running_relay relay{options({wish})};
    EXPECT_EQ(relay.targets().trouble(), "");
    EXPECT_EQ(count(relay, 40), (seen{{'a', 30}, {'b', 10}}));
    const auto port = b->port();
    b.reset();
    EXPECT_EQ(count(relay, 20), (seen{{'a', 20}})) << "no client sees the dead one";
    names.say(service, records({{20, 0, c.port(), "c.test"}, {10, 10, port, "b.test"}}));
    ASSERT_TRUE(comes_true([&] { return named_client{relay.at()}.who() == 'c'; }));
    EXPECT_EQ(count(relay, 20), (seen{{'c', 20}})) << "the next priority";
}

TEST_F(relay_targets, one_that_is_taken_out_of_the_records_keeps_its_connections_alone) {
    const named_server a{'a', "127.0.1.1"};
    const named_server b{'b', "127.0.1.2"};
    testkit::dns_server names{hosts()};
    names.say(service, records({{1, 1, a.port(), "a.test"}, {1, 1, b.port(), "b.test"}}));
    const running_relay relay{options({wish})};
    const auto a_name = "a.test:" + std::to_string(a.port());
    auto old = std::make_unique<named_client>(relay.at());
    if (old->who() != 'a') {
        old = std::make_unique<named_client>(relay.at());
    }
    ASSERT_EQ(old->who(), 'a');
    names.say(service, records({{1, 1, b.port(), "b.test"}}));
    ASSERT_TRUE(comes_true([&] { return is_leaving(relay, a_name); }));
    EXPECT_EQ(count(relay, 20), (seen{{'b', 20}}));
    EXPECT_TRUE(old->works());
    old.reset();
    EXPECT_TRUE(comes_true([&] { return relay.targets().snapshot().size() == 1; }));
}

TEST_F(relay_targets, a_new_record_is_used_when_the_lifetime_of_the_others_is_over) {
    const named_server a{'a', "127.0.1.1"};
    const named_server b{'b', "127.0.1.2"};
    testkit::dns_server names{hosts()};
    names.say(service, records({{1, 1, a.port(), "a.test"}}, 2));
    auto how = options({wish});
    how.refresh = 10min;
    const auto began = os::now();
    const running_relay relay{how};
    names.say(service, records({{1, 1, b.port(), "b.test"}}, 3600));
    ASSERT_TRUE(comes_true([&] { return named_client{relay.at()}.who() == 'b'; }));
    EXPECT_GE(os::now() - began, 2s);
    EXPECT_EQ(times_asked(names), 2U);
}

TEST_F(relay_targets, a_short_lifetime_does_not_make_it_ask_all_the_time) {
    const named_server a{'a', "127.0.1.1"};
    testkit::dns_server names{hosts()};
    names.say(service, records({{1, 1, a.port(), "a.test"}}, 0));
    auto how = options({wish});
    how.least_refresh = 500ms;
    const auto began = os::now();
    const running_relay relay{how};
    ASSERT_TRUE(comes_true([&] { return times_asked(names) == 3; }));
    EXPECT_GE(os::now() - began, 1s);
}

TEST_F(relay_targets, a_question_that_fails_takes_nothing_away) {
    const named_server a{'a', "127.0.1.1"};
    const named_server b{'b', "127.0.1.2"};
    auto names = std::make_unique<testkit::dns_server>(hosts());
    names->say(service, records({{1, 1, a.port(), "a.test"}}));
    const running_relay relay{options({wish})};
    EXPECT_EQ(count(relay, 5), (seen{{'a', 5}}));
    for (const auto how : {dns_answer::kind::no_such_name, dns_answer::kind::server_failure}) {
        const auto before = times_asked(*names);
        names->say(service, {.how = how});
        ASSERT_TRUE(comes_true([&] { return times_asked(*names) > before + 1; }));
        EXPECT_THAT(relay.targets().trouble(), HasSubstr(wish));
        EXPECT_EQ(count(relay, 5), (seen{{'a', 5}}));
    }
    names->say(service, records({{1, 1, a.port(), "a.test"}}));
    ASSERT_TRUE(comes_true([&] { return relay.targets().trouble().empty(); }));
    names.reset(); // nobody answers any more
    ASSERT_TRUE(comes_true([&] { return !relay.targets().trouble().empty(); }));
    EXPECT_EQ(count(relay, 5), (seen{{'a', 5}}));
    names = std::make_unique<testkit::dns_server>(hosts());
    names->say(service, records({{1, 1, b.port(), "b.test"}}));
    EXPECT_TRUE(comes_true([&] { return named_client{relay.at()}.who() == 'b'; }));
}

TEST_F(relay_targets, one_that_cannot_be_asked_for_at_the_start_is_found_later) {
    const named_server a{'a', "127.0.1.1"};
    const running_relay relay{options({wish})};
    EXPECT_EQ(named_client{relay.at()}.who(), '-');
    EXPECT_THAT(relay.targets().trouble(), HasSubstr(wish));
    testkit::dns_server names{hosts()};
    names.say(service, records({{1, 1, a.port(), "a.test"}}));
    EXPECT_TRUE(comes_true([&] { return named_client{relay.at()}.who() == 'a'; }));
}

TEST_F(relay_targets, a_dot_takes_all_of_them_away) {
    const named_server a{'a', "127.0.1.1"};
    testkit::dns_server names{hosts()};
    names.say(service, records({{1, 1, a.port(), "a.test"}}));
    const running_relay relay{options({wish})};
    const named_client old{relay.at()};
    EXPECT_EQ(old.who(), 'a');
    names.say(service, records({{0, 0, 0, "."}}));
    ASSERT_TRUE(comes_true([&] { return !relay.targets().trouble().empty(); }));
    EXPECT_EQ(named_client{relay.at()}.who(), '-');
    EXPECT_TRUE(old.works());
    names.say(service, records({{1, 1, a.port(), "a.test"}}));
    EXPECT_TRUE(comes_true([&] { return named_client{relay.at()}.who() == 'a'; }));
}

TEST_F(relay_targets, new_ones_without_an_address_do_not_replace_the_old_ones) {
    const named_server a{'a', "127.0.1.1"};
    testkit::dns_server names{hosts()};
    names.say(service, records({{1, 1, a.port(), "a.test"}}));
    const running_relay relay{options({wish})};
    names.say(service, records({{1, 1, 7, "nowhere.test"}}));
    ASSERT_TRUE(comes_true([&] { return !relay.targets().trouble().empty(); }));
    EXPECT_THAT(relay.targets().trouble(), HasSubstr("those before are kept"));
    EXPECT_EQ(count(relay, 5), (seen{{'a', 5}}));
    names.say(service, records({{1, 1, 7, "nowhere.test"}, {1, 1, a.port(), "a.test"}}));
    ASSERT_TRUE(comes_true([&] { return relay.targets().snapshot().size() == 2; }));
    EXPECT_THAT(relay.targets().trouble(), HasSubstr("nowhere.test:7"));
    EXPECT_EQ(count(relay, 5), (seen{{'a', 5}}));
}

TEST_F(relay_targets, records_for_one_place_are_one_target) {
    const named_server a{'a', "127.0.1.1"};
    const named_server b{'b', "127.0.1.2"};
    testkit::dns_server names{hosts()};
    names.say(service, records({{1, 1, a.port(), "a.test"},
                                {1, 2, a.port(), "a.test"},
                                {9, 9, a.port(), "a.test"},
                                {1, 1, b.port(), "b.test"},
                                {1, 1, 0, "c.test"}}));
    const running_relay relay{options({wish})};
    EXPECT_EQ(relay.targets().snapshot().size(), 2U);
    EXPECT_EQ(count(relay, 20), (seen{{'a', 15}, {'b', 5}}));
}

TEST_F(relay_targets, one_that_is_written_out_counts_as_much_as_the_best_records_on_average) {
    const named_server a{'a', "127.0.1.1"};
    const named_server b{'b', "127.0.1.2"};
    const named_server c{'c', "127.0.1.3"};
    const named_server d{'d', "127.0.1.4"};
    testkit::dns_server names{hosts()};
    names.say(service, records({{10, 60, a.port(), "a.test"},
                                {10, 20, b.port(), "b.test"},
                                {20, 99, c.port(), "c.test"}}));
    const running_relay relay{options({wish, d.text()})};
    EXPECT_EQ(count(relay, 60), (seen{{'a', 30}, {'b', 10}, {'d', 20}}));
}

TEST_F(relay_targets, more_records_than_there_may_be_targets_are_left_out_and_told_of) {
    const named_server a{'a', "127.0.1.1"};
    const named_server b{'b', "127.0.1.2"};
    const named_server c{'c', "127.0.1.3"};
    testkit::dns_server names{hosts()};
    names.say(service, records({{3, 1, c.port(), "c.test"},
                                {1, 1, a.port(), "a.test"},
                                {2, 1, b.port(), "b.test"}}));
    auto how = options({wish});
    how.max_service_targets = 2;
    const running_relay relay{how};
    EXPECT_EQ(relay.targets().capacity(), 2U);
    EXPECT_THAT(relay.targets().trouble(), AllOf(HasSubstr("c.test"), HasSubstr("left out")));
    EXPECT_EQ(count(relay, 4), (seen{{'a', 4}}));
    names.say(service, records({{3, 1, c.port(), "c.test"}, {4, 1, b.port(), "b.test"}}));
    EXPECT_TRUE(comes_true([&] { return named_client{relay.at()}.who() == 'c'; }));
    EXPECT_TRUE(comes_true([&] { return relay.targets().trouble().empty(); }));
}

// ---- under load ----

// Clients that come and go all the time, and some that stay.
class load {
public:
    explicit load(const running_relay& relay) {
        for (int i = 0; i < 20; ++i) {
            staying_.push_back(std::make_unique<named_client>(relay.at()));
        }
        for (int i = 0; i < 3; ++i) {
            threads_.emplace_back([this, at = relay.at()] {
                while (!is_over_) {
                    const named_client client{at};
                    ++(client.works() ? worked_ : failed_);
                }
            });
        }
    }
    load(const load&) = delete;
    load& operator=(const load&) = delete;
    ~load() { end(); }

    void end() {
        is_over_ = true;
        for (auto& each : threads_) {
            each.join();
        }
        threads_.clear();
    }
    [[nodiscard]] unsigned worked() const { return worked_; }
    [[nodiscard]] unsigned failed() const { return failed_; }
    [[nodiscard]] bool those_that_stay_work() const {
        return std::all_of(staying_.begin(), staying_.end(),
                           [](const auto& each) { return each->works(); });
    }

private:
    std::vector<std::unique_ptr<named_client>> staying_;
    std::atomic<bool> is_over_{false};
    std::atomic<unsigned> worked_{0};
    std::atomic<unsigned> failed_{0};
    std::vector<std::thread> threads_;
};

TEST_F(relay_targets, the_address_of_a_name_may_change_under_load) {
    const named_server old{'1', "127.0.1.1"};
    const named_server young{'2', "127.0.1.2", old.port()};
    testkit::dns_server names{hosts()};
    const running_relay relay{options({"a.test:" + std::to_string(old.port())})};
    load clients{relay};
    ASSERT_TRUE(comes_true([&] { return old.accepted() > 100; }));
    names.say({"a.test", dns_type::a}, {.addresses = {"127.0.1.2"}});
    ASSERT_TRUE(comes_true([&] { return young.accepted() > 50; }));
    const auto before = old.accepted();
    ASSERT_TRUE(comes_true([&] { return young.accepted() > 150; }));
    EXPECT_EQ(old.accepted(), before) << "new connections go to the new address";
    EXPECT_TRUE(clients.those_that_stay_work()) << "those to the old address go on";
    clients.end();
    EXPECT_EQ(clients.failed(), 0U);
}

TEST_F(relay_targets, the_records_may_change_under_load) {
    const named_server a{'a', "127.0.1.1"};
    const named_server b{'b', "127.0.1.2"};
    const named_server c{'c', "127.0.1.3"};
    testkit::dns_server names{hosts()};
    const dns_service to_a{1, 1, a.port(), "a.test"};
    const dns_service to_b{1, 1, b.port(), "b.test"};
    const dns_service to_c{1, 1, c.port(), "c.test"};
    names.say(service, records({to_a}));
    auto how = options({wish});
    how.max_service_targets = 3;
    const running_relay relay{how};
    load clients{relay};
    const std::vector<std::pair<dns_service, const named_server&>> turns{
        {to_b, b}, {to_c, c}, {to_a, a}, {to_c, c}, {to_b, b}, {to_a, a}};
    for (const auto& [record, of] : turns) {
        const named_server& server = of; // for the lambda; clang 14 does not capture bindings
        const auto before = server.accepted();
        names.say(service, records({record}));
        ASSERT_TRUE(comes_true([&] { return server.accepted() > before + 20; }));
    }
    EXPECT_TRUE(clients.those_that_stay_work());
    clients.end();
    EXPECT_EQ(clients.failed(), 0U);
    EXPECT_GT(clients.worked(), 100U);
}

} // namespace
} // namespace portico
