#include "portico/run/reverse_names.hpp"

#include "portico/os/clock.hpp"
#include "portico/run/resolve_name.hpp"

#include <algorithm>
#include <deque>
#include <unordered_map>
#include <utility>
#include <vector>

namespace portico::run {

// An address is waiting until its turn, and asked about until it is kept.
struct reverse_names::state : std::enable_shared_from_this<reverse_names::state> {
    state(asio::any_io_executor ex, reverse_settings settings)
        : executor{std::move(ex)}, how{std::move(settings)}, cache{how.cache} {}

    // False: there is no room.
    bool ask(const ip::address& who);
    void start_next();
    void handle_name(const ip::address& who, deadline until, const result<std::string>& got);
    void handle_addresses(const ip::address& who, const std::string& name,
                          const result<os::lookup_answer>& got);
    void finish(const ip::address& who, const std::string& name);

    asio::any_io_executor executor;
    reverse_settings how;
    serve::name_cache cache;
    std::unordered_map<ip::address, std::vector<known>> open; // asked about, or waiting
    std::deque<ip::address> queue;
    std::size_t running = 0;
    std::size_t callers = 0; // in `open`
    std::uint64_t turned_away = 0;
    bool stopped = false;
};

bool reverse_names::state::ask(const ip::address& who) {
    if (open.contains(who)) {
        return true;
    }
    if (stopped || queue.size() >= how.waiting) {
        return false;
    }
    open.try_emplace(who);
    queue.push_back(who);
    start_next();
    return true;
}

void reverse_names::state::start_next() {
    while (running < how.at_once && !queue.empty()) {
        const auto who = queue.front();
        queue.pop_front();
        ++running;
        const auto until = deadline::after(os::now(), how.patience);
        async_resolve_name(executor, resolve_name_request{who, until, how.how},
                           [weak = weak_from_this(), who, until](result<std::string> got) {
                               if (const auto self = weak.lock()) {
                                   self->handle_name(who, until, got);
                               }
                           });
    }
}

void reverse_names::state::handle_name(const ip::address& who, deadline until,
                                       const result<std::string>& got) {
    if (!got || stopped) {
        return finish(who, {});
    }
    async_resolve(executor, resolve_request{{*got, who.family(), false}, until, how.how},
                  [weak = weak_from_this(), who, name = *got](result<os::lookup_answer> addresses) {
                      if (const auto self = weak.lock()) {
                          self->handle_addresses(who, name, addresses);
                      }
                  });
}

void reverse_names::state::handle_addresses(const ip::address& who, const std::string& name,
                                            const result<os::lookup_answer>& got) {
    const bool is_confirmed =
        got && std::find(got->addresses.begin(), got->addresses.end(), who) != got->addresses.end();
    finish(who, is_confirmed ? name : "");
}

void reverse_names::state::finish(const ip::address& who, const std::string& name) {
    --running;
    cache.keep(os::now(), who, name);
    const auto found = open.extract(who);
    start_next();
    if (!found.empty()) {
        callers -= found.mapped().size();
        for (const auto& each : found.mapped()) {
            each(name);
        }
    }
}

reverse_names::reverse_names(asio::any_io_executor executor, reverse_settings how)
    : state_{std::make_shared<state>(std::move(executor), std::move(how))} {}

reverse_names::~reverse_names() = default;

void reverse_names::want(const ip::address& who) {
    if (!state_->cache.find(os::now(), who)) {
        static_cast<void>(state_->ask(who));
    }
}

void reverse_names::tell(const ip::address& who, known then) {
    if (const auto name = state_->cache.find(os::now(), who)) {
        return then(*name);
    }
    auto& my = *state_;
    if (my.callers >= my.how.callers || !my.ask(who)) {
        ++my.turned_away;
        return then({});
    }
    ++my.callers;
    my.open[who].push_back(std::move(then));
}

std::uint64_t reverse_names::turned_away() const noexcept {
    return state_->turned_away;
}

void reverse_names::stop() {
    state_->stopped = true;
    state_->queue.clear();
    state_->callers = 0;
    for (const auto& [who, all] : std::exchange(state_->open, {})) {
        for (const auto& each : all) {
            each({});
        }
    }
}

} // namespace portico::run
