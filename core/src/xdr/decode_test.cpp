#include "portico/xdr/decode.hpp"

#include "portico/xdr/encode.hpp"
#include "xdr/hex.hpp"
#include "xdr/sample_types.hpp"

#include <gtest/gtest.h>

namespace portico::xdr {
namespace {

using samples::colour;

template <class T>
codec_error refusal_of(std::string_view hex) {
    const auto read = decode<T>(from_hex(hex));
    return read ? codec_error{fault{}, 999} : read.error();
}

TEST(xdr_decode, bytes_that_end_too_soon_are_cut_off_where_the_next_ones_are_missing) {
    EXPECT_EQ(refusal_of<std::int32_t>("0000"), (codec_error{fault::cut_off, 0, 2, 4}));
    EXPECT_EQ(refusal_of<samples::point>("00000001 3ff00000"),
              (codec_error{fault::cut_off, 0, 8, 12}));
    EXPECT_EQ(refusal_of<std::string>("00000005 68656c6c 6f"),
              (codec_error{fault::cut_off, 4, 5, 8}));
    EXPECT_EQ(refusal_of<list<bool>>("00000001 00000001"), (codec_error{fault::cut_off, 8, 0, 4}));
}

TEST(xdr_decode, bytes_after_the_value_are_refused) {
    EXPECT_EQ(refusal_of<std::int32_t>("00000001 00"), (codec_error{fault::trailing_bytes, 4, 1}));
}

TEST(xdr_decode, the_first_value_of_several_is_taken_from_the_front) {
    const auto bytes = from_hex("00000001 61000000 00000007");
    std::string text;
    EXPECT_EQ(decode_first(bytes, text), 8U);
    EXPECT_EQ(text, "a");
    std::int32_t number = 0;
    EXPECT_EQ(decode_first(std::span{bytes}.subspan(8), number), 4U);
    EXPECT_EQ(number, 7);
}

TEST(xdr_decode, padding_is_zero) {
    EXPECT_EQ(refusal_of<std::string>("00000001 61000200"),
              (codec_error{fault::bad_padding, 6, 2}));
    EXPECT_EQ(refusal_of<std::vector<std::byte>>("00000003 01020304"),
              (codec_error{fault::bad_padding, 7, 4}));
    using three = std::array<std::byte, 3>;
    EXPECT_EQ(refusal_of<three>("01020304"), (codec_error{fault::bad_padding, 3, 4}));
}

TEST(xdr_decode, a_bool_is_0_or_1) {
    EXPECT_EQ(refusal_of<bool>("00000002"), (codec_error{fault::bad_bool, 0, 2}));
    EXPECT_EQ(refusal_of<std::vector<bool>>("00000002 00000001 ffffffff"),
              (codec_error{fault::bad_bool, 8, 0xffffffff}));
    EXPECT_EQ(refusal_of<std::optional<std::int32_t>>("00000003 00000001"),
              (codec_error{fault::bad_bool, 0, 3}));
    EXPECT_EQ(refusal_of<list<std::int32_t>>("00000001 00000007 00000009"),
              (codec_error{fault::bad_bool, 8, 9}));
    EXPECT_EQ(refusal_of<std::unique_ptr<std::int32_t>>("00000100 00000001"),
              (codec_error{fault::bad_bool, 0, 256}));
}

TEST(xdr_decode, an_enum_is_one_of_its_values) {
    EXPECT_EQ(decode<colour>(from_hex("00000002")), colour::green);
    EXPECT_EQ(refusal_of<colour>("fffffffe"),
              (codec_error{fault::bad_enum, 0, static_cast<std::uint64_t>(-2)}));
}

enum class small : std::uint8_t { one = 1 };
constexpr auto xdr_enumerators(small) {
    return std::array{small::one};
}

TEST(xdr_decode, an_enum_of_one_byte_has_four) {
    EXPECT_EQ(decode<small>(from_hex("00000001")), small::one);
    EXPECT_EQ(refusal_of<small>("00000101"), (codec_error{fault::bad_enum, 0, 257}));
}

TEST(xdr_decode, a_union_has_an_arm_for_its_discriminant) {
    EXPECT_EQ(refusal_of<samples::by_unsigned>("00000001"),
              (codec_error{fault::bad_discriminant, 0, 1}));
    EXPECT_EQ(refusal_of<samples::by_enum>("00000007"), (codec_error{fault::bad_enum, 0, 7}));
    EXPECT_EQ(refusal_of<samples::by_bool>("00000002"), (codec_error{fault::bad_bool, 0, 2}));
    const auto other = decode<samples::by_int>(from_hex("00000063 00000000"));
    ASSERT_TRUE(other);
    EXPECT_EQ(std::get<3>(*other).discriminant, 99);
    EXPECT_EQ(std::get<2>(*decode<samples::by_int>(from_hex("00000002 00000005 00000000 00000000")))
                  .value.x,
              5);
}

TEST(xdr_decode, a_length_is_within_the_bounds_of_the_type) {
    using name = bounded<std::string, 3>;
    EXPECT_EQ(decode<name>(from_hex("00000003 61626300")), name{"abc"});
    EXPECT_EQ(refusal_of<name>("00000004 61626364"), (codec_error{fault::too_long, 0, 4, 3}));
    using few = bounded<std::vector<std::int32_t>, 1>;
    EXPECT_EQ(refusal_of<few>("00000002 00000000 00000000"),
              (codec_error{fault::too_long, 0, 2, 1}));
}

// Each of these would need gigabytes, if the length were believed.
TEST(xdr_decode, a_length_without_its_bytes_takes_no_memory) {
    EXPECT_EQ(refusal_of<std::string>("ffffffff 61"),
              (codec_error{fault::cut_off, 4, 1, 0x100000000}));
    EXPECT_EQ(refusal_of<std::vector<std::byte>>("fffffffc"),
              (codec_error{fault::cut_off, 4, 0, 0xfffffffc}));
    EXPECT_EQ(refusal_of<std::vector<samples::everything>>("ffffffff 00000000").what,
              fault::cut_off);
    EXPECT_EQ(refusal_of<std::vector<std::vector<std::string>>>("00000001 ffffffff 00000000"),
              (codec_error{fault::cut_off, 8, 4, 4 * 0xffffffffULL}));
}

struct nest {
    std::vector<nest> inner;
};

TEST(xdr_decode, levels_within_each_other_end_at_a_limit) {
    std::string hex;
    for (unsigned i = 0; i < max_depth - 1; ++i) {
        hex += "00000001";
    }
    EXPECT_TRUE(decode<nest>(from_hex(hex + "00000000")));
    EXPECT_EQ(refusal_of<nest>(hex + "00000001 00000000"),
              (codec_error{fault::too_deep, 4 * (max_depth + 1), max_depth + 1, max_depth}));
}

TEST(xdr_decode, a_list_may_be_longer_than_any_recursion) {
    std::vector<std::byte> bytes;
    for (int i = 0; i < 300'000; ++i) {
        ASSERT_TRUE(append(std::array{1, i}, bytes));
    }
    ASSERT_TRUE(append(false, bytes));
    const auto read = decode<list<std::int32_t>>(bytes);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->size(), 300'000U);
    EXPECT_EQ(read->back(), 299'999);
}

TEST(xdr_decode, memory_that_a_value_has_is_used_again) {
    std::vector<std::int32_t> into(100);
    const auto* const before = into.data();
    EXPECT_TRUE(decode(from_hex("00000002 00000007 00000008"), into));
    EXPECT_EQ(into, (std::vector{7, 8}));
    EXPECT_EQ(into.data(), before);
}

TEST(xdr_decode, what_was_in_a_value_before_is_gone) {
    auto into = std::make_tuple(std::optional{5}, list<std::int32_t>{1, 2});
    EXPECT_TRUE(decode(from_hex("00000000"), std::get<0>(into)));
    EXPECT_EQ(std::get<0>(into), std::nullopt);
    EXPECT_TRUE(decode(from_hex("00000000"), std::get<1>(into)));
    EXPECT_TRUE(std::get<1>(into).empty());
}

std::int32_t out_of_memory() {
    throw std::bad_alloc{};
}
struct hungry {
    std::int32_t number = out_of_memory();
};

TEST(xdr_decode, an_allocation_that_fails_is_an_error_and_no_exception) {
    std::unique_ptr<hungry> into;
    EXPECT_EQ(decode(from_hex("00000001 00000000"), into),
              tl::unexpected(codec_error{fault::no_memory, 4}));
}

samples::everything a_bit_of_everything() {
    samples::everything made;
    made.all_texts.name = "nine char";
    made.all_texts.some = from_hex("01020304 05");
    made.all_arrays.points = {{1, 2.0}, {3, 4.0}};
    made.all_arrays.words = {"one", "", "three"};
    made.all_arrays.flags = {true, false, true};
    made.all_unions.one = when<colour::green, bounded<std::string, 6>>{"green"};
    made.maybe = samples::point{5, 6.0};
    made.entries = {"first", "second"};
    made.root = std::make_unique<samples::tree>();
    made.root->right = std::make_unique<samples::tree>();
    return made;
}

TEST(xdr_decode, every_beginning_of_a_value_is_cut_off_and_never_something_else) {
    const auto bytes = encode(a_bit_of_everything()).value();
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        samples::everything into;
        const auto read = decode_first(std::span{bytes}.first(size), into);
        ASSERT_FALSE(read) << size;
        EXPECT_EQ(read.error().what, fault::cut_off) << size << to_text(read.error());
        EXPECT_GT(read.error().at + read.error().limit, size);
        EXPECT_LE(read.error().at + read.error().limit, bytes.size());
    }
}

// ---- before the program runs ----

constexpr auto point_bytes = [] {
    std::array<std::byte, 12> made{};
    if (encode(samples::point{-1, 1.0}, made) != made.size()) {
        throw 0;
    }
    return made;
}();
static_assert(point_bytes[0] == std::byte{0xff} && point_bytes[4] == std::byte{0x3f});
static_assert(decode<samples::point>(point_bytes).value().x == -1);
static_assert(decode<samples::point>(point_bytes).value().y == 1.0);
static_assert(decode<bool>(point_bytes).error() == codec_error{fault::bad_bool, 0, 0xffffffff});

#ifndef __clang__ // 14 cannot evaluate the containers of libstdc++ 12
constexpr bool a_vector_can_be_decoded_at_compile_time() {
    std::array<std::byte, 12> bytes{};
    const auto size = encode(std::vector<std::byte>(5, std::byte{7}), bytes);
    std::vector<std::byte> read;
    return size == 12U && decode(bytes, read) && read.size() == 5 && read[4] == std::byte{7};
}
static_assert(a_vector_can_be_decoded_at_compile_time());
#endif

} // namespace
} // namespace portico::xdr
