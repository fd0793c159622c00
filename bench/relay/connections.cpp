#include "load.hpp"

#include "portico/os/clock.hpp"

#include "measure.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include <sys/socket.h>

namespace portico::bench::relay {
namespace {

constexpr std::size_t message = 64;

class connections_load {
public:
    connections_load(const content& is, std::uint16_t port, closing how)
        : is_{is}, route_{port}, how_{how}, room_(4096) {}

    outcome run(duration time, const probe& of) {
        const meter measured{of};
        stop_ = measured.begun() + time;
        for (std::size_t i = 0; i < at_a_time; ++i) {
            begin(i);
        }
        while (open_ > 0) {
            const auto ready = events_.wait(patience);
            if (ready.empty()) {
                result_.failed += open_;
                break;
            }
            for (const auto& each : ready) {
                go_on(each.data.u64);
            }
        }
        result_.seconds = seconds(std::min(os::now(), stop_) - measured.begun());
        of.settle();
        measured.stop(result_);
        return result_;
    }

private:
    struct client {
        echo_client stream{};
        bool sent = false;
        bool half_closed = false;
    };

    void begin(std::size_t which) {
        if (os::now() >= stop_ || result_.failed >= most_failures) {
            return;
        }
        auto made = route_.connect(which, false);
        if (!made) {
            // Not again at once: this would never end.
            ++result_.failed;
            return;
        }
        events_.add(made.raw(), which, EPOLLIN | EPOLLOUT);
        clients_[which] = {{std::move(made), is_, next_start_++ * 8191}};
        ++open_;
    }

    void end(std::size_t which, went how) {
        auto& stream = clients_[which].stream;
        if (how == went::on) {
            ++result_.all;
            result_.amount += os::now() <= stop_ ? 1 : 0;
        } else {
            // One that ends in good order before all has come back has lost something.
            ++(how == went::reset ? result_.failed : result_.lost);
        }
        if (how_ == closing::reset) {
            stream.end_by_reset();
        } else {
            stream.end();
        }
        --open_;
        begin(which);
    }

    // The other half has ended in good order: the origin has answered our end with its own.
    void await_end(std::size_t which) {
        std::byte one{};
        const auto size = ::recv(clients_[which].stream.raw(), &one, 1, 0);
        if (size == 0) {
            end(which, went::on);
        } else if (size > 0) {
            end(which, went::wrong);
        } else if (errno != EAGAIN && errno != EINTR) {
            end(which, went::reset);
        }
    }

    void go_on(std::size_t which) {
        auto& self = clients_[which];
        if (!self.stream) {
            return;
        }
        if (!self.sent) {
            self.sent = true;
            if (self.stream.send(message) == went::reset) {
                end(which, went::reset);
            }
            return;
        }
        if (!self.half_closed) {
            const auto how = self.stream.receive(room_);
            if (how == went::waits) {
                return;
            }
            if (how != went::on || how_ == closing::reset) {
                end(which, how);
                return;
            }
            self.half_closed = true;
            ::shutdown(self.stream.raw(), SHUT_WR);
        }
        await_end(which);
    }

    static constexpr std::uint64_t most_failures = 1000;

    const content& is_;
    route route_;
    closing how_;
    events events_;
    std::vector<std::byte> room_;
    std::array<client, at_a_time> clients_{};
    std::uint64_t next_start_ = 0;
    std::size_t open_ = 0;
    instant stop_{};
    outcome result_{};
};

} // namespace

outcome connections(const content& is, std::uint16_t port, closing how, duration time,
                    const probe& of) {
    return connections_load{is, port, how}.run(time, of);
}

} // namespace portico::bench::relay
