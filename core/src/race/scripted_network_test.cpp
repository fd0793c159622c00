#include "race/scripted_network.hpp"

#include <algorithm>

namespace portico::race::test {
namespace {

using kind = happening::kind;

// Something that will happen to the race.
struct pending {
    duration at{};
    kind what = kind::answer;
    std::size_t index = 0; // of the answer, the translators, or the attempt
};

error refused() {
    return {
        std::make_error_code(std::errc::connection_refused), operation::connect, side::peer, {}};
}

class player {
public:
    explicit player(const script& what) : script_{what}, race_{what.how, start_of_time} {
        for (std::size_t i = 0; i < what.answers.size(); ++i) {
            future_.push_back({what.answers[i].at, kind::answer, i});
        }
        for (std::size_t i = 0; i < what.nat64.size(); ++i) {
            future_.push_back({what.nat64[i].first, kind::nat64, i});
        }
        if (what.cancel) {
            future_.push_back({*what.cancel, kind::cancel, 0});
        }
    }

    run_result play() {
        drain();
        while (step()) {
        }
        result_.story = race_.story();
        result_.decided = race_.is_decided();
        return std::move(result_);
    }

private:
    // Handles the next thing that is due, or several at the same instant, and polls.
    bool step() {
        const auto wake = race_.poll_deadline();
        const auto next = soonest();
        if (wake.is_never() && !next) {
            return false;
        }
        const bool both = next && !wake.is_never() && start_of_time + *next == wake.when();
        const bool event_first = next && (wake.is_never() || start_of_time + *next < wake.when() ||
                                          (both && script_.pick(2) == 0));
        if (!event_first) {
            return handle_wake(wake);
        }
        do {
            handle_one_of(*next);
        } while (soonest() == next && script_.batch());
        drain();
        return true;
    }

    bool handle_wake(deadline wake) {
        if (wake.when() < start_of_time + now_) {
            result_.broken = "the deadline lies in the past";
            return false;
        }
        now_ = wake.when() - start_of_time;
        note({kind::wake, now_, 0, {}, race_.is_decided()});
        race_.handle_deadline(wake.when());
        const auto before = result_.log.size();
        drain();
        const bool progress =
            race_.is_decided() || result_.log.size() > before || race_.poll_deadline() > wake;
        if (!progress) {
            result_.broken = "the deadline brought nothing on";
        }
        return progress;
    }

    std::optional<duration> soonest() const {
        const auto at = std::min_element(future_.begin(), future_.end(),
                                         [](auto& a, auto& b) { return a.at < b.at; });
        return at == future_.end() ? std::nullopt : std::optional{at->at};
    }

    void handle_one_of(duration at) {
        now_ = at;
        std::vector<std::size_t> due;
        for (std::size_t i = 0; i < future_.size(); ++i) {
            if (future_[i].at == at) {
                due.push_back(i);
            }
        }
        const auto chosen = due[script_.pick(due.size()) % due.size()];
        const auto event = future_[chosen];
        future_.erase(future_.begin() + static_cast<std::ptrdiff_t>(chosen));
        handle(event);
    }

    void handle(const pending& event) {
        const auto now = start_of_time + event.at;
        const auto id = static_cast<attempt_id>(event.index);
        const bool late = race_.is_decided();
        const auto who = event.what == kind::connect || event.what == kind::fail
                             ? race_.story().attempts[event.index].to.address
                             : ip::address{};
        note({event.what, event.at, id, who, late});
        switch (event.what) {
        case kind::answer:
            if (const auto& answer = script_.answers[event.index]; answer.why) {
                race_.handle_resolve_failed(now, answer.which, *answer.why);
            } else {
                race_.handle_addresses(now, answer.which, answer.found);
            }
            break;
        case kind::nat64:
            race_.handle_nat64(now, script_.nat64[event.index].second);
            break;
        case kind::connect:
            race_.handle_connected(now, id);
            break;
        case kind::fail:
            race_.handle_failed(now, id, refused());
            break;
        case kind::cancel:
            race_.handle_cancel(now);
            break;
        case kind::wake:
        case kind::start:
        case kind::abandon:
            break;
        }
    }

    void drain() {
        while (const auto todo = race_.poll_action()) {
            if (const auto* begin = std::get_if<start>(&*todo)) {
                note({kind::start, now_, begin->id, begin->to.address, race_.is_decided()});
                const auto fate = script_.fates.find(begin->to.address);
                if (fate != script_.fates.end()) {
                    future_.push_back({now_ + fate->second.after,
                                       fate->second.connects ? kind::connect : kind::fail,
                                       begin->id});
                }
            } else {
                const auto id = std::get<abandon>(*todo).id;
                note({kind::abandon, now_, id, {}, race_.is_decided()});
            }
        }
    }

    void note(const happening& what) { result_.log.push_back(what); }

    const script& script_;
    race race_;
    std::vector<pending> future_;
    duration now_{};
    run_result result_;
};

} // namespace

run_result play(const script& what) {
    return player{what}.play();
}

} // namespace portico::race::test
