// Any sequence of operations on a race, in any order and at any time: the rules that every race
// keeps hold after each of them.

#include "portico/race/race.hpp"
#include "portico/race/timeline.hpp"

#include <cstdint>
#include <cstdlib>
#include <set>

using namespace portico;

namespace {

void demand(bool holds) {
    if (!holds) {
        std::abort();
    }
}

// The input as a row of small numbers; zeros when it is used up.
class choices {
public:
    choices(const std::uint8_t* data, std::size_t size) : data_{data}, size_{size} {}
    [[nodiscard]] bool empty() const { return size_ == 0; }
    std::uint8_t next() {
        if (size_ == 0) {
            return 0;
        }
        --size_;
        return *data_++;
    }
    std::size_t below(std::size_t count) { return next() % count; }
    duration span() { return std::chrono::milliseconds{next()} * (below(4) == 0 ? 40 : 1); }

private:
    const std::uint8_t* data_;
    std::size_t size_;
};

const ip::source any_source{};

ip::address pooled(ip::family which, std::uint8_t number) {
    return which == ip::family::v4
               ? ip::address::v4(192, 0, 2, number)
               : ip::address::v6({0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, number});
}

std::vector<ip::destination> places(choices& from, ip::family which) {
    std::vector<ip::destination> made;
    for (auto count = from.below(9); count != 0; --count) {
        const auto bits = from.next();
        ip::destination place{.address = pooled(which, static_cast<std::uint8_t>(1 + bits % 16))};
        if ((bits & 0x10U) != 0) {
            place.from = any_source;
        }
        place.used_before = (bits & 0x20U) != 0;
        if ((bits & 0x40U) != 0) {
            place.rtt_ns = bits;
        }
        made.push_back(place);
    }
    return made;
}

race::config configured(choices& from) {
    race::config how;
    how.attempt_delay = from.span();
    how.resolution_delay = from.span() - std::chrono::milliseconds{1};
    how.first_family_count = from.below(4);
    how.max_addresses = from.below(40);
    const auto bits = from.next();
    how.expect_v4 = (bits & 1U) != 0;
    how.expect_v6 = (bits & 2U) != 0;
    if ((bits & 4U) != 0) {
        how.until = deadline::after(instant{}, from.span());
    }
    return how;
}

class checked_race {
public:
    explicit checked_race(choices& from)
        : from_{from}, how_{configured(from)}, race_{how_, instant{}} {
        drain();
    }

    void step() {
        // Half of the time goes by to exactly when something is due.
        const auto wake = race_.poll_deadline();
        const auto what = from_.below(9);
        if (from_.below(2) == 0) {
            now_ += from_.span();
        } else if (!wake.is_never()) {
            demand(wake.when() >= now_ || what_is_late());
            now_ = std::max(now_, wake.when());
        }
        const bool was_decided = race_.is_decided();
        handle(what, wake);
        if (was_decided) {
            demand(race_.is_decided());
            demand(race_.story().winner == winner_ && race_.story().ended == ended_);
            demand(race_.story().attempts.size() == started_);
        }
        drain();
        check();
    }

    void finish() {
        const auto text = race::draw(race_.story(), "fuzz", from_.next());
        for (const char c : text + race::describe(race_.story(), "fuzz")) {
            demand(c == '\n' || (c >= ' ' && c < '\x7f'));
        }
    }

private:
    // Time went on over a deadline that nobody was told about.
    [[nodiscard]] bool what_is_late() const { return late_; }

