#include "host/pid_file.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace portico::app {
namespace {

std::string reason(int number) {
    return std::error_code{number, std::system_category()}.message();
}

std::string own_number() {
    return std::to_string(::getpid()) + '\n';
}

// At most some bytes: more is no number.
std::string text_in(const os::fd& file) {
    std::array<char, 64> room{};
    const auto size = ::pread(file.raw(), room.data(), room.size(), 0);
    return {room.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

// A file of a process, or one that was emptied.
bool is_number(std::string text) {
    if (text.ends_with('\n')) {
        text.pop_back();
    }
    return text.size() < 12 && text.find_first_not_of("0123456789") == std::string::npos;
}

bool is_same(const os::fd& file, const std::string& path) {
    struct stat here {};
    struct stat there {};
    return ::fstat(file.raw(), &here) == 0 && ::lstat(path.c_str(), &there) == 0 &&
           here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

// Locks the one that is there, and says why it cannot be had; it holds nothing when there is none,
// or another one in its place meanwhile.
tl::expected<os::fd, std::string> lock_present(const std::string& path) {
    os::fd file{::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)};
    if (!file) {
        if (errno == ENOENT) {
            return os::fd{};
        }
        return tl::unexpected{errno == ELOOP ? "it is a symbolic link" : reason(errno)};
    }
    struct stat facts {};
    const auto text = text_in(file);
    if (::fstat(file.raw(), &facts) != 0 || !S_ISREG(facts.st_mode) || !is_number(text)) {
        return tl::unexpected{std::string{"it is there, and is no file with a process number; name "
                                          "another one, or remove it"}};
    }
    if (::flock(file.raw(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) {
            return tl::unexpected{"lock: " + reason(errno)};
        }
        return tl::unexpected{"process " + text.substr(0, text.find('\n')) +
                              " runs with it; end that one, or name another file"};
    }
    return is_same(file, path) ? std::move(file) : os::fd{};
}

// A new one, locked, with our number, under another name.
tl::expected<os::fd, std::string> make(const std::string& name) {
    ::unlink(name.c_str()); // of a process of our number that was killed here
    os::fd file{::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644)};
    if (!file) {
        return tl::unexpected{reason(errno)};
    }
    const auto text = own_number();
    errno = ENOSPC;
    if (::flock(file.raw(), LOCK_EX | LOCK_NB) != 0 ||
        ::write(file.raw(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
        const auto why = reason(errno);
        ::unlink(name.c_str());
        return tl::unexpected{why};
    }
    return file;
}

} // namespace

tl::expected<pid_file, std::string> pid_file::take(const std::string& wanted) {
    std::error_code wrong;
    const auto path = std::filesystem::absolute(wanted, wrong).lexically_normal().string();
    const auto fail = [&](const std::string& why) {
        return tl::unexpected{"the pid file " + path + ": " + why};
    };
    const auto name = path + '.' + std::to_string(::getpid());
    constexpr int rounds = 100; // somebody else may come and go as often as that
    for (int round = 0; round < rounds; ++round) {
        auto before = lock_present(path);
        if (!before) {
            return fail(before.error());
        }
        auto made = make(name);
        if (!made) {
            return fail(made.error());
        }
        // Nobody has one that is locked here, so it may be replaced; else there must be none.
        const bool done = *before ? ::rename(name.c_str(), path.c_str()) == 0
                                  : ::link(name.c_str(), path.c_str()) == 0;
        const int why = errno;
        if (!done || !*before) {
            ::unlink(name.c_str());
        }
        if (done) {
            return pid_file{*std::move(made), path, true};
        }
        if (why != EEXIST) {
            return fail(reason(why));
        }
    }
    return fail("others take it again and again");
}

std::optional<pid_file> pid_file::among(std::vector<carried_thing>& carried) {
    for (auto& each : carried) {
        if (each.name == carried_pid_file && each.descriptor) {
            return pid_file{std::move(each.descriptor), each.text, false};
        }
    }
    return std::nullopt;
}

pid_file::~pid_file() {
    if (file_ && is_ours_ && is_same(file_, path_) && ::unlink(path_.c_str()) != 0) {
        static_cast<void>(!::ftruncate(file_.raw(), 0));
    }
}

void pid_file::add_to(std::vector<carried_thing>& carried) const {
    if (auto copy = file_ ? os::dup(file_) : os::sys_result<os::fd>{os::fd{}}; copy && *copy) {
        carried.push_back({std::string{carried_pid_file}, path_, *std::move(copy)});
    }
}

// The first line is a whole number at every moment.
void pid_file::write() {
    is_ours_ = true;
    const auto text = own_number();
    if (::pwrite(file_.raw(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size())) {
        static_cast<void>(!::ftruncate(file_.raw(), static_cast<off_t>(text.size())));
    }
}

} // namespace portico::app
