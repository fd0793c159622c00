#include "relay/board.hpp"

#include "dial/sources.hpp"
#include "portico/os/clock.hpp"
#include "portico/run/resolve.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>

namespace portico::run {
namespace {

constexpr duration patience = std::chrono::seconds{10}; // for one answer

} // namespace

target_board::target_board(asio::any_io_executor executor, std::vector<dial_target> targets,
                           const dial_request& how)
    : executor_{std::move(executor)}, timer_{executor_}, from_{
                                                             how.from
                                                                 ? std::optional{how.from->address}
                                                                 : std::nullopt} {
    for (auto& each : targets) {
        entries_.push_back({std::move(each)});
    }
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
        which.places = std::make_shared<const std::vector<target_place>>(std::move(made));
    }
    which.trouble = which.places
                        ? ""
                        : which.where.title + ": " +
                              (which.failed.empty() ? "the name has no address" : which.failed);
}

void target_board::wait() {
    if (known_) {
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

std::optional<target_choice> target_board::choose(instant, const ip::any_endpoint&,
                                                  std::span<const std::uint32_t> tried) {
    const std::lock_guard locked{mutex_};
    const auto count = static_cast<std::uint32_t>(entries_.size());
    for (std::uint32_t i = 0; i < count; ++i) {
        const auto which = (next_ + i) % count;
        if (!entries_[which].places ||
            std::find(tried.begin(), tried.end(), which) != tried.end()) {
            continue;
        }
        next_ = (which + 1) % count;
        return target_choice{which, entries_[which].places};
    }
    return std::nullopt;
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
