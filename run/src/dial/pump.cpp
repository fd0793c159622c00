#include "portico/run/pump.hpp"

#include "portico/base/deadline.hpp"

#include "portico/os/clock.hpp"
#include "portico/os/socket.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <poll.h>
#include <span>
#include <unistd.h>

namespace portico::run {
namespace {

// What UDP over IPv4 carries: 65,535 bytes of packet without both headers (RFC 768, RFC 791).
constexpr std::size_t largest_datagram = 65'507;

// How much of what is not answered yet is kept for another address.
constexpr std::size_t most_unanswered = 64 * 1024;

// Bytes on their way in one direction: read only when all were written, so that a slow writer holds
// the reader back. 64 KiB is also the largest datagram.
class queue {
public:
    [[nodiscard]] bool empty() const noexcept { return begin_ == end_; }
    [[nodiscard]] std::span<std::byte> room() noexcept { return room_; }
    [[nodiscard]] std::span<const std::byte> bytes() const noexcept {
        return std::span{room_}.subspan(begin_, end_ - begin_);
    }
    void fill(std::size_t count) noexcept {
        begin_ = 0;
        end_ = count;
    }
    void take(std::size_t count) noexcept { begin_ += count; }

private:
    std::vector<std::byte> room_ = std::vector<std::byte>(64 * 1024);
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

class pumping {
public:
    pumping(int in, int out, os::fd socket, pump_options how)
        : in_{in}, out_{out}, socket_{std::move(socket)},
          peer_{os::getpeername(socket_.raw()).value_or(ip::any_endpoint{})}, how_{std::move(how)},
          interactive_{::isatty(in) == 1}, input_ended_{in < 0}, sending_ended_{in < 0} {}

    pump_outcome run();

private:
    enum slot : std::size_t { input, output, net, slots };

    [[nodiscard]] bool is_finished() const;
    [[nodiscard]] bool wait();
    [[nodiscard]] std::optional<duration> patience() const;
    void turn();
    void read_input();
    void write_output();
    void send_first();
    void send();
    void keep(std::span<const std::byte> datagram);
    void handle_refusal();
    void receive();
    void end_input();
    void handle_send_failure(std::error_code why);
    void write_early();
    void handle_write_failure(std::error_code why);
    void fail(std::error_code why, operation op, side who) {
        told_.why = error{why, op, who, peer_};
    }
    void fail_here(std::error_code why, operation op, pump_outcome::end where) {
        told_.why = error{why, op, side::system, {}};
        told_.failed_at = where;
    }
    void moved() { last_ = os::now(); }

