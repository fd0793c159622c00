// Targets by SRV records (RFC 2782): the question, its lifetime, and the set that comes of it.

#include "relay/board.hpp"

#include "portico/os/clock.hpp"
#include "portico/run/resolve.hpp"

#include <boost/asio/bind_executor.hpp>

#include <algorithm>

namespace portico::run {
namespace {

constexpr duration patience = std::chrono::seconds{10}; // for one answer

dial_target place_of(const dial_target& service, const os::service_record& record) {
    auto made = service;
    made.service.reset();
    made.host = record.target;
    made.port = record.port;
    made.title = record.target + ":" + std::to_string(record.port);
    return made;
}

// One of each host and port: with the best of the priorities, and all the weight that it has there.
// Those without a port cannot be connected to. In order of priority, so that the worst ones are
// left out when there are too many.
std::vector<os::service_record> tidied(std::vector<os::service_record> records) {
    std::stable_sort(records.begin(), records.end(), [](const auto& left, const auto& right) {
        return left.priority < right.priority;
    });
    std::vector<os::service_record> made;
    for (auto& each : records) {
        const auto twin = std::find_if(made.begin(), made.end(), [&](const auto& other) {
            return other.port == each.port && other.target == each.target;
        });
        if (each.port == 0) {
            continue;
        }
        if (twin == made.end()) {
            made.push_back(std::move(each));
        } else if (twin->priority == each.priority) {
            const unsigned both = unsigned{twin->weight} + each.weight;
            twin->weight = static_cast<std::uint16_t>(std::min(both, 65535U));
        }
    }
    return made;
}

std::uint16_t average(std::size_t sum, std::size_t count) {
    return static_cast<std::uint16_t>((sum + count / 2) / count);
}

} // namespace

void target_board::ask_service(std::size_t which) {
    resolve_srv_request question;
    question.name = wishes_[which].where.service->text;
    question.until = deadline::after(os::now(), patience);
    auto answered = [weak = weak_from_this(), which](result<os::service_answer> got) {
        if (const auto self = weak.lock()) {
            self->handle_service(which, std::move(got));
        }
    };
    async_resolve_srv(executor_, std::move(question),
                      asio::bind_executor(executor_, std::move(answered)));
}

void target_board::handle_service(std::size_t which, result<os::service_answer> got) {
    auto& asked = wishes_[which];
    asked.trouble.clear();
    duration lifetime = least_refresh_;
    if (!got) {
        asked.trouble = asked.where.title + ": " + got.error().code.message();
        if (got.error().code != os::lookup_errc::no_service) {
            publish_trouble();
            wait_for_service(which, lifetime);
            return handle_known(asked);
        }
    } else {
        asked.coming = standings(asked, std::move(got->records));
        lifetime = got->lifetime;
        if (got->dropped != 0) {
            asked.trouble = asked.where.title + ": " + std::to_string(got->dropped) +
                            " of its records are too many, or cannot be read";
        }
    }
    asked.open = 1; // this call
    const auto settle = [this, which, lifetime] {
        if (--wishes_[which].open == 0) {
            take_over(which, lifetime);
        }
    };
    for (const auto& each : std::vector{asked.coming}) {
        if (each.who->places.empty()) {
            ++asked.open;
            ask(each.who, settle);
        }
    }
    settle();
}

// Of those that are there already only the weight and the priority may be new.
std::vector<target_board::standing>
target_board::standings(const wish& which, std::vector<os::service_record> records) const {
    std::vector<standing> made;
    for (const auto& each : tidied(std::move(records))) {
        auto where = place_of(which.where, each);
        const auto known =
            std::find_if(which.members.begin(), which.members.end(),
                         [&](const auto& one) { return one.who->where.title == where.title; });
        made.push_back({known != which.members.end()
                            ? known->who
                            : std::make_shared<member>(member{std::move(where)}),
                        each.weight, each.priority});
    }
    return made;
}

void target_board::take_over(std::size_t which, duration lifetime) {
    auto& asked = wishes_[which];
    auto coming = std::exchange(asked.coming, {});
    const auto has_place = [](const standing& each) { return !each.who->places.empty(); };
    const auto any_place = [&](const auto& some) {
        return std::any_of(some.begin(), some.end(), has_place);
    };
    if (!coming.empty() && !any_place(coming) && any_place(asked.members)) {
        asked.trouble = asked.where.title + ": none of its targets has an address; those before "
                                            "are kept";
        lifetime = least_refresh_;
    } else {
        for (const auto& each : asked.members) {
            each.who->id.reset();
        }
        asked.members = std::move(coming);
        publish_set();
    }
    publish_trouble();
    wait_for_service(which, lifetime);
    handle_known(asked);
}

void target_board::wait_for_service(std::size_t which, duration lifetime) {
    auto& timer = *wishes_[which].timer;
    timer.expires_after(std::clamp(lifetime, least_refresh_, std::max(least_refresh_, refresh_)));
    timer.async_wait([weak = weak_from_this(), which](boost::system::error_code wrong) {
        if (const auto self = weak.lock(); self && !wrong) {
            self->ask_service(which);
        }
    });
}

// Priorities and weights of records are relative to those of the same name. So, beside others, the
// best of each name are equal to what is written out, and that counts as much as they do on
// average.
std::vector<target_board::standing> target_board::everybody() const {
    std::vector<standing> all;
    std::size_t sum = 0;
    std::size_t count = 0;
    for (const auto& each : wishes_) {
        const auto best = std::min_element(
            each.members.begin(), each.members.end(),
            [](const auto& left, const auto& right) { return left.priority < right.priority; });
        for (auto one : each.members) {
            one.priority = static_cast<std::uint16_t>(one.priority -
                                                      (wishes_.size() == 1 ? 0 : best->priority));
            if (each.where.service && one.priority == 0) {
                sum += one.weight;
                ++count;
            }
            all.push_back(std::move(one));
        }
    }
    std::size_t at = 0;
    for (const auto& each : wishes_) {
        if (!each.where.service && count != 0) {
            all[at].weight = average(sum, count);
        }
        at += each.members.size();
    }
    return all;
}

void target_board::publish_set() {
    const auto all = everybody();
    std::vector<relay::target_wish> wishes;
    for (const auto& each : all) {
        auto& made = wishes.emplace_back(
            relay::target_wish{each.who->where.title, each.weight, each.priority, {}});
        for (const auto& place : each.who->places) {
            made.addresses.push_back(place.at);
        }
    }
    const std::lock_guard locked{mutex_};
    const auto ids = balancer_.handle_targets(wishes);
    for (std::size_t i = 0; i < all.size(); ++i) {
        auto& who = *all[i].who;
        who.id = ids[i];
        if (!who.id) {
            continue; // more than there may be
        }
        auto& place = published_[*who.id];
        if (place.name != who.where.title) {
            place.name = who.where.title;
            if (begun_) {
                begun_(*who.id);
            }
        }
        place.places = who.places;
        place.some = {};
    }
}

} // namespace portico::run
