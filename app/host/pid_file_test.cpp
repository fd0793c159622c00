#include "host/pid_file.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace portico::app {
namespace {

using testing::HasSubstr;

class pid_file_test : public testing::Test {
protected:
    pid_file_test() {
        std::string name = (std::filesystem::temp_directory_path() / "portico-pid.XXXXXX").string();
        if (::mkdtemp(name.data()) != nullptr) {
            directory_ = name;
        }
    }
    ~pid_file_test() override { std::filesystem::remove_all(directory_); }

    [[nodiscard]] std::string path() const { return directory_ / "portico.pid"; }
    [[nodiscard]] std::string text() const {
        std::ifstream from{path()};
        return {std::istreambuf_iterator<char>{from}, {}};
    }
    void write(const std::string& what) const { std::ofstream{path()} << what; }
    static std::string number() { return std::to_string(::getpid()) + '\n'; }
    [[nodiscard]] std::size_t files() const {
        const std::filesystem::directory_iterator all{directory_};
        return static_cast<std::size_t>(std::distance(begin(all), end(all)));
    }

    std::filesystem::path directory_;
};

TEST_F(pid_file_test, has_the_number_until_it_ends) {
    {
        const auto made = pid_file::take(path());
        ASSERT_TRUE(made) << made.error();
        EXPECT_EQ(text(), number());
        EXPECT_EQ(files(), 1U);
    }
    EXPECT_EQ(files(), 0U);
}

TEST_F(pid_file_test, belongs_to_one_at_a_time) {
    const auto first = pid_file::take(path());
    ASSERT_TRUE(first);
    const auto second = pid_file::take(path());
    ASSERT_FALSE(second);
    EXPECT_THAT(second.error(),
                HasSubstr(path() + ": process " + std::to_string(::getpid()) + " runs with it"));
    EXPECT_EQ(text(), number()) << "it is as it was";
}

TEST_F(pid_file_test, of_a_process_that_is_gone_is_replaced) {
    for (const std::string before : {"4194303\n", "1", ""}) {
        write(before);
        const auto made = pid_file::take(path());
        ASSERT_TRUE(made) << made.error();
        EXPECT_EQ(text(), number());
    }
}

TEST_F(pid_file_test, is_not_made_of_another_file) {
    for (const std::string before : {"root:x:0:0\n", "12 34\n", "123456789012345\n"}) {
        write(before);
        const auto made = pid_file::take(path());
        ASSERT_FALSE(made);
        EXPECT_THAT(made.error(), HasSubstr("is no file with a process number"));
        EXPECT_EQ(text(), before);
    }
    std::filesystem::remove(path());
    std::filesystem::create_symlink("/etc/passwd", path());
    EXPECT_THAT(pid_file::take(path()).error(), HasSubstr("symbolic link"));
    EXPECT_THAT(pid_file::take(directory_ / "none" / "p").error(), HasSubstr("No such file"));
}

TEST_F(pid_file_test, goes_on_in_the_next_process_under_its_lock) {
    std::vector<carried_thing> besides;
    {
        auto old = pid_file::take(path());
        ASSERT_TRUE(old);
        old->add_to(besides);
        ASSERT_EQ(besides.size(), 1U);
        EXPECT_EQ(besides[0].text, path());
        { const auto given_up = pid_file::among(besides); } // the next one failed
        EXPECT_EQ(text(), number());
        besides.clear();
        old->add_to(besides);
        old->let_go();
    }
    EXPECT_EQ(text(), number()) << "the next one has it";
    EXPECT_FALSE(pid_file::take(path())) << "still locked";
    {
        auto next = pid_file::among(besides);
        ASSERT_TRUE(next);
        next->write();
    }
    EXPECT_EQ(files(), 0U);
}

TEST_F(pid_file_test, leaves_a_file_alone_that_is_not_its_own) {
    {
        const auto made = pid_file::take(path());
        ASSERT_TRUE(made);
        std::filesystem::remove(path());
        write("somebody else's");
    }
    EXPECT_EQ(text(), "somebody else's");
}

} // namespace
} // namespace portico::app
