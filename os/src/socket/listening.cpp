#include "portico/os/listening.hpp"

#include "socket/call.hpp"

#include <array>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace portico::os {

sys_result<bool> v6only(int s) noexcept {
    int on = 0;
    socklen_t size = sizeof on;
    if (::getsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &on, &size) < 0) {
        return failure(errno);
    }
    return on != 0;
}

sys_status make_ours(const fd& inherited) noexcept {
    const int flags = ::fcntl(inherited.raw(), F_GETFL);
    if (flags < 0 || ::fcntl(inherited.raw(), F_SETFL, flags | O_NONBLOCK) < 0) {
        return failure(errno);
    }
    return status_of(::fcntl(inherited.raw(), F_SETFD, FD_CLOEXEC));
}

sys_result<fd> dup(const fd& of) noexcept {
    constexpr int beyond_standard = 3;
    const int made = ::fcntl(of.raw(), F_DUPFD_CLOEXEC, beyond_standard);
    if (made < 0) {
        return tl::unexpected{std::error_code{errno, std::system_category()}};
    }
    return fd{made};
}

sys_status ignore_new_connections(const fd& listening) noexcept {
    constexpr std::uint32_t flags_at = 13; // RFC 9293 section 3.1
    constexpr std::uint8_t syn = 2;
    constexpr std::uint8_t ack = 16;
    std::array<sock_filter, 5> program{{
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, flags_at),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, syn | ack),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, syn, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
    }};
    const sock_fprog filter{program.size(), program.data()};
    if (::setsockopt(listening.raw(), SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) != 0) {
        return tl::unexpected{std::error_code{errno, std::system_category()}};
    }
    return {};
}

void answer_new_connections(const fd& listening) noexcept {
    const int none = 0;
    static_cast<void>(
        ::setsockopt(listening.raw(), SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof none));
}

sys_result<fd> spare_descriptor() noexcept {
    fd made{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (!made) {
        return failure(errno);
    }
    return made;
}

sys_result<file_facts> lstat(const std::string& path) noexcept {
    struct stat found {};
    if (::lstat(path.c_str(), &found) < 0) {
        return failure(errno);
    }
    return file_facts{
        {found.st_dev, found.st_ino}, S_ISSOCK(found.st_mode), found.st_mode & 07777U};
}

sys_status unlink(const std::string& path) noexcept {
    return status_of(::unlink(path.c_str()));
}

sys_status chmod(const std::string& path, unsigned mode) noexcept {
    return status_of(::chmod(path.c_str(), mode));
}

sys_status fchmod(const fd& s, unsigned mode) noexcept {
    return status_of(::fchmod(s.raw(), mode));
}

sys_result<fd> lock_directory_of(const std::string& path) noexcept {
    const auto slash = path.rfind('/');
    const std::string directory = slash == std::string::npos ? "."
                                  : slash == 0               ? "/"
                                                             : path.substr(0, slash);
    fd opened{::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!opened) {
        return failure(errno);
    }
    if (without_eintr([&] { return ::flock(opened.raw(), LOCK_EX | LOCK_NB); }) < 0) {
        return failure(errno);
    }
    return opened;
}

} // namespace portico::os
