#include "relay/board.hpp"

#include "portico/os/clock.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <iterator>

namespace portico::run {
namespace {

constexpr std::size_t most_asked = 64; // at the same time; each is two processes

// How many there may be: those that are written out, and those of all services together.
std::size_t capacity_of(const std::vector<dial_target>& targets, std::size_t of_services) {
    const auto services = static_cast<std::size_t>(std::count_if(
        targets.begin(), targets.end(), [](const auto& each) { return each.service.has_value(); }));
    const auto most = targets.size() - services + (services != 0 ? of_services : 0);
    return std::max<std::size_t>(most, 1);
}

} // namespace

target_board::target_board(asio::any_io_executor executor, std::vector<dial_target> targets,
                           const relay_options& how)
    : executor_{std::move(executor)}, refresh_{how.refresh},
      least_refresh_{how.least_refresh}, timer_{executor_}, check_timer_{executor_},
      check_every_{how.check_every}, from_{how.targets.front().from
                                               ? std::optional{how.targets.front().from->address}
                                               : std::nullopt},
      balancer_{{how.balance, how.health, capacity_of(targets, how.max_service_targets)}, how.seed},
      published_(capacity_of(targets, how.max_service_targets)) {
    check_how_.from = how.targets.front().from;
    check_how_.interface = how.targets.front().interface;
    for (auto& each : targets) {
        auto& made = wishes_.emplace_back();
        made.where = std::move(each);
        if (made.where.service) {
            made.timer = std::make_unique<asio::steady_timer>(executor_);
        } else {
            made.members.push_back({std::make_shared<member>(member{made.where})});
        }
    }
    publish_set();
}

void target_board::start(std::function<void()> known) {
    known_ = std::move(known);
    unknown_ = wishes_.size();
    if (wishes_.empty()) {
        asio::post(executor_, [weak = weak_from_this()] {
            if (const auto self = weak.lock()) {
                self->wait();
            }
        });
    }
    for (std::size_t i = 0; i < wishes_.size(); ++i) {
        if (wishes_[i].where.service) {
            ask_service(i);
        } else {
            ask(wishes_[i].members.front().who, [this, i] { handle_known(wishes_[i]); });
        }
    }
}

// ---- names ----

// `then` is called when the answer is there, and not when the board is gone.
void target_board::ask(const member_ptr& who, std::function<void()> then) {
    who->asked.push_back(std::move(then));
    if (!std::exchange(who->is_asked, true)) {
        to_ask_.push_back(who);
        ask_next();
    }
}

void target_board::ask_next() {
    while (asking_ < most_asked && !to_ask_.empty()) {
        const auto who = std::move(to_ask_.front());
        to_ask_.pop_front();
        ++asking_;
        find_places(executor_, who->where, from_, [weak = weak_from_this(), who](found_places got) {
            if (const auto self = weak.lock()) {
                self->handle_places(who, std::move(got));
            }
        });
    }
}

void target_board::handle_places(const member_ptr& who, found_places got) {
    --asking_;
    who->is_asked = false;
    if (!got.places.empty()) {
        who->places = std::move(got.places);
        who->trouble.clear();
        publish_places(*who);
    } else if (who->places.empty()) {
        who->trouble = who->where.title + ": " + got.why_none;
    }
    for (const auto& each : std::exchange(who->asked, {})) {
        each();
    }
    publish_trouble();
    ask_next();
}

void target_board::handle_known(wish& which) {
    if (!std::exchange(which.is_known, true) && --unknown_ == 0) {
        publish_trouble();
        wait();
    }
}

void target_board::wait() {
    if (known_) {
        if (check_every_) {
            wait_to_check();
        }
        std::exchange(known_, nullptr)();
    }
    if (std::all_of(wishes_.begin(), wishes_.end(), [](const auto& each) {
            return !each.where.service && is_settled(each.where);
        })) {
        return;
    }
    timer_.expires_after(refresh_);
    timer_.async_wait([weak = weak_from_this()](boost::system::error_code wrong) {
        if (const auto self = weak.lock(); self && !wrong) {
            self->handle_round();
        }
    });
}

void target_board::handle_round() {
    for (const auto& each : everybody()) {
        if (!is_settled(each.who->where) && !each.who->is_asked) {
            ask(each.who, [] {});
        }
    }
    wait();
}

// ---- what the engines see ----

void target_board::publish_places(const member& who) {
    if (!who.id) {
        return;
    }
    std::vector<ip::any_endpoint> addresses;
    for (const auto& each : who.places) {
        addresses.push_back(each.at);
    }
    const std::lock_guard locked{mutex_};
    balancer_.handle_addresses(*who.id, addresses);
    published_[*who.id].places = who.places;
    published_[*who.id].some = {};
}

void target_board::publish_trouble() {
    std::string all;
    const auto add = [&](const std::string& one) {
        all += (all.empty() || one.empty() ? "" : "; ") + one;
    };
    for (const auto& each : wishes_) {
        add(each.trouble);
        for (const auto& one : each.members) {
            add(one.who->id ? one.who->trouble
                            : one.who->where.title + ": left out, as there are more than " +
                                  std::to_string(capacity()) + " targets");
        }
    }
    const std::lock_guard locked{mutex_};
    trouble_ = std::move(all);
}

std::optional<target_offer> target_board::choose(instant now, const ip::any_endpoint& client,
                                                 std::span<const relay::target_id> tried) {
    const std::lock_guard locked{mutex_};
    const auto chosen = balancer_.choose(now, client, tried);
    if (!chosen) {
        return std::nullopt;
    }
    auto& target = published_[chosen->id];
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

std::vector<target_place> target_board::places() const {
    std::vector<target_place> all;
    const std::lock_guard locked{mutex_};
    for (const auto& each : published_) {
        all.insert(all.end(), each.places.begin(), each.places.end());
    }
    return all;
}

std::string target_board::trouble() const {
    const std::lock_guard locked{mutex_};
    return trouble_;
}

void target_board::tell_begun(std::function<void(relay::target_id)> begun) {
    begun_ = std::move(begun);
}

// ---- active checks ----

void target_board::wait_to_check() {
    check_timer_.expires_after(*check_every_);
    check_timer_.async_wait([weak = weak_from_this()](boost::system::error_code wrong) {
        const auto self = weak.lock();
        if (wrong || !self) {
            return;
        }
        for (const auto& each : self->everybody()) {
            for (const auto how : {relay::way::v4, relay::way::v6, relay::way::local}) {
                self->check(each.who, how);
            }
        }
        self->wait_to_check();
    });
}

// A target is well when one of its addresses of that family takes a connection.
void target_board::check(const member_ptr& who, relay::way how) {
    const auto at = std::find_if(who->places.begin(), who->places.end(),
                                 [&](const auto& each) { return relay::way_of(each.at) == how; });
    if (at == who->places.end()) {
        return;
    }
    auto request = check_how_;
    request.timeout = *check_every_;
    if (const auto* where = std::get_if<ip::endpoint>(&at->at)) {
        request.host = ip::to_text(where->address);
        request.port = std::to_string(where->port);
    } else {
        request.host = ip::to_text(at->at);
    }
    auto dialled = [weak = weak_from_this(), who, how](const dial_outcome& got) {
        if (const auto self = weak.lock(); self && who->id) {
            const std::lock_guard locked{self->mutex_};
            self->balancer_.handle_check(*who->id, how, !got.why);
        }
    };
    async_dial(executor_, std::move(request), asio::bind_executor(executor_, std::move(dialled)));
}

} // namespace portico::run