    void handle(std::size_t what, deadline wake) {
        const auto which = from_.below(2) == 0 ? ip::family::v4 : ip::family::v6;
        const auto id = static_cast<race::attempt_id>(from_.below(started_ + 2));
        const error why{std::make_error_code(std::errc::connection_refused),
                        operation::connect,
                        side::peer,
                        {}};
        late_ = !wake.is_never() && now_ > wake.when();
        switch (what) {
        case 0:
        case 1:
            race_.handle_addresses(now_, which, places(from_, which));
            break;
        case 2:
            race_.handle_resolve_failed(now_, which, why);
            break;
        case 3:
            failed_since_start_ = failed_since_start_ || is_running(id);
            race_.handle_failed(now_, id, why);
            break;
        case 4:
            if (from_.below(4) == 0) {
                const bool counts = is_running(id) && !race_.is_decided();
                race_.handle_connected(now_, id);
                demand(!counts || race_.story().winner == id);
            }
            break;
        case 5: {
            const auto prefix = ip::prefix::make(pooled(ip::family::v6, 0), 96);
            race_.handle_nat64(now_, std::vector{race::translator{*prefix, any_source}});
            break;
        }
        case 6:
            if (from_.below(16) == 0) {
                race_.handle_cancel(now_);
                demand(race_.is_decided());
            }
            break;
        default:
            race_.handle_deadline(now_);
            late_ = false;
            demand(!how_.until.has_passed(now_) || race_.is_decided());
            break;
        }
    }

    void drain() {
        while (const auto todo = race_.poll_action()) {
            if (const auto* begin = std::get_if<race::start>(&*todo)) {
                demand(!race_.is_decided());
                demand(begin->id == started_++);
                demand(tried_.insert(begin->to.address).second);
                const auto delay = std::clamp(how_.attempt_delay, race::config::min_attempt_delay,
                                              race::config::max_attempt_delay);
                demand(!last_start_ || now_ >= *last_start_ + delay || failed_since_start_);
                last_start_ = now_;
                failed_since_start_ = false;
                running_.insert(begin->id);
            } else {
                demand(race_.is_decided());
                demand(running_.erase(std::get<race::abandon>(*todo).id) == 1);
            }
        }
        if (race_.is_decided() && !ended_) {
            ended_ = race_.story().ended;
            winner_ = race_.story().winner;
        }
    }

    void check() {
        const auto& story = race_.story();
        const auto limit = std::max<std::size_t>(how_.max_addresses, 1);
        demand(story.attempts.size() == started_);
        demand(story.attempts.size() + story.never_tried.size() <= limit);
        for (const auto& answer : story.resolutions) {
            demand(answer.found.size() <= limit);
        }
        for (const auto& attempt : story.attempts) {
            const bool ended = attempt.how != race::attempt_report::outcome::running;
            demand(!race_.is_decided() || ended);
            demand(!ended || attempt.ended >= attempt.started);
            if (attempt.how == race::attempt_report::outcome::failed ||
                attempt.how == race::attempt_report::outcome::won) {
                running_.erase(attempt.id);
            }
        }
        if (race_.is_decided()) {
            demand(running_.empty());
            demand(story.winner.has_value() != story.why.has_value());
            demand(race_.poll_deadline().is_never());
        } else if (const auto wake = race_.poll_deadline(); !wake.is_never()) {
            check_progress(wake);
        } else {
            // Only an event can bring it on, so there has to be one to come.
            bool open = false;
            for (const auto& answer : story.resolutions) {
                open = open || !answer.answered;
            }
            demand(open || !running_.empty());
        }
    }

    // What is promised for the deadline happens, on a copy.
    void check_progress(deadline wake) const {
        auto copy = race_;
        copy.handle_deadline(wake.when());
        demand(copy.is_decided() || copy.poll_action().has_value() || copy.poll_deadline() > wake);
    }

    [[nodiscard]] bool is_running(race::attempt_id id) const { return running_.contains(id); }

    choices& from_;
    race::config how_;
    race::race race_;
    instant now_{};
    bool late_ = false;
    std::size_t started_ = 0;
    std::set<ip::address> tried_;
    std::set<race::attempt_id> running_;
    std::optional<instant> last_start_;
    bool failed_since_start_ = false;
    std::optional<instant> ended_;
    std::optional<race::attempt_id> winner_;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    choices from{data, size};
    checked_race running{from};
    while (!from.empty()) {
        running.step();
    }
    running.finish();
    return 0;
}
