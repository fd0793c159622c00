#include "portico/ip/canonical.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace portico::ip {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

address at(std::string_view text) {
    const auto made = parse_address(text);
    EXPECT_TRUE(made) << text;
    return made.value_or(address{});
}

prefix block(std::string_view text) {
    const auto made = parse_prefix(text);
    EXPECT_TRUE(made) << text;
    return made.value_or(prefix{});
}

TEST(canonical, unmaps_an_ipv4_mapped_address) {
    EXPECT_EQ(canonical(at("::ffff:192.0.2.1")), at("192.0.2.1"));
    EXPECT_EQ(canonical(at("::ffff:192.0.2.1%eth0")), at("192.0.2.1"));
    EXPECT_EQ(canonical(endpoint{at("::ffff:192.0.2.1"), 80}), (endpoint{at("192.0.2.1"), 80}));
}

TEST(canonical, leaves_any_other_address_as_it_is) {
    for (const auto* text : {"192.0.2.1", "2001:db8::1", "fe80::1%eth0", "::192.0.2.1", "::1",
                             "64:ff9b::192.0.2.1", "::fffe:192.0.2.1"}) {
        EXPECT_EQ(canonical(at(text)), at(text)) << text;
    }
}

TEST(canonical, takes_an_address_out_of_nat64_on_request) {
    const std::vector<prefix> translators{nat64_well_known(), block("2001:db8:122:344::/64"),
                                          block("2001:db8:fff0::/44")};
    EXPECT_EQ(canonical(at("64:ff9b::192.0.2.33"), translators), at("192.0.2.33"));
    EXPECT_EQ(canonical(at("2001:db8:122:344:c0:2:2100::"), translators), at("192.0.2.33"));
    EXPECT_EQ(canonical(at("2001:db8:122:345:c0:2:2100::"), translators),
              at("2001:db8:122:345:c0:2:2100::"));
    // no length of RFC 6052
    EXPECT_EQ(canonical(at("2001:db8:fff0::1"), translators), at("2001:db8:fff0::1"));
}

TEST(canonical, is_the_same_when_done_twice) {
    const std::vector<prefix> translators{nat64_well_known()};
    for (const auto* text : {"::ffff:1.2.3.4", "64:ff9b::1.2.3.4", "2001:db8::1", "1.2.3.4"}) {
        const auto once = canonical(at(text), translators);
        EXPECT_EQ(canonical(once, translators), once) << text;
    }
}

struct embedding {
    std::string_view translator;
    std::string_view embedded;
};

// For 192.0.2.33.
constexpr embedding rfc_6052_section_2_4[] = {
    {"2001:db8::/32", "2001:db8:c000:221::"},
    {"2001:db8:100::/40", "2001:db8:1c0:2:21::"},
    {"2001:db8:122::/48", "2001:db8:122:c000:2:2100::"},
    {"2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"},
    {"2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"},
    {"2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"},
    {"64:ff9b::/96", "64:ff9b::192.0.2.33"},
};

TEST(nat64, rfc_6052_section_2_4_examples) {
    for (const auto& each : rfc_6052_section_2_4) {
        const auto translator = block(each.translator);
        EXPECT_EQ(nat64_embed(translator, at("192.0.2.33")), at(each.embedded)) << each.translator;
        EXPECT_EQ(nat64_extract(translator, at(each.embedded)), at("192.0.2.33"))
            << each.translator;
    }
}

TEST(nat64, what_was_embedded_is_extracted_again) {
    for (const auto& each : rfc_6052_section_2_4) {
        for (unsigned i = 0; i < 256; ++i) {
            const auto b = static_cast<std::uint8_t>(i);
            const auto which = address::v4(b, static_cast<std::uint8_t>(255 - b), 7, b);
            const auto embedded = nat64_embed(block(each.translator), which);
            ASSERT_TRUE(embedded);
            EXPECT_TRUE(block(each.translator).contains(*embedded));
            EXPECT_EQ(nat64_extract(block(each.translator), *embedded), which);
        }
    }
}

TEST(nat64, only_the_lengths_of_rfc_6052_translate) {
    for (unsigned length = 0; length <= 128; ++length) {
        const bool known = length == 32 || length == 40 || length == 48 || length == 56 ||
                           length == 64 || length == 96;
        const auto translator = *prefix::make(at("2001:db8::"), length);
        EXPECT_EQ(nat64_embed(translator, at("192.0.2.1")).has_value(), known) << length;
        EXPECT_EQ(nat64_extract(translator, at("2001:db8::")).has_value(), known) << length;
    }
    EXPECT_FALSE(nat64_embed(block("10.0.0.0/32"), at("192.0.2.1")));
    EXPECT_FALSE(nat64_embed(nat64_well_known(), at("2001:db8::1")));
    EXPECT_FALSE(nat64_extract(nat64_well_known(), at("192.0.2.1")));
    EXPECT_EQ(to_text(nat64_well_known()), "64:ff9b::/96");
}

TEST(nat64, rfc_7050_discovery_finds_a_prefix_of_each_length) {
    for (const auto& each : rfc_6052_section_2_4) {
        const auto translator = block(each.translator);
        for (const auto* value : {"192.0.0.170", "192.0.0.171"}) {
            const std::vector answer{*nat64_embed(translator, at(value))};
            EXPECT_THAT(nat64_discover(answer), ElementsAre(translator)) << each.translator;
        }
    }
}

TEST(nat64, discovery_names_each_prefix_once_and_in_order) {
    const std::vector answer{at("2001:db8:122:344::192.0.0.170"), at("64:ff9b::192.0.0.170"),
                             at("64:ff9b::192.0.0.171"), at("2001:db8:122:344::192.0.0.171")};
    EXPECT_THAT(nat64_discover(answer),
                ElementsAre(block("2001:db8:122:344::/96"), block("64:ff9b::/96")));
}

TEST(nat64, discovery_passes_over_what_says_nothing) {
    EXPECT_THAT(nat64_discover({}), IsEmpty());
    const std::vector answer{at("192.0.0.170"), at("2001:db8::1"), at("64:ff9b::192.0.0.172")};
    EXPECT_THAT(nat64_discover(answer), IsEmpty());
}

// RFC 7050 section 3: the prefix itself may have the value in it; then the other one decides.
TEST(nat64, discovery_is_not_misled_by_a_prefix_that_has_the_value_in_it) {
    const auto tricky = block("2001:db8:c000:aa::/96"); // 192.0.0.170 stands at the /32 place
    const std::vector ambiguous{*nat64_embed(tricky, at("192.0.0.170"))};
    EXPECT_THAT(nat64_discover(ambiguous), IsEmpty());
    // The address with 192.0.0.171 has 192.0.0.170 once, at the wrong place, and 171 once, at the
    // right one.
    const std::vector both{*nat64_embed(tricky, at("192.0.0.170")),
                           *nat64_embed(tricky, at("192.0.0.171"))};
    EXPECT_THAT(nat64_discover(both), ElementsAre(tricky));
    const std::vector alone{*nat64_embed(tricky, at("192.0.0.171"))};
    EXPECT_THAT(nat64_discover(alone), IsEmpty());
}

} // namespace
} // namespace portico::ip
