// Names and facts, gathered before a plan is made.

#include "portico/run/listen_facts.hpp"

#include "portico/os/facts.hpp"
#include "portico/run/resolve.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <cerrno>
#include <deque>

namespace portico::run {
namespace {

struct question {
    std::string name;
    ip::family family;
};

// A family is asked for when some wish with this name has a use for it.
std::deque<question> questions(const std::vector<plan::wish>& wishes) {
    std::deque<question> all;
    for (const auto& name : plan::names_to_resolve(wishes)) {
        for (const auto family : {ip::family::v6, ip::family::v4}) {
            const bool wanted = std::any_of(wishes.begin(), wishes.end(), [&](const auto& each) {
                const auto* host = std::get_if<ip::host_name>(&each.where.where);
                return host != nullptr && host->name == name &&
                       (!each.only || *each.only == family);
            });
            if (wanted) {
                all.push_back({name, family});
            }
        }
    }
    return all;
}

// The kernel's side. Descriptors that a wish names are looked at even when LISTEN_FDS does not
// count them, so that a shell redirection is enough for "fd:3".
void ask_kernel(const std::vector<plan::wish>& wishes, listen_facts& facts) {
    auto gathered = os::gather_facts();
    if (!gathered) {
        facts.why = gathered.error().why;
        facts.what = gathered.error().what;
        facts.hint = gathered.error().hint;
        return;
    }
    gathered->known.resolved = std::move(facts.known.resolved);
    gathered->known.unresolved = std::move(facts.known.unresolved);
    facts.known = std::move(gathered->known);
    facts.unknown = std::move(gathered->unknown);
    auto& have = facts.known.inherited;
    for (const auto& each : wishes) {
        const auto* given = std::get_if<ip::inherited_fd>(&each.where.where);
        if (given == nullptr || std::any_of(have.begin(), have.end(), [&](const auto& known) {
                return known.number == given->number;
            })) {
            continue;
        }
        if (auto seen = os::inspect_socket(given->number)) {
            have.push_back(*std::move(seen));
        }
    }
}

class gathering : public std::enable_shared_from_this<gathering> {
public:
    gathering(asio::any_io_executor executor, std::vector<plan::wish> wishes, deadline until,
              completion<listen_facts> done)
        : executor_{std::move(executor)}, wishes_{std::move(wishes)}, until_{until},
          done_{std::move(done)}, questions_{questions(wishes_)} {}

    void start() {
        if (auto slot = done_->slot(); slot.is_connected()) {
            slot.assign([me = weak_from_this()](asio::cancellation_type) {
                if (const auto self = me.lock()) {
                    // Not at once: completing takes this very handler away.
                    asio::post(self->executor_, [self] { self->cancel(); });
                }
            });
        }
        asio::post(executor_, [self = shared_from_this()] { self->go_on(); });
    }

private:
    static constexpr std::size_t most_at_a_time = 16;

    void go_on() {
        if (!done_) {
            return;
        }
        while (running_ < most_at_a_time && !questions_.empty()) {
            ask(questions_.front());
            questions_.pop_front();
        }
        if (running_ == 0) {
            finish();
        }
    }

    void ask(const question& what) {
        ++running_;
        auto& signal = signals_.emplace_back();
        async_resolve(executor_, what.name, what.family, true, until_,
                      asio::bind_cancellation_slot(
                          signal.slot(),
                          asio::bind_executor(executor_, [self = shared_from_this(),
                                                          what](result<os::lookup_answer> got) {
                              self->handle_answer(what, std::move(got));
                          })));
    }

    void handle_answer(const question& what, result<os::lookup_answer> got) {
        --running_;
        if (got) {
            auto& addresses = facts_.known.resolved[what.name];
            addresses.insert(addresses.end(), got->addresses.begin(), got->addresses.end());
            facts_.known.unresolved.erase(what.name);
        } else if (!facts_.known.resolved.contains(what.name)) {
            facts_.known.unresolved[what.name] = got.error().code.message();
        }
        go_on();
    }

    void finish() {
        ask_kernel(wishes_, facts_);
        std::exchange(done_, std::nullopt).value()(std::move(facts_));
    }

    void cancel() {
        if (!done_) {
            return;
        }
        questions_.clear();
        auto done = std::exchange(done_, std::nullopt);
        for (auto& each : signals_) {
            each.emit(asio::cancellation_type::total);
        }
        listen_facts cancelled;
        cancelled.why =
            error{{ECANCELED, std::system_category()}, operation::resolve, side::caller, {}};
        cancelled.what = "the start was cancelled";
        (*done)(std::move(cancelled));
    }

    asio::any_io_executor executor_;
    std::vector<plan::wish> wishes_;
    deadline until_;
    std::optional<completion<listen_facts>> done_;
    std::deque<question> questions_;
    std::deque<asio::cancellation_signal> signals_; // they must not move
    std::size_t running_ = 0;
    listen_facts facts_;
};

} // namespace

void detail::start_listen_facts(asio::any_io_executor executor, std::vector<plan::wish> wishes,
                                deadline until, completion<listen_facts> done) {
    std::make_shared<gathering>(std::move(executor), std::move(wishes), until, std::move(done))
        ->start();
}

} // namespace portico::run
