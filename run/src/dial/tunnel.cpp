#include "dial/tunnel.hpp"

#include "portico/os/clock.hpp"
#include "portico/os/socket.hpp"

#include <boost/asio/post.hpp>

#include <array>
#include <cerrno>

namespace portico::run {

tunnel::tunnel(const asio::any_io_executor& executor, os::fd socket, wire::proxy_client client,
               std::function<void(tunnel_outcome)> done)
    : executor_{executor}, socket_{std::move(socket)}, client_{std::move(client)},
      done_{std::move(done)}, watch_{executor}, timer_{executor} {}

void tunnel::start(deadline until) {
    boost::system::error_code wrong;
    watch_.assign(socket_.raw(), wrong);
    if (!until.is_never()) {
        timer_.expires_after(until.remaining(os::now()));
        timer_.async_wait([self = shared_from_this()](boost::system::error_code cancelled) {
            if (!cancelled) {
                self->fail(std::make_error_code(std::errc::timed_out),
                           "the proxy did not answer in time; is there one of this protocol?");
            }
        });
    }
    asio::post(executor_, [self = shared_from_this()] { self->go_on(); });
}

void tunnel::go_on() {
    while (done_) {
        if (const auto& failed = client_.failure()) {
            return finish(*failed);
        }
        if (client_.is_done()) {
            return finish(std::nullopt);
        }
        if (client_.poll_output().empty() ? !receive() : !send()) {
            return;
        }
    }
}

// False when there is nothing more to do now.
bool tunnel::send() {
    const auto sent = os::send(socket_.raw(), client_.poll_output());
    if (sent) {
        client_.handle_sent(*sent);
        return true;
    }
    if (sent.error().value() == EAGAIN) {
        await(watch_.wait_write);
    } else {
        fail(sent.error(), "the connection to the proxy broke: " + sent.error().message());
    }
    return false;
}

bool tunnel::receive() {
    std::array<std::byte, 4096> bytes;
    const auto size = os::recv(socket_.raw(), bytes);
    if (!size && size.error().value() == EAGAIN) {
        await(watch_.wait_read);
        return false;
    }
    if (!size) {
        fail(size.error(), "the connection to the proxy broke: " + size.error().message());
        return false;
    }
    if (*size == 0) {
        client_.handle_eof();
        return true;
    }
    const auto all = std::span{bytes}.first(*size);
    const auto taken = client_.handle_bytes(all);
    early_.insert(early_.end(), all.begin() + static_cast<std::ptrdiff_t>(taken), all.end());
    return true;
}

void tunnel::await(asio::posix::stream_descriptor::wait_type what) {
    watch_.async_wait(what, [self = shared_from_this()](boost::system::error_code wrong) {
        if (!wrong) {
            self->go_on();
        }
    });
}

void tunnel::fail(std::error_code why, std::string text) {
    finish(wire::proxy_failure{error{why, operation::proxy, side::peer, {}}, std::move(text)});
}

void tunnel::finish(std::optional<wire::proxy_failure> failure) {
    if (!done_) {
        return;
    }
    let_go();
    tunnel_outcome outcome{std::move(socket_), std::move(early_), std::move(failure)};
    if (outcome.failure) {
        outcome.socket.reset();
    }
    std::exchange(done_, nullptr)(std::move(outcome));
}

void tunnel::cancel() {
    fail(std::make_error_code(std::errc::operation_canceled), "it was cancelled");
}

// The descriptor is closed by socket_, or passed on.
void tunnel::let_go() {
    timer_.cancel();
    if (watch_.is_open()) {
        (void)watch_.release();
    }
}

} // namespace portico::run
