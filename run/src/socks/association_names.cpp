// Names that datagrams are sent to: each is resolved once, and what comes meanwhile waits.

#include "dial/sources.hpp"
#include "portico/os/clock.hpp"
#include "portico/run/resolve.hpp"
#include "socks/association.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>

#include <algorithm>
#include <utility>

namespace portico::run {
namespace {

constexpr std::size_t most_questions = 8;  // at once; each is a process
constexpr std::size_t most_addresses = 32; // of one name and family
constexpr std::size_t most_waiting = 16;   // datagrams of one name
constexpr std::size_t most_waiting_bytes = 64 << 10;
constexpr auto question_patience = std::chrono::seconds{10};
constexpr auto failure_lifetime = std::chrono::seconds{5};

} // namespace

void socks_association::handle_named(const wire::socks5_name& to, std::span<const std::byte> data) {
    const std::string name{to.name};
    if (with_->refuse_unresolved(name, to.port)) {
        return drop(socks_drop::not_allowed);
    }
    auto* known = find(name);
    if (known == nullptr) {
        return drop(socks_drop::waiting);
    }
    known->used = os::now();
    if (known->asking != 0) {
        if (known->waiting.size() >= most_waiting ||
            waiting_bytes_ + data.size() > most_waiting_bytes) {
            return drop(socks_drop::waiting);
        }
        waiting_bytes_ += data.size();
        known->waiting.push_back({to.port, {data.begin(), data.end()}});
        return;
    }
    send_to_any(name, *known, to.port, data);
}

// Asks for one that is not known. nullptr: too many are asked for already.
socks_association::named* socks_association::find(const std::string& name) {
    const auto known = names_.find(name);
    if (known != names_.end() &&
        (!known->second.failed || *known->second.failed + failure_lifetime > os::now())) {
        return &known->second;
    }
    const std::size_t questions = with_->options.settings.from ? 1 : 2;
    if (lookups_.size() + questions > most_questions) {
        return nullptr;
    }
    if (known == names_.end() &&
        names_.size() >= std::max<std::size_t>(with_->options.max_names, 1)) {
        const auto oldest =
            std::min_element(names_.begin(), names_.end(), [](const auto& a, const auto& b) {
                return std::pair{a.second.asking, a.second.used} <
                       std::pair{b.second.asking, b.second.used};
            });
        if (oldest->second.asking != 0) {
            return nullptr;
        }
        names_.erase(oldest);
    }
    auto& made = names_[name];
    made = {};
    ask(name, made);
    return &made;
}

void socks_association::ask(const std::string& name, named& which) {
    const auto& from = with_->options.settings.from;
    for (const auto each : {ip::family::v6, ip::family::v4}) {
        if (!from || from->address.family() == each) {
            ++which.asking;
            ask(name, each);
        }
    }
}

void socks_association::ask(const std::string& name, ip::family which) {
    const auto signal = lookups_.emplace(lookups_.end());
    auto answered = [self = shared_from_this(), name, signal](result<os::lookup_answer> got) {
        self->lookups_.erase(signal);
        if (self->over_) {
            self->handle_answer(name, std::move(got));
        }
    };
    async_resolve(with_->executor, name, which, false,
                  deadline::after(os::now(), question_patience),
                  asio::bind_cancellation_slot(
                      signal->slot(), asio::bind_executor(with_->executor, std::move(answered))));
}

void socks_association::handle_answer(const std::string& name, result<os::lookup_answer> got) {
    auto& known = names_.at(name); // it is kept while it is asked for
    if (got) {
        const std::span all{got->addresses};
        for (const auto& each : all.first(std::min(all.size(), most_addresses))) {
            known.found.push_back({each, std::nullopt});
        }
    }
    if (--known.asking != 0) {
        return;
    }
    const auto& from = with_->options.settings.from;
    source_finder sources{from ? std::optional{from->address} : std::nullopt};
    for (auto& each : known.found) {
        each.from = sources.find({each.address, 9}); // of any port
    }
    ip::sort_destinations(known.found);
    if (known.found.empty()) {
        known.failed = os::now();
    }
    for (const auto& each : std::exchange(known.waiting, {})) {
        waiting_bytes_ -= each.data.size();
        send_to_any(name, known, each.port, each.data);
    }
}

// The first address that may be sent to and can be.
void socks_association::send_to_any(const std::string& name, const named& known, std::uint16_t port,
                                    std::span<const std::byte> data) {
    if (!with_->has_egress) {
        return drop(socks_drop::no_egress);
    }
    auto why = socks_drop::unresolved;
    for (const auto& each : known.found) {
        if (send(name, {each.address, port}, data, why) == sent::yes) {
            return;
        }
        if (why == socks_drop::busy || why == socks_drop::too_large) {
            break; // another address is no help
        }
    }
    drop(why);
}

} // namespace portico::run
