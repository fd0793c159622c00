#include "config/config.hpp"

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

namespace portico::app {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class config_files : public testing::Test {
protected:
    config_files() {
        std::string pattern = testing::TempDir() + "config.XXXXXX";
        if (::mkdtemp(pattern.data()) != nullptr) {
            directory = pattern;
        }
    }
    ~config_files() override { std::filesystem::remove_all(directory); }
    config_files(const config_files&) = delete;
    config_files& operator=(const config_files&) = delete;

    std::string write(const std::string& name, const std::string& text) {
        const auto path = directory / name;
        std::filesystem::create_directories(path.parent_path());
        std::ofstream{path, std::ios::binary} << text;
        return path.string();
    }

    // What is wrong, without the directory.
    std::string faults(const std::string& path) {
        const auto read = read_config(path);
        auto text = read ? "" : to_text(read.error());
        const auto prefix = directory.string() + '/';
        for (auto at = text.find(prefix); at != std::string::npos; at = text.find(prefix)) {
            text.erase(at, prefix.size());
        }
        return text;
    }

    std::filesystem::path directory;
};

std::string service(const std::string& name, int port) {
    return "[service." + name + "]\nlisten = ':" + std::to_string(port) + "'\nbuiltin = 'echo'\n";
}

TEST_F(config_files, conf_d_is_read_by_name_behind_the_file) {
    const auto main = write("portico.toml", service("z", 1));
    const auto b = write("conf.d/b.toml", service("b", 2));
    const auto a = write("conf.d/a.toml", service("a", 3));
    write("conf.d/c.toml~", "nonsense");
    write("conf.d/.d.toml", "nonsense");
    write("conf.d/README", "nonsense");
    const auto read = read_config(main);
    ASSERT_TRUE(read) << to_text(read.error());
    EXPECT_THAT(read->files, ElementsAre(main, a, b));
    EXPECT_EQ(read->services[1].name, "a");
    EXPECT_EQ(read->services[2].where.file, b);
}

TEST_F(config_files, a_file_may_be_named_without_a_directory) {
    write("portico.toml", "");
    write("conf.d/a.toml", service("a", 3));
    const auto before = std::filesystem::current_path();
    std::filesystem::current_path(directory);
    const auto read = read_config("portico.toml");
    std::filesystem::current_path(before);
    ASSERT_TRUE(read) << to_text(read.error());
    EXPECT_THAT(read->files, ElementsAre("portico.toml", "conf.d/a.toml"));
}

TEST_F(config_files, a_file_that_is_missing_is_told_of_beside_other_mistakes) {
    write("conf.d/a.toml", service("a", 3) + "nagel = true\n");
    EXPECT_EQ(faults((directory / "portico.toml").string()),
              "portico.toml: this cannot be read: No such file or directory\n"
              "    the name of the file may be wrong, or a link that leads nowhere\n"
              "conf.d/a.toml:4:1: unknown key 'nagel'; did you mean 'nagle'?\n");
}

TEST_F(config_files, what_is_no_regular_file_is_not_waited_for) {
    const auto main = write("portico.toml", service("z", 1));
    const auto fifo = (directory / "fifo").string();
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    EXPECT_EQ(faults(fifo), "fifo: this cannot be read: it is not a regular file\n");
    EXPECT_EQ(
        faults(directory.string()),
        directory.string() +
            ": this cannot be read: it is a directory\n    give the file in it: portico.toml\n");
    EXPECT_THAT(faults("/dev/zero"), HasSubstr("it is not a regular file"));
    std::filesystem::create_directories(directory / "conf.d" / "x.toml");
    EXPECT_THAT(faults(main), HasSubstr("conf.d/x.toml: this cannot be read: it is a directory\n"
                                        "    what ends with .toml in conf.d is read: call the "
                                        "directory otherwise\n"));
}

TEST_F(config_files, conf_d_may_not_be_a_file) {
    const auto main = write("portico.toml", service("z", 1));
    write("conf.d", "");
    EXPECT_EQ(faults(main), "conf.d: this cannot be read: Not a directory\n");
}

TEST_F(config_files, a_file_has_at_most_a_mebibyte) {
    const auto text = service("z", 1) + '#';
    const auto fits = write("fits.toml", text + std::string((1U << 20) - text.size(), 'x'));
    EXPECT_EQ(faults(fits), "");
    const auto large = write("large.toml", text + std::string((1U << 20) - text.size() + 1, 'x'));
    EXPECT_EQ(faults(large), "large.toml: this cannot be read: it is larger than 1 MiB\n"
                             "    put some of it into files in conf.d\n");
}

TEST_F(config_files, a_file_that_this_user_may_not_read_is_told_of) {
    const auto main = write("portico.toml", service("z", 1));
    ASSERT_EQ(::chmod(main.c_str(), 0), 0);
    constexpr uid_t nobody = 65534;
    const auto before = static_cast<uid_t>(::geteuid());
    if (before == 0) {
        std::filesystem::permissions(directory, std::filesystem::perms::all);
        ::setfsuid(nobody); // of this thread, and without the rights of root in file systems
    }
    const auto said = faults(main);
    ::setfsuid(before);
    EXPECT_EQ(said, "portico.toml: this cannot be read: Permission denied\n"
                    "    it has to be readable for the user that starts portico, and so do the "
                    "directories above it\n");
}

} // namespace
} // namespace portico::app
