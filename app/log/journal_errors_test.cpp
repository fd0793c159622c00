#include "log/journal_errors.hpp"

#include <gtest/gtest.h>
#include <ostream>
#include <sstream>

namespace portico::app {
namespace {

TEST(prefixed_lines, begin_with_the_prefix_however_they_are_written) {
    std::stringbuf got;
    {
        prefixed_lines lines{got, "<3>"};
        std::ostream to{&lines};
        to << std::unitbuf << "one " << 1 << "\n\nthree\nfo";
        EXPECT_EQ(got.str(), "<3>one 1\n<3>\n<3>three\n<3>fo");
        to << std::nounitbuf << "ur";
    }
    EXPECT_EQ(got.str(), "<3>one 1\n<3>\n<3>three\n<3>four");
}

} // namespace
} // namespace portico::app
