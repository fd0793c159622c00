#include "relay/board.hpp"

#include "dial/sources.hpp"
#include "portico/os/clock.hpp"
#include "portico/run/resolve.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <iterator>

namespace portico::run {
namespace {

constexpr duration patience = std::chrono::seconds{10}; // for one answer

} // namespace

target_board::target_board(asio::any_io_executor executor, std::vector<dial_target> targets,
                           const relay_options& how)
    : executor_{std::move(executor)}, timer_{executor_}, check_timer_{executor_},
      check_every_{how.check_every}, from_{how.targets.front().from
                                               ? std::optional{how.targets.front().from->address}
                                               : std::nullopt},
      balancer_{{how.balance, how.health, std::max<std::size_t>(targets.size(), 1)}, how.seed} {
    check_how_.from = how.targets.front().from;
    check_how_.interface = how.targets.front().interface;
    std::vector<relay::target_wish> wishes;
    for (auto& each : targets) {
        wishes.push_back({each.title, 1, 0, {}});
        entries_.push_back({std::move(each)});
    }
    balancer_.handle_targets(wishes);
}

void target_board::start(std::function<void()> known) {
    known_ = std::move(known);
    ++open_; // until all are asked
    for (std::uint32_t i = 0; i < entries_.size(); ++i) {
        ask(i);
    }
    asio::post(executor_, [weak = weak_from_this()] {
        if (const auto self = weak.lock(); self && --self->open_ == 0) {
            self->wait();
        }
    });
}

void target_board::ask(std::uint32_t which) {
    auto& target = entries_[which];
    if (target.where.unix_socket) {
        return publish(target);
    }
    target.found.clear();
    target.failed.clear();
    for (const auto family : {ip::family::v6, ip::family::v4}) {
        if (family == ip::family::v6 ? !target.where.wants_v6 : !target.where.wants_v4) {
            continue;
        }
        ++target.asked;
        ++open_;
        auto answered = [weak = weak_from_this(), which](result<os::lookup_answer> got) {
            if (const auto self = weak.lock()) {
                self->handle_answer(which, std::move(got));
            }
        };
        async_resolve(executor_, target.where.host, family, false,
                      deadline::after(os::now(), patience),
                      asio::bind_executor(executor_, std::move(answered)));
    }
}

void target_board::handle_answer(std::uint32_t which, result<os::lookup_answer> got) {
    auto& target = entries_[which];
    if (got) {
        target.found.insert(target.found.end(), got->addresses.begin(), got->addresses.end());
    } else {
        target.failed = got.error().code.message();
    }
    if (--target.asked == 0) {
        publish(target);
    }
    if (--open_ == 0) {
        wait();
    }
}

// The addresses of one family are good enough when the other question failed.
void target_board::publish(entry& which) {
    std::vector<target_place> made;
    source_finder sources{from_};
    const auto add = [&](const ip::any_endpoint& at, std::optional<ip::source> from) {
        if (auto raw = os::to_sockaddr(at)) {
            made.push_back({at, std::move(from), *raw});
        }
    };
    if (which.where.unix_socket) {
        add(*which.where.unix_socket, std::nullopt);
    }
    for (const auto& each : which.found) {
        const ip::endpoint at{each, which.where.port};
        add(at, sources.find(at));
    }
    const std::lock_guard locked{mutex_};
    if (!made.empty()) {
        std::vector<ip::any_endpoint> addresses;
        for (const auto& each : made) {
            addresses.push_back(each.at);
        }
        balancer_.handle_addresses(static_cast<relay::target_id>(&which - entries_.data()),
                                   addresses);
        which.places = std::move(made);
        which.some = {};
    }
    which.trouble = !which.places.empty()
                        ? ""
                        : which.where.title + ": " +
                              (which.failed.empty() ? "the name has no address" : which.failed);
}

void target_board::wait() {
    if (known_) {
        if (check_every_) {
            wait_to_check();
        }
        std::exchange(known_, nullptr)();
    }
    const bool is_settled = std::all_of(entries_.begin(), entries_.end(), [](const auto& each) {
        return each.where.unix_socket || ip::parse_address(each.where.host);
    });
    if (is_settled) {
        return;
    }
    timer_.expires_after(refresh);
    timer_.async_wait([weak = weak_from_this()](boost::system::error_code wrong) {
        const auto self = weak.lock();
        if (wrong || !self) {
            return;
        }
        ++self->open_;
        for (std::uint32_t i = 0; i < self->entries_.size(); ++i) {
            self->ask(i);
        }
        if (--self->open_ == 0) {
            self->wait();
        }
    });
}

// ---- active checks ----

void target_board::wait_to_check() {
    check_timer_.expires_after(*check_every_);
    check_timer_.async_wait([weak = weak_from_this()](boost::system::error_code wrong) {
        const auto self = weak.lock();
        if (wrong || !self) {
            return;
        }
        for (std::uint32_t i = 0; i < self->entries_.size(); ++i) {
            for (const auto how : {relay::way::v4, relay::way::v6, relay::way::local}) {
                self->check(i, how);
            }
        }
        self->wait_to_check();
    });
}

// A target is well when one of its addresses of that family takes a connection.
void target_board::check(std::uint32_t which, relay::way how) {
    const auto at = [&]() -> std::optional<ip::any_endpoint> {
        const std::lock_guard locked{mutex_};
        const auto& places = entries_[which].places;
        const auto found = std::find_if(places.begin(), places.end(), [&](const auto& each) {
            return relay::way_of(each.at) == how;
        });
        return found == places.end() ? std::nullopt : std::optional{found->at};
    }();
    if (!at) {
        return;
    }
    auto request = check_how_;
    request.timeout = *check_every_;
    if (const auto* where = std::get_if<ip::endpoint>(&*at)) {
        request.host = ip::to_text(where->address);
        request.port = std::to_string(where->port);
    } else {
        request.host = ip::to_text(*at);
    }
    auto dialled = [weak = weak_from_this(), which, how](const dial_outcome& got) {
        if (const auto self = weak.lock()) {
            const std::lock_guard locked{self->mutex_};
            self->balancer_.handle_check(which, how, !got.why);
        }
    };
    async_dial(executor_, std::move(request), asio::bind_executor(executor_, std::move(dialled)));
}

// ---- the calls of the engines ----

std::optional<target_offer> target_board::choose(instant now, const ip::any_endpoint& client,
                                                 std::span<const relay::target_id> tried) {
    const std::lock_guard locked{mutex_};
    const auto chosen = balancer_.choose(now, client, tried);
    if (!chosen) {
        return std::nullopt;
    }
    auto& target = entries_[chosen->id];
    std::size_t key = 0;
    for (const auto each : {relay::way::v4, relay::way::v6, relay::way::local}) {
        key = key * 2 + (chosen->over.has(each) ? 1 : 0);
    }
    auto& some = target.some[key];
    if (!some) {
        std::vector<target_place> places;
        std::copy_if(target.places.begin(), target.places.end(), std::back_inserter(places),
                     [&](const auto& each) { return chosen->over.has(relay::way_of(each.at)); });
        some = std::make_shared<const std::vector<target_place>>(std::move(places));
    }
    return target_offer{chosen->id, some};
}

void target_board::handle_opened(relay::target_id target, relay::way which) {
    const std::lock_guard locked{mutex_};
    balancer_.handle_opened(target, which);
}

void target_board::handle_given_up(relay::target_id target) {
    const std::lock_guard locked{mutex_};
    balancer_.handle_given_up(target);
}

void target_board::handle_closed(relay::target_id target) {
    const std::lock_guard locked{mutex_};
    balancer_.handle_closed(target);
}

void target_board::handle_failed(instant now, relay::target_id target, relay::way which,
                                 const error& why) {
    const std::lock_guard locked{mutex_};
    balancer_.handle_failed(now, target, which, why);
}

std::vector<relay::target_state> target_board::snapshot() const {
    const std::lock_guard locked{mutex_};
    return balancer_.snapshot();
}

std::string target_board::trouble() const {
    const std::lock_guard locked{mutex_};
    std::string all;
    for (const auto& each : entries_) {
        if (!each.trouble.empty()) {
            all += (all.empty() ? "" : "; ") + each.trouble;
        }
    }
    return all;
}

} // namespace portico::run
