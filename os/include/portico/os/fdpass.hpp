// Descriptors given to another process over a UNIX socket (SCM_RIGHTS of unix(7)).
//
// The sockets are SOCK_SEQPACKET. A message arrives whole or not at all, with exactly the
// descriptors that were sent with it, and the end of the connection is seen; of a SOCK_STREAM one
// the bytes would come in pieces, and which of them a descriptor belongs to would need a framing.
// Who is at the other end: peer_credentials() in spawn.hpp. The sockets bind, listen, accept and
// connect with the functions of socket.hpp.
#pragma once

#include "portico/os/socket.hpp"

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace portico::os {

// How many descriptors one message can carry (SCM_MAX_FD of the kernel). Who has more sends several
// messages, and says in their bytes that there are more: so each call is one sendmsg(2), and EAGAIN
// never comes half-way.
constexpr std::size_t most_passed = 253;

// Two connected sockets, non-blocking and close-on-exec: one to keep, one for a child.
[[nodiscard]] sys_result<std::pair<fd, fd>> passing_pair() noexcept;
// A socket to bind or connect, non-blocking and close-on-exec.
[[nodiscard]] sys_result<fd> passing_socket() noexcept;

// sendmsg(2), never raising SIGPIPE. The descriptors stay open here as well. The number of bytes
// sent, which is all of them for SOCK_SEQPACKET.
//
// EINVAL: no bytes, which the receiver would take for the end, or more than most_passed
// descriptors. EBADF: one of them is not open. EAGAIN: the receiver has too much to read, or its
// queue is full; wait for writability. EMSGSIZE: more bytes than the socket's buffer (SO_SNDBUF,
// usually 200 KiB). ETOOMANYREFS: descriptors that this user has sent and nobody has received are
// more than RLIMIT_NOFILE.
[[nodiscard]] sys_result<std::size_t> send_descriptors(int s, std::span<const std::byte> bytes,
                                                       std::span<const int> descriptors) noexcept;

// One message with the descriptors that came with it.
struct passed_message {
    std::size_t size = 0;        // bytes in the buffer; 0 is the end of the connection
    std::vector<fd> descriptors; // close-on-exec, in the order in which they were sent
    std::size_t surplus = 0;     // how many more than `most` there were; they are closed
};

// recvmsg(2) with MSG_CMSG_CLOEXEC. Whatever is not in the message that is returned is closed, and
// after an error nothing is left open.
//
// EAGAIN: there is none; wait for readability. EMSGSIZE: it is larger than the buffer, and lost.
// EMFILE: there were not enough free descriptors for it (RLIMIT_NOFILE), or ENFILE of the whole
// system; EACCES: a security module kept one of them back. It is lost in these cases, too.
//
// Memory: allocates for min(most, most_passed) descriptors before anything is received.
[[nodiscard]] sys_result<passed_message> receive_descriptors(int s, std::span<std::byte> into,
                                                             std::size_t most);

} // namespace portico::os
