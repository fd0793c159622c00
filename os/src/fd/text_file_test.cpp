#include "fd/text_file.hpp"

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <unistd.h>

namespace portico::os {
namespace {

TEST(text_file, all_of_it_is_read_or_nothing) {
    char path[] = "/tmp/portico-os-XXXXXX";
    const fd made{::mkstemp(path)};
    ASSERT_TRUE(made);
    EXPECT_EQ(read_text(path).value(), "");
    const std::string text(10'000, 'x');
    std::ofstream{path} << text;
    EXPECT_EQ(read_text(path).value(), text);
    EXPECT_EQ(read_text(path, 10'000).value(), text);
    EXPECT_EQ(read_text(path, 9'999).error().value(), EFBIG);
    ::unlink(path);
    EXPECT_EQ(read_text(path).error().value(), ENOENT);
    EXPECT_EQ(read_text("/tmp").error().value(), EISDIR);
}

} // namespace
} // namespace portico::os
