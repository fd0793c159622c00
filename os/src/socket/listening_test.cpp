#include "portico/os/listening.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

namespace portico::os {
namespace {

struct directory {
    directory() {
        char text[] = "/tmp/portico-os-XXXXXX";
        path = ::mkdtemp(text);
    }
    directory(const directory&) = delete;
    directory& operator=(const directory&) = delete;
    ~directory() {
        ::unlink((path + "/x").c_str());
        ::rmdir(path.c_str());
    }
    std::string path;
};

TEST(listening, a_path_is_what_it_leads_to_and_not_what_a_link_points_at) {
    const directory in;
    const std::string file = in.path + "/x";
    EXPECT_EQ(os::lstat(file).error().value(), ENOENT);
    ASSERT_EQ(::symlink("/nowhere", file.c_str()), 0);
    const auto link = os::lstat(file);
    ASSERT_TRUE(link);
    EXPECT_FALSE(link->is_socket);
    ASSERT_TRUE(os::unlink(file));

    const auto name = ip::unix_name::path(file);
    ASSERT_TRUE(name);
    const auto bound = os::socket(*name, ip::transport::tcp);
    ASSERT_TRUE(bound && os::bind(*bound, *name));
    const auto made = os::lstat(file);
    ASSERT_TRUE(made && made->is_socket);
    ASSERT_TRUE(os::chmod(file, 0640));
    EXPECT_EQ(os::lstat(file)->mode, 0640U);
    EXPECT_EQ(os::lstat(file)->which, made->which);
}

TEST(listening, a_directory_is_locked_against_everybody_else_until_the_descriptor_is_closed) {
    const directory in;
    auto first = os::lock_directory_of(in.path + "/x");
    ASSERT_TRUE(first);
    const auto second = os::lock_directory_of(in.path + "/y");
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().value(), EWOULDBLOCK);
    first->reset();
    EXPECT_TRUE(os::lock_directory_of(in.path + "/y"));
    EXPECT_TRUE(os::lock_directory_of("/x"));
    EXPECT_TRUE(os::lock_directory_of("x"));
    EXPECT_EQ(os::lock_directory_of(in.path + "/no/x").error().value(), ENOENT);
}

TEST(listening, v6only_is_read_as_it_was_set) {
    const auto made =
        os::socket(ip::endpoint{ip::address::any(ip::family::v6), 0}, ip::transport::tcp);
    if (!made) {
        GTEST_SKIP() << "no IPv6 in this kernel";
    }
    for (const bool on : {true, false}) {
        ASSERT_TRUE(os::set_v6only(*made, on));
        EXPECT_EQ(os::v6only(made->raw()).value(), on);
    }
    EXPECT_FALSE(os::v6only(-1));
}

TEST(listening, an_inherited_descriptor_becomes_non_blocking_and_close_on_exec) {
    const fd given{::open("/dev/null", O_RDWR)};
    ASSERT_TRUE(os::make_ours(given));
    EXPECT_NE(::fcntl(given.raw(), F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(::fcntl(given.raw(), F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_EQ(os::make_ours(fd{}).error().value(), EBADF);
}

TEST(listening, a_spare_descriptor_is_an_open_one) {
    const auto spare = os::spare_descriptor();
    ASSERT_TRUE(spare);
    EXPECT_GE(spare->raw(), 0);
}

} // namespace
} // namespace portico::os
