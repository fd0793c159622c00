// UDP ASSOCIATE: the connection that an association lives as long as.

#include "portico/ip/canonical.hpp"
#include "portico/os/socket.hpp"
#include "socks/conversation.hpp"

#include <array>
#include <cerrno>
#include <utility>

namespace portico::run {
namespace {

using boost::system::error_code;

constexpr std::size_t hold_budget = 16; // reads in one turn

// The port that it says it will send from; 0: it does not, or it is not what we see, as behind a
// NAT.
std::uint16_t said_port(const wire::proxy_target& from, const ip::endpoint& peer) {
    const auto* address = std::get_if<ip::address>(&from.host());
    const bool is_its_own = address != nullptr &&
                            (address->is_unspecified() ||
                             ip::canonical(*address) == ip::canonical(peer.address).with_zone({}));
    return is_its_own ? from.port() : std::uint16_t{0};
}

} // namespace

void socks_conversation::associate(const wire::proxy_target& from) {
    const auto& peer = std::get<ip::endpoint>(end_.peer);
    auto made = socks_association::open(with_, peer, std::get<ip::endpoint>(end_.local),
                                        said_port(from, peer));
    if (!made) {
        note(to_text(made.error()));
        return not_opened(wire::socks5_reply::general_failure, made.error());
    }
    set_timer(with_->options.patience, &socks_conversation::handle_late);
    association_ = *std::move(made);
    note("datagrams at " + ip::to_text(association_->at()));
    machine_.handle_opened(association_->at());
    talk();
}

// The client has been told.
void socks_conversation::begin_association() {
    unset_timer();
    ++with_->counters.associated;
    association_->start([weak = weak_from_this()](std::error_code why) {
        const auto self = weak.lock();
        if (!self || self->over_) {
            return;
        }
        if (why == std::errc::timed_out) {
            self->note("idle");
            self->finish(std::nullopt, false);
        } else {
            self->finish(error{why, operation::receive, side::system, self->association_->at()},
                         true);
        }
    });
    hold();
}

// What the client still says on the connection means nothing; its end is the association's (RFC
// 1928 section 7).
void socks_conversation::hold() {
    std::array<std::byte, 4096> dropped;
    for (std::size_t i = 0; i < hold_budget; ++i) {
        const auto size = os::recv(socket_.raw(), dropped);
        if (!size && size.error().value() == EAGAIN) {
            break;
        }
        if (!size) {
            return fail(size.error(), operation::receive);
        }
        if (*size == 0) {
            return finish(std::nullopt, false);
        }
        end_.received += *size;
    }
    watch_.async_wait(watch_.wait_read, [self = shared_from_this()](error_code wrong) {
        if (!wrong && !self->over_) {
            self->hold();
        }
    });
}

void socks_conversation::count_datagrams() {
    const auto& told = association_->figures();
    end_.received += told.bytes_in;
    end_.sent += told.bytes_out;
    note(std::to_string(told.datagrams_in) + " datagrams in, " +
         std::to_string(told.datagrams_out) + " out" +
         (told.dropped == 0 ? "" : ", " + std::to_string(told.dropped) + " dropped"));
}

} // namespace portico::run