    int in_;
    int out_;
    os::fd socket_;
    ip::any_endpoint peer_; // asked for at once: a socket that was reset no longer knows it
    pump_options how_;
    bool interactive_;
    queue up_;   // in -> socket
    queue down_; // socket -> out
    bool input_ended_;
    bool sending_ended_; // the FIN is sent, or the peer takes nothing more
    // Datagrams, until anything is received; unset when they were too many.
    std::optional<std::vector<std::vector<std::byte>>> unanswered_{std::in_place};
    std::size_t unanswered_bytes_ = 0;
    std::size_t first_sent_ = 0; // of pump_options::first
    bool peer_ended_ = false;
    std::error_code reset_{}; // told by a send; it counts once all was received
    instant last_ = os::now();
    std::array<pollfd, slots> watched_{};
    pump_outcome told_;
};

bool pumping::is_finished() const {
    if (told_.why || told_.output_closed) {
        return true;
    }
    return peer_ended_ && down_.empty() && (sending_ended_ || interactive_);
}

// How long poll() may wait; nullopt: for ever.
std::optional<duration> pumping::patience() const {
    auto limit = how_.idle;
    if (how_.datagrams && input_ended_ && up_.empty()) {
        limit = limit ? std::min(*limit, how_.after_input) : how_.after_input;
    }
    if (!limit) {
        return std::nullopt;
    }
    return deadline::after(last_, *limit).remaining(os::now());
}

// False when the time is over.
bool pumping::wait() {
    const bool reading = !input_ended_ && up_.empty();
    const bool receiving = !peer_ended_ && down_.empty();
    // `out` is watched even when there is nothing to write: its reader may go away meanwhile.
    watched_[input] = {reading ? in_ : -1, POLLIN, 0};
    watched_[output] = {out_, static_cast<short>(down_.empty() ? 0 : POLLOUT), 0};
    const int wanted = (receiving ? POLLIN : 0) | (up_.empty() ? 0 : POLLOUT);
    watched_[net] = {wanted != 0 ? socket_.raw() : -1, static_cast<short>(wanted), 0};
    const auto limit = patience();
    const auto wait = limit ? std::chrono::ceil<std::chrono::milliseconds>(*limit).count() : -1;
    const int ready =
        ::poll(watched_.data(), watched_.size(),
               static_cast<int>(std::min<std::chrono::milliseconds::rep>(wait, INT_MAX)));
    return ready != 0;
}

void pumping::turn() {
    if (watched_[output].revents != 0) {
        if (!down_.empty()) {
            write_output();
        } else if ((watched_[output].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0) {
            told_.output_closed = true;
        }
    }
    if (watched_[net].revents != 0 && !up_.empty()) {
        send();
    }
    if (watched_[net].revents != 0 && down_.empty() && !peer_ended_ && !told_.why) {
        receive();
    }
    if (watched_[input].revents != 0) {
        read_input();
    }
}

void pumping::read_input() {
    const auto room = how_.datagrams ? up_.room().first(largest_datagram) : up_.room();
    const auto size = os::read(in_, room);
    if (!size && size.error().value() == EAGAIN) {
        return; // somebody else made it non-blocking
    }
    // A terminal whose session has ended gives EIO; a closed descriptor is an empty one.
    if (!size && size.error().value() != EIO && size.error().value() != EBADF) {
        return fail_here(size.error(), operation::receive, pump_outcome::end::input);
    }
    if (!size || *size == 0) {
        input_ended_ = true;
        return end_input();
    }
    up_.fill(*size);
    moved();
    send();
}

void pumping::end_input() {
    if (!how_.datagrams && !sending_ended_) {
        (void)os::shutdown_send(socket_.raw()); // it fails only when the connection has ended
    }
    sending_ended_ = true;
}

void pumping::send_first() {
    const auto& next = how_.first[first_sent_++];
    std::copy(next.begin(), next.end(), up_.room().begin());
    up_.fill(next.size());
    send();
}

void pumping::send() {
    const auto sent = os::send(socket_.raw(), up_.bytes());
    if (!sent) {
        return handle_send_failure(sent.error());
    }
    if (how_.datagrams) {
        keep(up_.bytes());
    }
    up_.take(*sent);
    told_.sent += *sent;
    moved();
}

// A peer that takes nothing more may have said why before: its answer is read to its end first.
void pumping::handle_send_failure(std::error_code why) {
    if (why.value() == EAGAIN) {
        return;
    }
    if (how_.datagrams) {
        fail(why, operation::send, side::peer);
        return handle_refusal();
    }
    if (peer_ended_ || why.value() == EPIPE) {
        told_.cut_short = true; // it had ended its side, and then closed
    } else {
        reset_ = why;
    }
    input_ended_ = sending_ended_ = true;
    up_.fill(0);
}

void pumping::keep(std::span<const std::byte> datagram) {
    unanswered_bytes_ += datagram.size();
    if (unanswered_bytes_ > most_unanswered) {
        unanswered_.reset();
    } else if (unanswered_) {
        unanswered_->emplace_back(datagram.begin(), datagram.end());
    }
}

// Nobody is there, so nobody got what was sent, and what is still here he would not have got.
void pumping::handle_refusal() {
    if (!how_.datagrams || told_.why->code.value() != ECONNREFUSED) {
        return;
    }
    if (!up_.empty()) {
        keep(up_.bytes());
    }
    for (; first_sent_ < how_.first.size(); ++first_sent_) {
        keep(how_.first[first_sent_]);
    }
    told_.refused = std::move(unanswered_);
}

void pumping::receive() {
    const auto size = os::recv(socket_.raw(), down_.room());
    if (!size) {
        if (size.error().value() != EAGAIN) {
            fail(size.error(), operation::receive, side::peer);
            handle_refusal();
        }
        return;
    }
    moved();
    unanswered_.reset();
    told_.received += *size;
    if (*size == 0 && !how_.datagrams) {
        peer_ended_ = true;
        if (reset_) {
            fail(reset_, operation::send, side::peer);
        }
        return;
    }
    down_.fill(*size);
    write_output();
}

// At most PIPE_BUF at a time: poll(2) promises room for no more in a pipe, and a blocking write of
// more would wait for the rest while the other direction stands still. A datagram is written whole.
void pumping::write_output() {
    while (!down_.empty()) {
        const auto all = down_.bytes();
        const auto part =
            how_.datagrams ? all : all.first(std::min<std::size_t>(all.size(), PIPE_BUF));
        pollfd ready{out_, POLLOUT, 0};
        if (!how_.datagrams && ::poll(&ready, 1, 0) == 0) {
            return;
        }
        const auto written = os::write(out_, part);
        if (!written && written.error().value() == EAGAIN) {
            return;
        }
        if (!written) {
            return handle_write_failure(written.error());
        }
        down_.take(*written);
        moved();
    }
}

// Before anything is received, so that order is kept. It came with the proxy's answer: 4 KiB or so.
void pumping::write_early() {
    std::span<const std::byte> rest{how_.early};
    told_.received += rest.size();
    while (!rest.empty() && !is_finished()) {
        const auto written =
            os::write(out_, rest.first(std::min<std::size_t>(rest.size(), PIPE_BUF)));
        if (written) {
            rest = rest.subspan(*written);
        } else if (written.error().value() == EAGAIN) {
            pollfd ready{out_, POLLOUT, 0};
            ::poll(&ready, 1, -1);
        } else {
            handle_write_failure(written.error());
        }
    }
}

void pumping::handle_write_failure(std::error_code why) {
    if (why.value() == EPIPE) {
        told_.output_closed = true;
    } else {
        fail_here(why, operation::send, pump_outcome::end::output);
    }
}

pump_outcome pumping::run() {
    write_early();
    while (!is_finished()) {
        if (up_.empty() && first_sent_ < how_.first.size()) {
            send_first();
            continue;
        }
        if (!wait()) {
            if (!(how_.datagrams && input_ended_)) {
                told_.was_idle = true;
                fail(std::make_error_code(std::errc::timed_out), operation::receive, side::peer);
            }
            break;
        }
        turn();
    }
    told_.input_ended = input_ended_;
    return std::move(told_);
}

} // namespace

pump_outcome pump(int in, int out, os::fd socket, pump_options how) {
    return pumping{in, out, std::move(socket), std::move(how)}.run();
}

} // namespace portico::run
