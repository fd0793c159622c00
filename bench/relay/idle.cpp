#include "load.hpp"

#include "portico/os/clock.hpp"

namespace portico::bench::relay {
namespace {

constexpr std::size_t message = 64;
constexpr std::size_t most_active = 256;

} // namespace

idle_connections::idle_connections(const content& is, std::uint16_t port, std::size_t count)
    : is_{&is}, route_{port}, clients_(count), active_(count), room_(4096) {
    run();
}

void idle_connections::use_again() {
    again_ = true;
    next_ = 0;
    result_.amount = 0;
    run();
}

void idle_connections::run() {
    open_ = 0;
    for (;;) {
        while (open_ < most_active && next_ < clients_.size() && result_.failed < most_active) {
            begin(next_++);
        }
        if (open_ == 0) {
            return;
        }
        const auto ready = events_.wait(patience);
        if (ready.empty()) {
            result_.failed += open_;
            return;
        }
        for (const auto& each : ready) {
            const auto which = each.data.u64;
            auto& self = clients_[which];
            if (!self || !active_[which]) {
                continue;
            }
            if (self.answered() && self.received() == 0) {
                finish(which, self.send(message) == went::reset ? went::reset : went::waits);
            } else {
                finish(which, self.receive(room_));
            }
        }
    }
}

void idle_connections::begin(std::size_t which) {
    auto& self = clients_[which];
    if (again_) {
        if (self) {
            active_[which] = true;
            ++open_;
            finish(which, self.send(message) == went::reset ? went::reset : went::waits);
        }
        return;
    }
    auto made = route_.connect(which);
    if (!made) {
        ++result_.failed;
        return;
    }
    events_.add(made.raw(), which, EPOLLIN | EPOLLOUT);
    self = {std::move(made), *is_, which * 8191};
    active_[which] = true;
    ++open_;
}

void idle_connections::finish(std::size_t which, went how) {
    if (how == went::waits) {
        return;
    }
    active_[which] = false;
    --open_;
    if (how == went::on) {
        ++result_.amount;
        return;
    }
    ++(how == went::reset ? result_.failed : result_.lost);
    clients_[which].end();
}

} // namespace portico::bench::relay
