// SRV questions to a real name server, through the resolver of the C library.

#include "portico/os/clock.hpp"
#include "portico/run/resolve.hpp"
#include "portico/testkit/dns_server.hpp"
#include "portico/testkit/private_network.hpp"

#include "private_network_test.hpp"
#include "resolver_built_here.hpp"

#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>
#include <netdb.h>
#include <optional>

namespace portico {
namespace {

using namespace std::chrono_literals;
using testkit::dns_answer;
using testkit::dns_service;
using testkit::dns_type;
using found = result<os::service_answer>;

const std::string name = "_x._tcp.service.test";

class resolve_srv : public private_network_test {
protected:
    void SetUp() override {
        private_network_test::SetUp();
        if (!IsSkipped()) {
            use_resolver_built_here();
            testkit::replace_file("/etc/resolv.conf", "nameserver 127.0.0.1\n"
                                                      "search elsewhere.test\n"
                                                      "options timeout:30 attempts:1\n");
        }
    }

    static found ask(const std::string& what, deadline until = deadline::never()) {
        std::optional<found> got;
        boost::asio::io_context context;
        run::async_resolve_srv(context.get_executor(), {what, until},
                               [&](found answer) { got = std::move(answer); });
        context.run();
        return got.value();
    }
    static found ask(const dns_answer& said) {
        const testkit::dns_server server{{{{name, dns_type::srv}, said}}};
        return ask(name);
    }
    static std::error_code code_of(const found& got) {
        return got ? std::error_code{} : got.error().code;
    }
};

TEST_F(resolve_srv, gives_all_records_and_their_lifetime) {
    const std::vector<dns_service> services{
        {10, 60, 5060, "a.service.test"}, {10, 0, 5061, "B-1.service.test"}, {20, 1, 1, "c"}};
    const auto got = ask(dns_answer{.services = services, .lifetime = 1234});
    ASSERT_TRUE(got) << to_text(got.error());
    ASSERT_EQ(got->records.size(), services.size());
    for (std::size_t i = 0; i < services.size(); ++i) {
        EXPECT_EQ(got->records[i].priority, services[i].priority);
        EXPECT_EQ(got->records[i].weight, services[i].weight);
        EXPECT_EQ(got->records[i].port, services[i].port);
        EXPECT_EQ(got->records[i].target, services[i].target);
    }
    EXPECT_EQ(got->lifetime, 1234s);
    EXPECT_EQ(got->dropped, 0U);
}

TEST_F(resolve_srv, asks_once_for_exactly_this_name) {
    const testkit::dns_server server{{{{name, dns_type::srv}, {.services = {{1, 1, 1, "a"}}}}}};
    EXPECT_EQ(code_of(ask("_x._tcp.service")), errc::name_not_found);
    EXPECT_TRUE(ask(name + "."));
    const std::vector<std::pair<std::string, dns_type>> expected{{"_x._tcp.service", dns_type::srv},
                                                                 {name, dns_type::srv}};
    EXPECT_EQ(server.asked(), expected);
}

TEST_F(resolve_srv, a_dot_as_target_is_a_service_that_is_not_there) {
    const auto got = ask(dns_answer{.services = {{0, 0, 0, "."}}});
    EXPECT_EQ(code_of(got), os::lookup_errc::no_service);
    const auto beside = ask(dns_answer{.services = {{0, 0, 0, "."}, {1, 1, 1, "a"}}});
    ASSERT_TRUE(beside) << to_text(beside.error());
    EXPECT_EQ(beside->records.size(), 1U);
}

TEST_F(resolve_srv, targets_that_no_host_can_have_are_dropped_and_counted) {
    const auto got = ask(dns_answer{
        .services = {
            {0, 0, 1, "a b"}, {0, 0, 2, "fine"}, {0, 0, 3, "new\nline"}, {0, 0, 4, "c/d"}}});
    ASSERT_TRUE(got) << to_text(got.error());
    ASSERT_EQ(got->records.size(), 1U);
    EXPECT_EQ(got->records[0].port, 2);
    EXPECT_EQ(got->dropped, 3U);
}

TEST_F(resolve_srv, a_lifetime_with_its_highest_bit_set_is_none) { // RFC 2181 section 8
    const auto got = ask(dns_answer{.services = {{0, 0, 1, "a"}}, .lifetime = 0x80000000U});
    ASSERT_TRUE(got) << to_text(got.error());
    EXPECT_EQ(got->lifetime, 0s);
}

TEST_F(resolve_srv, tells_every_kind_of_no_apart) {
    using kind = dns_answer::kind;
    const auto eai = [](int code) { return std::error_code{code, os::lookup_category()}; };
    EXPECT_EQ(code_of(ask(dns_answer{.how = kind::no_such_name})), errc::name_not_found);
    EXPECT_EQ(code_of(ask(dns_answer{})), errc::no_address);
    EXPECT_EQ(code_of(ask(dns_answer{.how = kind::server_failure})), eai(EAI_AGAIN));
    EXPECT_EQ(code_of(ask("_x._tcp.b\xc3\xbc.test")), eai(EAI_IDN_ENCODE));
    const auto nobody = ask(name); // no server at all
    EXPECT_EQ(code_of(nobody), eai(EAI_AGAIN));
}

TEST_F(resolve_srv, silence_ends_at_the_deadline) {
    const testkit::dns_server server{{{{name, dns_type::srv}, {.how = dns_answer::kind::silence}}}};
    EXPECT_EQ(code_of(ask(name, deadline::after(os::now(), 100ms))), std::errc::timed_out);
}

} // namespace
} // namespace portico
