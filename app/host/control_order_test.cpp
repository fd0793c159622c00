#include "host/control_service.hpp"

#include <gtest/gtest.h>

namespace portico::app {
namespace {

using kind = control_order::kind;

TEST(control_order, reads_back_what_it_writes) {
    for (const control_order& each : {control_order{}, control_order{kind::handover, ""},
                                      control_order{kind::handover, "/usr/bin/portico"},
                                      control_order{kind::handover, "/with a space"}}) {
        EXPECT_EQ(parse_order(to_text(each)), each) << to_text(each);
    }
}

TEST(control_order, what_is_no_order_is_not_obeyed) {
    using namespace std::literals;
    for (const auto& each : {""sv, "reload "sv, "Reload"sv, "reload now"sv, "handover "sv,
                             "handover portico"sv, "handoverx"sv, "handover /a\0b"sv, "stop"sv}) {
        EXPECT_FALSE(parse_order(each)) << each;
    }
}

} // namespace
} // namespace portico::app
