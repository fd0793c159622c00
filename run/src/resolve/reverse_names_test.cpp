#include "portico/run/reverse_names.hpp"

#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>
#include <vector>

namespace portico::run {
namespace {

// Nothing is answered while the context does not run.
class reverse_names_unanswered : public testing::Test {
protected:
    static reverse_settings few() {
        reverse_settings how;
        how.at_once = 0;
        how.waiting = 2;
        how.callers = 3;
        return how;
    }
    void tell(std::uint8_t last) {
        names_.tell(ip::address::v4({192, 0, 2, last}),
                    [this](const std::string& name) { told_.push_back(name); });
    }

    asio::io_context context_;
    reverse_names names_{context_.get_executor(), few()};
    std::vector<std::string> told_;
};

TEST_F(reverse_names_unanswered, who_waits_for_one_address_is_counted_and_bounded) {
    for (int i = 0; i < 3; ++i) {
        tell(1);
    }
    EXPECT_EQ(told_.size(), 0U) << "there was room";
    EXPECT_EQ(names_.turned_away(), 0U);
    tell(1);
    tell(2);
    EXPECT_EQ(told_, (std::vector<std::string>{"", ""})) << "at once, and without a name";
    EXPECT_EQ(names_.turned_away(), 2U);
    names_.stop();
    EXPECT_EQ(told_.size(), 5U) << "each once";
}

TEST_F(reverse_names_unanswered, an_address_that_there_is_no_room_for_is_counted) {
    tell(1);
    tell(2);
    tell(3);
    EXPECT_EQ(told_.size(), 1U);
    EXPECT_EQ(names_.turned_away(), 1U);
}

} // namespace
} // namespace portico::run
