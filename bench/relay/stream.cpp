#include "stream.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>

#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

namespace portico::bench::relay {

content::content() : bytes_(2 * period) {
    // splitmix64: the same in every process.
    std::uint64_t state = 0x706f727469636f;
    for (std::size_t i = 0; i < period; i += sizeof state) {
        state += 0x9e3779b97f4a7c15;
        auto mixed = state;
        mixed = (mixed ^ (mixed >> 30U)) * 0xbf58476d1ce4e5b9;
        mixed = (mixed ^ (mixed >> 27U)) * 0x94d049bb133111eb;
        mixed ^= mixed >> 31U;
        std::memcpy(&bytes_[i], &mixed, sizeof mixed);
    }
    std::copy_n(bytes_.begin(), period, bytes_.begin() + static_cast<std::ptrdiff_t>(period));
}

os::fd content::file() const {
    os::fd made{::memfd_create("content", MFD_CLOEXEC)};
    if (!made || ::write(made.raw(), bytes_.data(), period) != static_cast<ssize_t>(period)) {
        throw std::runtime_error{std::string{"a file in memory: "} + std::strerror(errno)};
    }
    return made;
}

went content_sender::send(int socket, std::uint64_t most) {
    auto from = static_cast<off_t>(at_ % content::period);
    const auto rest = content::period - static_cast<std::uint64_t>(from);
    const auto size = ::sendfile(socket, file_, &from, std::min(most, rest));
    if (size < 0) {
        return errno == EAGAIN || errno == EINTR ? went::waits : went::reset;
    }
    at_ += static_cast<std::uint64_t>(size);
    bytes_ += static_cast<std::uint64_t>(size);
    return went::on;
}

went content_reader::read(int socket, std::vector<std::byte>& into) {
    const bool compare = reads_ % every_ == 0;
    const auto room = std::min(into.size(), content::period);
    const auto size = ::recv(socket, into.data(), room, compare ? 0 : MSG_TRUNC);
    if (size < 0) {
        return errno == EAGAIN || errno == EINTR ? went::waits : went::reset;
    }
    if (size == 0) {
        return went::ended;
    }
    ++reads_;
    const auto count = static_cast<std::size_t>(size);
    if (compare) {
        return take(into.data(), count);
    }
    at_ += count;
    bytes_ += count;
    return went::on;
}

went content_reader::take(const std::byte* bytes, std::size_t size) {
    const bool same = std::memcmp(bytes, is_->at(at_), size) == 0;
    at_ += size;
    bytes_ += size;
    return same ? went::on : went::wrong;
}

} // namespace portico::bench::relay
