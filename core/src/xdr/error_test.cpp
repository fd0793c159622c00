#include "portico/xdr/error.hpp"

#include <gtest/gtest.h>
#include <set>

namespace portico::xdr {
namespace {

TEST(xdr_error, says_where_and_what) {
    EXPECT_EQ(to_text(codec_error{fault::cut_off, 8, 3, 12}),
              "at byte 8: 12 bytes are needed, and 3 are there");
    EXPECT_EQ(to_text(codec_error{fault::trailing_bytes, 4, 2}),
              "at byte 4: the value ends here, and 2 bytes follow");
    EXPECT_EQ(to_text(codec_error{fault::bad_padding, 7, 1}),
              "at byte 7: a byte of padding is 1, and not zero");
    EXPECT_EQ(to_text(codec_error{fault::bad_bool, 0, 2}),
              "at byte 0: a bool is 2, and neither 0 nor 1");
    EXPECT_EQ(to_text(codec_error{fault::bad_enum, 0, static_cast<std::uint64_t>(-2)}),
              "at byte 0: an enum is -2, which is none of its values");
    EXPECT_EQ(to_text(codec_error{fault::bad_discriminant, 0, 4000000000U}),
              "at byte 0: no arm of the union is for the discriminant 4000000000");
    EXPECT_EQ(to_text(codec_error{fault::too_long, 0, 300, 255}),
              "at byte 0: the length is 300, and at most 255 is allowed");
    EXPECT_EQ(to_text(codec_error{fault::too_deep, 4, 129, 128}),
              "at byte 4: more than 128 levels within each other");
    EXPECT_EQ(to_text(codec_error{fault::no_room, 4, 4, 8}),
              "at byte 4: 8 bytes are needed, and the buffer has 4");
    EXPECT_EQ(to_text(codec_error{fault::no_memory, 4}),
              "at byte 4: there is no memory for the value");
}

TEST(xdr_error, every_fault_has_a_name_and_a_text_of_its_own) {
    std::set<std::string_view> names;
    std::set<std::string> texts;
    for (std::size_t i = 0; i < faults; ++i) {
        const auto what = static_cast<fault>(i);
        names.insert(to_text(what));
        texts.insert(to_text(codec_error{what}));
    }
    EXPECT_EQ(names.size(), faults);
    EXPECT_EQ(texts.size(), faults);
    EXPECT_FALSE(names.contains(""));
}

} // namespace
} // namespace portico::xdr
