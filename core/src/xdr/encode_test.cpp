#include "portico/xdr/encode.hpp"

#include "portico/xdr/decode.hpp"
#include "xdr/hex.hpp"
#include "xdr/sample_types.hpp"

#include <gtest/gtest.h>
#include <limits>

namespace portico::xdr {
namespace {

using samples::colour;

// The bytes of a value, which have to decode to one with the same bytes again.
template <class T>
std::string hex_of(const T& value) {
    const auto made = encode(value);
    if (!made) {
        return to_text(made.error());
    }
    EXPECT_EQ(encoded_size(value), made->size());
    const auto again = decode<T>(*made);
    EXPECT_TRUE(again) << to_text(again.error());
    EXPECT_TRUE(again && encode(*again) == made);
    return to_hex(*made);
}

template <class T>
std::optional<codec_error> refusal_of(const T& value) {
    const auto made = encode(value);
    return made ? std::nullopt : std::optional{made.error()};
}

TEST(xdr_encode, integers_are_big_endian) {
    EXPECT_EQ(hex_of(std::int32_t{-2}), "fffffffe");
    EXPECT_EQ(hex_of(std::uint32_t{0x01020304}), "01020304");
    EXPECT_EQ(hex_of(std::int64_t{-2}), "ffffffff fffffffe");
    EXPECT_EQ(hex_of(std::uint64_t{0x0102030405060708}), "01020304 05060708");
    EXPECT_EQ(hex_of(1LL), "00000000 00000001");
}

TEST(xdr_encode, bools_and_enums_are_integers) {
    EXPECT_EQ(hex_of(true), "00000001");
    EXPECT_EQ(hex_of(false), "00000000");
    EXPECT_EQ(hex_of(colour::red), "ffffffff");
    EXPECT_EQ(hex_of(colour::blue), "7fffffff");
}

TEST(xdr_encode, floating_point_is_ieee_754) {
    EXPECT_EQ(hex_of(1.0F), "3f800000");
    EXPECT_EQ(hex_of(-2.5), "c0040000 00000000");
    EXPECT_EQ(hex_of(std::numeric_limits<float>::infinity()), "7f800000");
    EXPECT_EQ(hex_of(-0.0), "80000000 00000000");
    EXPECT_EQ(hex_of(std::numeric_limits<double>::denorm_min()), "00000000 00000001");
    EXPECT_EQ(hex_of(std::numeric_limits<double>::quiet_NaN()), "7ff80000 00000000");
}

TEST(xdr_encode, a_quadruple_has_a_sign_15_bits_of_exponent_and_112_of_fraction) {
    if constexpr (has_quadruple) {
        EXPECT_EQ(hex_of(quadruple{1}), "3fff0000 00000000 00000000 00000000");
        EXPECT_EQ(hex_of(quadruple{-2.5}), "c0004000 00000000 00000000 00000000");
        EXPECT_EQ(hex_of(quadruple{1} / 3), "3ffd5555 55555555 55555555 55555555");
    } else {
        GTEST_SKIP() << "this compiler has no 128-bit floating point";
    }
}

TEST(xdr_encode, opaque_data_is_filled_up_with_zeros) {
    constexpr std::byte one{1};
    EXPECT_EQ(hex_of(std::array{one, one, one}), "01010100");
    EXPECT_EQ(hex_of(std::array{one, one, one, one}), "01010101");
    EXPECT_EQ(hex_of(std::array<std::byte, 0>{}), "");
    EXPECT_EQ(hex_of(std::vector<std::byte>(5, one)), "00000005 01010101 01000000");
    EXPECT_EQ(hex_of(std::vector<std::byte>{}), "00000000");
}

TEST(xdr_encode, strings_have_their_length_first) {
    EXPECT_EQ(hex_of(std::string{"hello"}), "00000005 68656c6c 6f000000");
    EXPECT_EQ(hex_of(bounded<std::string, 4>{"four"}), "00000004 666f7572");
    EXPECT_EQ(hex_of(std::string{"a\0b", 3}), "00000003 61006200");
}

TEST(xdr_encode, arrays_are_their_elements) {
    EXPECT_EQ(hex_of(std::array{1, 2}), "00000001 00000002");
    EXPECT_EQ(hex_of(std::vector{1.0F}), "00000001 3f800000");
    EXPECT_EQ(hex_of(std::array<std::string, 2>{"a", "bc"}), "00000001 61000000 00000002 62630000");
    EXPECT_EQ(hex_of(std::vector{true, false}), "00000002 00000001 00000000");
    EXPECT_EQ(hex_of(std::array{true, false}), "00000001 00000000");
    EXPECT_EQ(hex_of(std::vector<samples::point>{{1, 1.0}}), "00000001 00000001 3ff00000 00000000");
    EXPECT_EQ(hex_of(std::vector<std::vector<std::int32_t>>{{}, {7}}),
              "00000002 00000000 00000001 00000007");
}

TEST(xdr_encode, a_union_is_its_discriminant_and_its_arm) {
    using samples::by_bool;
    using samples::by_enum;
    using samples::by_int;
    using samples::by_unsigned;
    EXPECT_EQ(hex_of(by_enum{when<colour::red, std::int32_t>{7}}), "ffffffff 00000007");
    EXPECT_EQ(hex_of(by_enum{otherwise<colour>{colour::blue, {}}}), "7fffffff");
    EXPECT_EQ(hex_of(by_int{when<-1, double>{1.0}}), "ffffffff 3ff00000 00000000");
    EXPECT_EQ(hex_of(by_int{otherwise<std::int32_t, std::vector<std::byte>>{9, {}}}),
              "00000009 00000000");
    EXPECT_EQ(hex_of(by_unsigned{when<4000000000U, std::int64_t>{1}}),
              "ee6b2800 00000000 00000001");
    EXPECT_EQ(hex_of(by_bool{when<false>{}}), "00000000");
}

TEST(xdr_encode, optional_data_says_whether_it_is_there) {
    EXPECT_EQ(hex_of(std::optional<std::int32_t>{}), "00000000");
    EXPECT_EQ(hex_of(std::optional{5}), "00000001 00000005");
    EXPECT_EQ(hex_of(std::make_unique<std::int32_t>(5)), "00000001 00000005");
    EXPECT_EQ(hex_of(list<std::int32_t>{5, 6}), "00000001 00000005 00000001 00000006 00000000");
    EXPECT_EQ(hex_of(list<bool>{true}), "00000001 00000001 00000000");
    EXPECT_EQ(hex_of(nothing{}), "");
}

struct node {
    std::string item;
    std::unique_ptr<node> next;
};

// RFC 4506 section 4.19.
TEST(xdr_encode, a_list_has_the_bytes_of_a_struct_with_a_pointer_to_the_next) {
    std::unique_ptr<node> first;
    list<std::string> flat;
    for (const char* const each : {"c", "b", "a"}) {
        first = std::make_unique<node>(node{each, std::move(first)});
        flat.insert(flat.begin(), each);
    }
    EXPECT_EQ(hex_of(first), hex_of(flat));
}

enum class filekind { text = 0, data = 1, exec = 2 };
constexpr auto xdr_enumerators(filekind) {
    return std::array{filekind::text, filekind::data, filekind::exec};
}
using filetype = std::variant<when<filekind::text>, when<filekind::data, bounded<std::string, 255>>,
                              when<filekind::exec, bounded<std::string, 255>>>;
struct file {
    bounded<std::string, 255> filename;
    filetype type;
    bounded<std::string, 32> owner;
    bounded<std::vector<std::byte>, 65535> data;
};

// RFC 4506 section 7.
TEST(xdr_encode, the_example_of_the_rfc) {
    const file sillyprog{"sillyprog", when<filekind::exec, bounded<std::string, 255>>{"lisp"},
                         "john", from_hex("28717569 7429")};
    EXPECT_EQ(hex_of(sillyprog), "00000009 73696c6c 7970726f 67000000 00000002 00000004 6c697370 "
                                 "00000004 6a6f686e 00000006 28717569 74290000");
}

struct wide {
    int a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x;
};

TEST(xdr_encode, a_struct_may_have_24_members) {
    wide value{};
    value.x = 9;
    value.b = 1;
    const auto made = encode(value).value();
    ASSERT_EQ(made.size(), 96U);
    EXPECT_EQ(std::to_integer<int>(made[7]), 1);
    EXPECT_EQ(std::to_integer<int>(made[95]), 9);
    EXPECT_EQ(decode<wide>(made)->x, 9);
}

TEST(xdr_encode, what_is_longer_than_its_type_is_refused) {
    samples::texts value;
    value.name = std::string(10, 'x');
    EXPECT_EQ(refusal_of(value), (codec_error{fault::too_long, 16, 10, 9}));
    EXPECT_EQ(refusal_of(bounded<std::vector<std::int32_t>, 1>{1, 2}),
              (codec_error{fault::too_long, 0, 2, 1}));
}

TEST(xdr_encode, an_enum_that_is_none_of_its_values_is_refused) {
    EXPECT_EQ(refusal_of(std::array{colour::red, static_cast<colour>(3)}),
              (codec_error{fault::bad_enum, 4, 3}));
}

TEST(xdr_encode, the_default_arm_is_not_for_the_discriminant_of_another_one) {
    EXPECT_EQ(refusal_of(samples::by_int{otherwise<std::int32_t, std::vector<std::byte>>{2, {}}}),
              (codec_error{fault::bad_discriminant, 0, 2}));
}

TEST(xdr_encode, levels_within_each_other_end_at_a_limit) {
    std::unique_ptr<node> first;
    for (unsigned i = 0; i < max_depth; ++i) {
        first = std::make_unique<node>(node{"x", std::move(first)});
    }
    EXPECT_EQ(refusal_of(first), std::nullopt);
    first = std::make_unique<node>(node{"x", std::move(first)});
    const auto why = refusal_of(first);
    ASSERT_TRUE(why);
    EXPECT_EQ(why->what, fault::too_deep);
    EXPECT_EQ(why->at, max_depth * 12U);
}

TEST(xdr_encode, into_a_buffer_that_has_room_or_not_at_all) {
    std::array<std::byte, 8> buffer{};
    EXPECT_EQ(encode(std::int32_t{1}, buffer), 4U);
    EXPECT_EQ(encode(std::int64_t{-1}, std::span{buffer}.first(7)),
              tl::unexpected(codec_error{fault::no_room, 7, 7, 8}));
    EXPECT_EQ(buffer[3], std::byte{1});
    EXPECT_EQ(buffer[4], std::byte{0});
}

TEST(xdr_encode, appending_keeps_what_is_there_also_on_an_error) {
    std::vector<std::byte> to = from_hex("aa");
    EXPECT_TRUE(append(std::int32_t{1}, to));
    EXPECT_FALSE(append(bounded<std::string, 1>{"ab"}, to));
    EXPECT_EQ(to_hex(to), "aa000000 01");
}

} // namespace
} // namespace portico::xdr
