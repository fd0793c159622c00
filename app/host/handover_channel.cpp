// What is said between the two processes.

#include "host/handover.hpp"

#include <array>
#include <cerrno>

namespace portico::app {

handover_channel::handover_channel(boost::asio::io_context& context, os::fd socket,
                                   std::function<void(const std::string&)> heard)
    : socket_{std::move(socket)}, watch_{context}, heard_{std::move(heard)} {
    boost::system::error_code wrong; // shows when it is waited for
    watch_.assign(socket_.raw(), wrong);
}

handover_channel::~handover_channel() {
    if (watch_.is_open()) {
        watch_.release(); // it is socket_'s
    }
}

void handover_channel::say(std::string_view text) {
    static_cast<void>(os::send_descriptors(socket_.raw(), std::as_bytes(std::span{text}), {}));
}

void handover_channel::listen() {
    wait();
}

void handover_channel::wait() {
    watch_.async_wait(watch_.wait_read, [this, alive = std::weak_ptr{alive_}](auto wrong) {
        if (alive.expired()) {
            return;
        }
        std::array<std::byte, 4096> room;
        if (wrong) {
            return heard_({});
        }
        const auto got = os::receive_descriptors(socket_.raw(), room, 0);
        if (!got && got.error().value() == EAGAIN) {
            return wait();
        }
        if (!got || got->size == 0) {
            return heard_({});
        }
        heard_({reinterpret_cast<const char*>(room.data()), got->size});
        if (!alive.expired()) {
            wait();
        }
    });
}

} // namespace portico::app
