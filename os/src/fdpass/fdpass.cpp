#include "portico/os/fdpass.hpp"

#include "socket/call.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace portico::os {
namespace {

constexpr int kind = SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC;

// Besides the descriptors, what a socket option may add to each message: credentials, a label.
constexpr std::size_t room_for_others = 4096;

template <std::size_t Size>
struct alignas(cmsghdr) control_bytes {
    std::array<std::byte, Size> bytes;
};

// Calls `see(number)` for each descriptor that is in the message.
template <class See>
void each_descriptor(msghdr& message, See see) {
    for (auto* part = CMSG_FIRSTHDR(&message); part != nullptr;
         part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        const auto count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int number = -1;
            std::memcpy(&number, CMSG_DATA(part) + i * sizeof number, sizeof number);
            see(number);
        }
    }
}

// The kernel does not say why it left descriptors out. There was room for all that a message can
// carry, so it was the first reason that another descriptor cannot be had either, or none.
int why_left_out(int s) noexcept {
    const fd another{::fcntl(s, F_DUPFD_CLOEXEC, 0)};
    return another ? EACCES : errno;
}

} // namespace

sys_result<std::pair<fd, fd>> passing_pair() noexcept {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, kind, 0, ends.data()) != 0) {
        return failure(errno);
    }
    return std::pair{fd{ends[0]}, fd{ends[1]}};
}

sys_result<fd> passing_socket() noexcept {
    fd made{::socket(AF_UNIX, kind, 0)};
    if (!made) {
        return failure(errno);
    }
    return made;
}

sys_result<std::size_t> send_descriptors(int s, std::span<const std::byte> bytes,
                                         std::span<const int> descriptors) noexcept {
    if (bytes.empty() || descriptors.size() > most_passed) {
        return failure(EINVAL);
    }
    iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()}; // it is only read
    control_bytes<CMSG_SPACE(most_passed * sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (!descriptors.empty()) {
        message.msg_control = control.bytes.data();
        message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
        auto* head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(descriptors.size_bytes());
        std::memcpy(CMSG_DATA(head), descriptors.data(), descriptors.size_bytes());
    }
    return size_of(without_eintr([&] { return ::sendmsg(s, &message, MSG_NOSIGNAL); }));
}

sys_result<passed_message> receive_descriptors(int s, std::span<std::byte> into, std::size_t most) {
    passed_message got;
    most = std::min(most, most_passed);
    got.descriptors.reserve(most);

    iovec part{into.data(), into.size()};
    control_bytes<CMSG_SPACE(most_passed * sizeof(int)) + room_for_others> control;
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes.data();
    message.msg_controllen = control.bytes.size();
    const auto size =
        size_of(without_eintr([&] { return ::recvmsg(s, &message, MSG_CMSG_CLOEXEC); }));
    if (!size) {
        return tl::unexpected{size.error()};
    }
    got.size = *size;
    std::vector<fd>& kept = got.descriptors;
    // Asked while all that have come are still open, as they were for the kernel.
    const int why = (message.msg_flags & MSG_CTRUNC) != 0 ? why_left_out(s) : 0;
    each_descriptor(message, [&](int number) {
        fd owned{number};
        if (kept.size() < most) {
            kept.push_back(std::move(owned));
        } else {
            ++got.surplus;
        }
    });
    if (why != 0) {
        return failure(why);
    }
    if ((message.msg_flags & MSG_TRUNC) != 0) {
        return failure(EMSGSIZE);
    }
    return got;
}

} // namespace portico::os
