#include "load.hpp"

#include "portico/os/clock.hpp"

#include "measure.hpp"

#include <array>

namespace portico::bench::relay {
namespace {

class round_trips_load {
public:
    round_trips_load(const content& is, std::uint16_t port, std::size_t size)
        : is_{is}, route_{port}, size_{size}, room_(256 * 1024) {}

    outcome run(duration time, const probe& of) {
        for (std::size_t i = 0; i < clients_.size(); ++i) {
            begin(i);
        }
        // The first message of each is not counted: all are connected then, and buffers have grown.
        while (warm_ < open_ && turn(os::now() + patience)) {
        }
        count_ = 0;
        const meter measured{of};
        const auto stop = measured.begun() + time;
        while (os::now() < stop && turn(stop)) {
        }
        result_.seconds = seconds(os::now() - measured.begun());
        measured.stop(result_);
        result_.amount = static_cast<double>(count_);
        result_.all = result_.amount;
        return result_;
    }

private:
    struct client {
        echo_client stream{};
        bool warm = false;
        std::uint64_t sent = 0;
    };

    void begin(std::size_t which) {
        auto made = route_.connect(which);
        if (!made) {
            ++result_.failed;
            return;
        }
        events_.add(made.raw(), which, EPOLLIN | EPOLLOUT);
        clients_[which].stream = {std::move(made), is_, which * 40'009};
        ++open_;
    }

    // False when nothing goes on any more.
    bool turn(instant until) {
        const auto left = until - os::now();
        const auto ready = events_.wait(std::min(left, patience));
        if (ready.empty() && left >= patience) {
            result_.failed += open_;
            return false;
        }
        for (const auto& each : ready) {
            if (clients_[each.data.u64].stream) {
                go_on(each.data.u64);
            }
        }
        return open_ > 0;
    }

    void go_on(std::size_t which) {
        auto& self = clients_[which];
        if (self.stream.flush() == went::reset) {
            fail(which, went::reset);
            return;
        }
        const auto how = self.sent == 0 ? went::on : self.stream.receive(room_);
        if (how != went::on && how != went::waits) {
            fail(which, how);
            return;
        }
        if (!self.stream.answered()) {
            return;
        }
        if (self.sent > 0) {
            ++count_;
            warm_ += self.warm ? 0U : 1U;
            self.warm = true;
        }
        ++self.sent;
        if (self.stream.send(size_) == went::reset) {
            fail(which, went::reset);
        }
    }

    void fail(std::size_t which, went how) {
        ++(how == went::reset ? result_.failed : result_.lost);
        warm_ -= clients_[which].warm ? 1U : 0U;
        clients_[which].stream.end();
        --open_;
    }

    const content& is_;
    route route_;
    std::size_t size_;
    events events_;
    std::vector<std::byte> room_;
    std::array<client, at_a_time> clients_{};
    std::uint64_t count_ = 0;
    std::size_t open_ = 0;
    std::size_t warm_ = 0;
    outcome result_{};
};

} // namespace

outcome round_trips(const content& is, std::uint16_t port, std::size_t size, duration time,
                    const probe& of) {
    return round_trips_load{is, port, size}.run(time, of);
}

} // namespace portico::bench::relay
