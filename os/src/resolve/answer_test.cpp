#include "portico/os/resolve.hpp"
#include "portico/os/resolve_name.hpp"

#include <gtest/gtest.h>
#include <netdb.h>

namespace portico::os {
namespace {

using ip::family;

ip::address address(std::string_view text) {
    return ip::parse_address(text).value();
}

std::error_code code_of(std::string_view text, family which = family::v4) {
    const auto got = parse_lookup_answer(text, which);
    return got ? std::error_code{} : got.error().code;
}

TEST(lookup_answer, has_the_addresses_in_their_order) {
    const auto got = parse_lookup_answer(
        "portico-resolve 1\naddress 192.0.2.2\naddress 192.0.2.1\nend\n", family::v4);
    ASSERT_TRUE(got);
    EXPECT_EQ(got->addresses, (std::vector{address("192.0.2.2"), address("192.0.2.1")}));
    EXPECT_EQ(got->dropped, 0U);
}

TEST(lookup_answer, keeps_zones) {
    const auto got = parse_lookup_answer(
        "portico-resolve 1\naddress fe80::1%eth0\naddress fe80::1%7\nend\n", family::v6);
    ASSERT_TRUE(got);
    EXPECT_EQ(got->addresses, (std::vector{address("fe80::1%eth0"), address("fe80::1%7")}));
}

TEST(lookup_answer, has_each_address_once) {
    const auto got = parse_lookup_answer(
        "portico-resolve 1\naddress 192.0.2.1\naddress 192.0.2.1\nend\n", family::v4);
    ASSERT_TRUE(got);
    EXPECT_EQ(got->addresses.size(), 1U);
}

TEST(lookup_answer, counts_what_was_dropped) {
    const auto got =
        parse_lookup_answer("portico-resolve 1\naddress 192.0.2.1\ndropped 3\nend\n", family::v4);
    ASSERT_TRUE(got);
    EXPECT_EQ(got->dropped, 3U);
}

TEST(lookup_answer, without_addresses_is_no_address) {
    EXPECT_EQ(code_of("portico-resolve 1\nend\n"), errc::no_address);
}

TEST(lookup_answer, turns_codes_of_getaddrinfo_into_ours_where_we_have_one) {
    const auto failed = [](int code, int number) {
        return code_of("portico-resolve 1\nfailed " + std::to_string(code) + ' ' +
                       std::to_string(number) + "\nend\n");
    };
    EXPECT_EQ(failed(EAI_NONAME, 0), errc::name_not_found);
    EXPECT_EQ(failed(EAI_NODATA, 0), errc::no_address);
    EXPECT_EQ(failed(EAI_ADDRFAMILY, 0), errc::no_address);
    EXPECT_EQ(failed(EAI_SYSTEM, ECONNREFUSED), std::errc::connection_refused);
    EXPECT_EQ(failed(EAI_SYSTEM, 0), (std::error_code{EAI_SYSTEM, lookup_category()}));
    EXPECT_EQ(failed(EAI_AGAIN, 0), (std::error_code{EAI_AGAIN, lookup_category()}));
    EXPECT_EQ(failed(EAI_AGAIN, 0).message(), ::gai_strerror(EAI_AGAIN));
}

TEST(lookup_answer, a_name_that_does_not_exist_is_the_callers_mistake_and_a_mute_server_is_not) {
    EXPECT_EQ(parse_lookup_answer("portico-resolve 1\nfailed -2 0\nend\n", family::v4).error().who,
              side::caller);
    EXPECT_EQ(parse_lookup_answer("portico-resolve 1\nfailed -3 0\nend\n", family::v4).error().who,
              side::system);
}

TEST(lookup_answer, of_a_wrong_form_is_refused) {
    const std::string too_long =
        "portico-resolve 1\n" + std::string(max_lookup_answer, ' ') + "\nend\n";
    std::string too_many = "portico-resolve 1\n";
    for (int i = 0; i < 513; ++i) {
        too_many +=
            "address 10.0." + std::to_string(i / 256) + '.' + std::to_string(i % 256) + '\n';
    }
    too_many += "end\n";
    for (const std::string& text : std::vector<std::string>{
             "",
             "portico-resolve 1",
             "portico-resolve 1\n",
             "portico-resolve 2\naddress 192.0.2.1\nend\n",
             "portico-resolve 1\naddress 192.0.2.1\n",
             "portico-resolve 1\naddress 192.0.2.1\nend",
             "portico-resolve 1\naddress 192.0.2.1\nend\nend\n",
             "portico-resolve 1\naddress 2001:db8::1\nend\n",
             "portico-resolve 1\naddress \nend\n",
             "portico-resolve 1\naddress 192.0.2\nend\n",
             "portico-resolve 1\nhello\nend\n",
             "portico-resolve 1\ndropped x\nend\n",
             "portico-resolve 1\ndropped -1\nend\n",
             "portico-resolve 1\ndropped 99999999999999999999\nend\n",
             "portico-resolve 1\nfailed\nend\n",
             "portico-resolve 1\nfailed \nend\n",
             "portico-resolve 1\nfailed -2\nend\n",
             "portico-resolve 1\nfailed 2 0\nend\n",
             "portico-resolve 1\nfailed -2 0\n",
             "portico-resolve 1\nfailed -2 0\naddress 192.0.2.1\nend\n",
             "portico-resolve 1\naddress 192.0.2.1\nfailed -2 0\nend\n",
             too_long,
             too_many,
         }) {
        EXPECT_EQ(code_of(text), lookup_errc::bad_answer) << text.substr(0, 100);
    }
}

TEST(lookup_without_asking, a_literal_is_its_own_answer_in_its_own_family) {
    const auto v4 = answer_without_asking("192.0.2.1", family::v4);
    ASSERT_TRUE(v4 && *v4);
    EXPECT_EQ((*v4)->addresses, std::vector{address("192.0.2.1")});
    const auto v6 = answer_without_asking("fe80::1%eth0", family::v6);
    ASSERT_TRUE(v6 && *v6);
    EXPECT_EQ((*v6)->addresses, std::vector{address("fe80::1%eth0")});
    const auto wrong = answer_without_asking("192.0.2.1", family::v6);
    ASSERT_TRUE(wrong);
    EXPECT_EQ(wrong->error().code, errc::no_address);
}

TEST(lookup_without_asking, localhost_and_what_is_under_it_are_loopback) {
    for (const auto* name :
         {"localhost", "LocalHost", "localhost.", "a.localhost", "a.b.LOCALHOST."}) {
        for (const auto which : {family::v4, family::v6}) {
            const auto got = answer_without_asking(name, which);
            ASSERT_TRUE(got && *got) << name;
            EXPECT_EQ((*got)->addresses, std::vector{ip::address::loopback(which)}) << name;
        }
    }
}

TEST(lookup_without_asking, every_other_name_has_to_be_asked_for) {
    for (const auto* name :
         {"example.org", "notlocalhost", "localhost.example", "localhos", "", ".", "127.1"}) {
        EXPECT_FALSE(answer_without_asking(name, family::v4)) << name;
    }
}

TEST(lookup_category, says_where_the_missing_program_was_looked_for) {
    const auto text = make_error_code(lookup_errc::program_missing).message();
    EXPECT_NE(text.find("/portico/portico-resolve "), std::string::npos) << text;
    EXPECT_NE(text.find("PORTICO_RESOLVE"), std::string::npos) << text;
}

// ---- SRV ----

std::error_code service_code_of(std::string_view lines) {
    const auto got = parse_service_answer("portico-resolve 1\n" + std::string{lines} + "end\n");
    return got ? std::error_code{} : got.error().code;
}

TEST(lookup_category, has_a_name_of_one_word_for_what_a_lookup_can_say) {
    EXPECT_EQ(lookup_error_name(EAI_AGAIN), "EAI_AGAIN");
    EXPECT_EQ(lookup_error_name(EAI_IDN_ENCODE), "EAI_IDN_ENCODE");
    EXPECT_EQ(lookup_error_name(static_cast<int>(lookup_errc::bad_answer)), "bad_answer");
    EXPECT_EQ(lookup_error_name(12345), "");
}

TEST(service_answer, has_the_records_in_their_order_and_the_least_lifetime) {
    const auto got = parse_service_answer("portico-resolve 1\nlifetime 300\ndropped 2\n"
                                          "service 20 0 5061 b.test\n"
                                          "service 10 60 5060 a-1.test\nend\n");
    ASSERT_TRUE(got) << to_text(got.error());
    const std::vector<service_record> expected{{20, 0, 5061, "b.test"}, {10, 60, 5060, "a-1.test"}};
    EXPECT_EQ(got->records, expected);
    EXPECT_EQ(got->lifetime, std::chrono::seconds{300});
    EXPECT_EQ(got->dropped, 2U);
}

TEST(service_answer, a_dot_alone_says_that_there_is_no_such_service) {
    EXPECT_EQ(service_code_of("lifetime 60\nservice 0 0 0 .\n"), lookup_errc::no_service);
    EXPECT_EQ(service_code_of("lifetime 60\nservice 0 0 0 .\nservice 1 1 1 a\n"),
              std::error_code{});
    EXPECT_EQ(service_code_of("lifetime 60\n"), errc::no_address);
    EXPECT_EQ(service_code_of(""), errc::no_address);
}

TEST(service_answer, names_failures_as_other_lookups_do) {
    EXPECT_EQ(service_code_of("failed " + std::to_string(EAI_NONAME) + " 0\n"),
              errc::name_not_found);
    EXPECT_EQ(service_code_of("failed " + std::to_string(EAI_NODATA) + " 0\n"), errc::no_address);
    EXPECT_EQ(service_code_of("failed " + std::to_string(EAI_AGAIN) + " 0\n"),
              (std::error_code{EAI_AGAIN, lookup_category()}));
}

TEST(service_answer, of_a_wrong_form_is_refused) {
    const auto fine = "service 1 2 3 a.test\n";
    for (const auto* lines : {
             "lifetime 60\nservice 1 2 3\n",
             "lifetime 60\nservice 1 2 3 \n",
             "lifetime 60\nservice 1 2 65536 a\n",
             "lifetime 60\nservice 1 -2 3 a\n",
             "lifetime 60\nservice 1 2 3 a b\n",
             "lifetime 60\nservice 1 2 3 a/b\n",
             "lifetime 60\nservice 1 2 3 .a\n",
             "lifetime 60\nservice 1 2 3 a.\n",
             "lifetime 60\nservice 1 2 3 a..b\n",
             "lifetime 60\nlifetime 60\n",
             "lifetime -1\n",
             "lifetime 2147483648\n",
             "lifetime\n",
             "service 1 2 3 a\n", // without a lifetime
             "dropped x\n",
             "address 192.0.2.1\n",
             "lifetime 60\nfailed -2 0\n",
             "failed -2 0\nlifetime 60\n",
             "failed 0 0\n",
             "\n",
         }) {
        EXPECT_EQ(service_code_of(lines), lookup_errc::bad_answer) << lines;
    }
    EXPECT_EQ(service_code_of("lifetime 60\nservice 1 2 3 " + std::string(254, 'a') + "\n"),
              lookup_errc::bad_answer);
    std::string many = "lifetime 60\n";
    for (int i = 0; i < 128; ++i) {
        many += fine;
    }
    EXPECT_EQ(service_code_of(many), std::error_code{});
    EXPECT_EQ(service_code_of(many + fine), lookup_errc::bad_answer);
    for (const auto* text :
         {"", "portico-resolve 1\n", "portico-resolve 2\nend\n",
          "portico-resolve 1\nlifetime 1\nservice 1 1 1 a\nend", "portico-resolve 1\nend\nend\n"}) {
        const auto got = parse_service_answer(text);
        ASSERT_FALSE(got) << text;
        EXPECT_EQ(got.error().code, lookup_errc::bad_answer) << text;
    }
}

// ---- what an address is called ----

TEST(name_answer, has_one_name) {
    EXPECT_EQ(parse_name_answer("portico-resolve 1\nname a-b_c.Test\nend\n"), "a-b_c.Test");
    const auto none = parse_name_answer("portico-resolve 1\nfailed -2 0\nend\n");
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, errc::name_not_found);
}

TEST(name_answer, nothing_in_it_is_trusted) {
    for (const std::string text :
         {"", "portico-resolve 1\n", "portico-resolve 1\nend\n", "portico-resolve 2\nname a\nend\n",
          "portico-resolve 1\nname \nend\n", "portico-resolve 1\nname a b\nend\n",
          "portico-resolve 1\nname a\x1b[2J\nend\n", "portico-resolve 1\nname .a\nend\n",
          "portico-resolve 1\nname a.\nend\n", "portico-resolve 1\nname a..b\nend\n",
          "portico-resolve 1\nname a\nname b\nend\n", "portico-resolve 1\nname a\nend",
          "portico-resolve 1\nname a\nend\nend\n", "portico-resolve 1\naddress 1.2.3.4\nend\n"}) {
        const auto got = parse_name_answer(text);
        ASSERT_FALSE(got) << text;
        EXPECT_EQ(got.error().code, lookup_errc::bad_answer) << text;
    }
    const std::string longest(253, 'a');
    EXPECT_EQ(parse_name_answer("portico-resolve 1\nname " + longest + "\nend\n"), longest);
    EXPECT_FALSE(parse_name_answer("portico-resolve 1\nname a" + longest + "\nend\n"));
}

} // namespace
} // namespace portico::os
