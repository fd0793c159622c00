#include "load.hpp"

#include "portico/os/clock.hpp"

#include "measure.hpp"

#include <algorithm>
#include <array>
#include <deque>

#include <sys/prctl.h>

namespace portico::bench::relay {
namespace {

constexpr std::size_t message = 64;

class paced_load {
public:
    paced_load(const content& is, std::uint16_t port, double rate)
        : is_{is}, route_{port}, rate_{rate}, room_(64 * 1024) {}

    paced_outcome run(duration time, const probe& of) {
        for (std::size_t i = 0; i < clients_.size(); ++i) {
            begin(i);
        }
        connect_all();
        took_.clear();
        // The default, 50 us, is longer than the time between two messages (prctl(2)).
        ::prctl(PR_SET_TIMERSLACK, 1);
        const auto total = static_cast<std::uint64_t>(rate_ * seconds(time));
        took_.reserve(total);
        const meter measured{of};
        begun_ = measured.begun();
        std::uint64_t sent = 0;
        while (took_.size() < total && open_ == clients_.size()) {
            const auto now = os::now();
            for (; sent < total && due(sent) <= now; ++sent) {
                send(sent % clients_.size(), due(sent));
            }
            const auto late = now - (begun_ + time);
            if (late >= patience) {
                break;
            }
            receive_until(sent < total ? due(sent) - now : patience - std::max(late, duration{}));
        }
        ::prctl(PR_SET_TIMERSLACK, 0);
        measured.stop(result_);
        return result_of(total);
    }

private:
    struct client {
        echo_client stream{};
        std::deque<instant> due{}; // of each message that is under way
        std::uint64_t answered = 0;
    };

    [[nodiscard]] instant due(std::uint64_t nth) const {
        const auto after = std::chrono::duration<double>{static_cast<double>(nth) / rate_};
        return begun_ + std::chrono::duration_cast<duration>(after);
    }

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

    // A first message on each, that is not counted.
    void connect_all() {
        const auto stop = os::now() + patience;
        while (took_.size() < clients_.size() && os::now() < stop && open_ == clients_.size()) {
            for (const auto& each : events_.wait(stop - os::now())) {
                auto& self = clients_[each.data.u64];
                if (self.stream && self.due.empty() && self.answered == 0) {
                    send(each.data.u64, os::now());
                } else {
                    receive(each.data.u64);
                }
            }
        }
        if (took_.size() < clients_.size()) {
            ++result_.failed;
        }
    }

    void send(std::size_t which, instant when) {
        auto& self = clients_[which];
        if (!self.stream) {
            return;
        }
        self.due.push_back(when);
        if (self.stream.send(message) == went::reset) {
            fail(which, went::reset);
        }
    }

    void receive_until(duration most) {
        for (const auto& each : events_.wait(most)) {
            receive(each.data.u64);
        }
    }

    void receive(std::size_t which) {
        auto& self = clients_[which];
        if (!self.stream) {
            return;
        }
        const auto flushed = self.stream.flush();
        const auto how = flushed == went::reset ? flushed : self.stream.receive(room_);
        const auto now = os::now();
        for (; self.answered < self.stream.received() / message; ++self.answered) {
            took_.push_back(seconds(now - self.due.front()));
            self.due.pop_front();
        }
        if (how != went::on && how != went::waits) {
            fail(which, how);
        }
    }

    void fail(std::size_t which, went how) {
        ++(how == went::reset ? result_.failed : result_.lost);
        clients_[which].stream.end();
        --open_;
    }

    paced_outcome result_of(std::uint64_t total) {
        result_.amount = static_cast<double>(took_.size());
        result_.all = result_.amount;
        result_.seconds = seconds(os::now() - begun_);
        if (took_.size() < total || total == 0) {
            return {result_};
        }
        const auto at = [this](double share) {
            const auto index =
                static_cast<std::size_t>(share * static_cast<double>(took_.size() - 1));
            const auto nth = took_.begin() + static_cast<std::ptrdiff_t>(index);
            std::nth_element(took_.begin(), nth, took_.end());
            return *nth;
        };
        return {result_, at(0.5), at(0.99)};
    }

    const content& is_;
    route route_;
    double rate_;
    events events_;
    std::vector<std::byte> room_;
    std::array<client, at_a_time> clients_{};
    std::size_t open_ = 0;
    instant begun_{};
    std::vector<double> took_;
    outcome result_{};
};

} // namespace

paced_outcome paced(const content& is, std::uint16_t port, double rate, duration time,
                    const probe& of) {
    return paced_load{is, port, rate}.run(time, of);
}

} // namespace portico::bench::relay
