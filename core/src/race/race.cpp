#include "portico/race/race.hpp"

#include "portico/ip/canonical.hpp"

#include <algorithm>

namespace portico::race {
namespace {

config within_limits(config how) {
    how.attempt_delay =
        std::clamp(how.attempt_delay, config::min_attempt_delay, config::max_attempt_delay);
    how.resolution_delay = std::max(how.resolution_delay, duration::zero());
    how.first_family_count = std::max<std::size_t>(how.first_family_count, 1);
    how.max_addresses = std::max<std::size_t>(how.max_addresses, 1);
    return how;
}

ip::family other_than(ip::family which) {
    return which == ip::family::v4 ? ip::family::v6 : ip::family::v4;
}

bool is_reachable(const ip::destination& place) {
    return place.from.has_value();
}

// Whose turn is it after these attempts (RFC 8305 sections 4 and 6)?
struct turn {
    ip::family first;
    std::size_t lead_left; // how many of it in a row
};
turn next_turn(std::span<const attempt_report> tried, std::size_t first_family_count) {
    const auto lead = tried.front().to.address.family();
    const auto led = static_cast<std::size_t>(
        std::find_if(tried.begin(), tried.end(),
                     [lead](const auto& each) { return each.to.address.family() != lead; }) -
        tried.begin());
    if (led == tried.size() && led < first_family_count) {
        return {lead, first_family_count - led};
    }
    return {other_than(tried.back().to.address.family()), 1};
}

} // namespace

race::race(const config& how, instant now) : how_{within_limits(how)}, now_{now}, due_{now} {
    story_.began = now;
    if (how_.expect_v6) {
        story_.resolutions.push_back({ip::family::v6, {}, {}, {}});
    }
    if (how_.expect_v4) {
        story_.resolutions.push_back({ip::family::v4, {}, {}, {}});
    }
    settle();
}

// ---- what happened ----

void race::handle_addresses(instant now, ip::family which, std::span<const ip::destination> found) {
    if (decided_) {
        return;
    }
    advance(now);
    auto& answer = question(which);
    if (!answer.answered) {
        answer.answered = now_;
    }
    for (const auto& place : found) {
        note_found(answer, place.address);
        if (place.address.is_v4() && !is_reachable(place) && admit_translated(place.address)) {
            continue;
        }
        admit(place);
    }
    merge();
    begin_or_hold(which);
    settle();
}

void race::handle_resolve_failed(instant now, ip::family which, const error& why) {
    if (decided_) {
        return;
    }
    advance(now);
    auto& answer = question(which);
    if (!answer.answered) {
        answer.answered = now_;
        answer.why = why;
    }
    begin_or_hold(which);
    settle();
}

void race::handle_nat64(instant now, std::span<const translator> known) {
    if (decided_) {
        return;
    }
    advance(now);
    translators_.assign(known.begin(), known.begin() + static_cast<std::ptrdiff_t>(std::min(
                                                           known.size(), how_.max_addresses)));
    for (const auto& v4 : std::vector{v4_without_source_}) {
        if (admit_translated(v4)) {
            std::erase_if(untried_, [&v4](const auto& place) { return place.address == v4; });
        }
    }
    merge();
    settle();
}

void race::handle_connected(instant now, attempt_id id) {
    if (decided_ || id >= story_.attempts.size() ||
        story_.attempts[id].how != attempt_report::outcome::running) {
        return;
    }
    advance(now);
    story_.attempts[id].how = attempt_report::outcome::won;
    story_.attempts[id].ended = now_;
    --running_;
    decide(id, std::nullopt);
}

void race::handle_failed(instant now, attempt_id id, const error& why) {
    if (decided_ || id >= story_.attempts.size() ||
        story_.attempts[id].how != attempt_report::outcome::running) {
        return;
    }
    advance(now);
    auto& attempt = story_.attempts[id];
    attempt.how = attempt_report::outcome::failed;
    attempt.ended = now_;
    attempt.why = why;
    --running_;
    due_ = now_; // there is nothing to wait for: the next one starts at once
    settle();
}

void race::handle_deadline(instant now) {
    if (decided_) {
        return;
    }
    advance(now);
    settle();
}

void race::handle_cancel(instant now) {
    if (decided_) {
        return;
    }
    advance(now);
    decide(std::nullopt, error{std::make_error_code(std::errc::operation_canceled),
                               story_.attempts.empty() ? operation::resolve : operation::connect,
                               side::caller,
                               {}});
}

// ---- what to do ----

std::optional<action> race::poll_action() {
    if (!decided_) {
        return is_start_due() ? std::optional<action>{start_next()} : std::nullopt;
    }
    while (abandoned_ < story_.attempts.size()) {
        const auto& attempt = story_.attempts[abandoned_++];
        if (attempt.how == attempt_report::outcome::abandoned) {
            return abandon{attempt.id};
        }
    }
    return std::nullopt;
}

deadline race::poll_deadline() const {
    if (decided_) {
        return deadline::never();
    }
    auto next = how_.until;
    if (!order_.empty()) {
        next = std::min(next, deadline::at(held_until_.value_or(due_)));
    }
    return next;
}

bool race::is_start_due() const noexcept {
    return !order_.empty() && !held_until_ && due_ <= now_;
}

start race::start_next() {
    const auto id = static_cast<attempt_id>(story_.attempts.size());
    const ip::endpoint to{order_.front(), how_.port};
    order_.erase(order_.begin());
    std::erase_if(untried_, [&to](const auto& place) { return place.address == to.address; });
    story_.attempts.push_back({id, to, now_, now_, attempt_report::outcome::running, std::nullopt});
    ++running_;
    due_ = deadline::after(now_, how_.attempt_delay).when();
    return {id, to};
}

// ---- the addresses ----

void race::note_found(resolution_report& to, const ip::address& which) {
    if (to.found.size() < how_.max_addresses &&
        std::find(to.found.begin(), to.found.end(), which) == to.found.end()) {
        to.found.push_back(which);
    }
}

bool race::is_known(const ip::address& which) const noexcept {
    return std::any_of(untried_.begin(), untried_.end(),
                       [&](const auto& place) { return place.address == which; }) ||
           std::any_of(story_.attempts.begin(), story_.attempts.end(),
                       [&](const auto& attempt) { return attempt.to.address == which; });
}

void race::admit(const ip::destination& place) {
    if (is_known(place.address)) {
        return;
    }
    // Twice the limit may lie here until merge(), so that the better half of two answers is kept.
    if (untried_.size() >= 2 * how_.max_addresses) {
        ++story_.dropped;
        return;
    }
    if (place.address.is_v4() && !is_reachable(place)) {
        v4_without_source_.push_back(place.address);
    }
    untried_.push_back(place);
}

// RFC 8305 section 7.1: an IPv4 address in a network that has only IPv6 and a NAT64.
bool race::admit_translated(const ip::address& v4) {
    bool any = false;
    for (const auto& nat64 : translators_) {
        const auto made = ip::nat64_embed(nat64.through, v4);
        if (made && nat64.from) {
            admit({.address = *made, .from = nat64.from});
            any = true;
        }
    }
    return any;
}

// Brings what is not yet tried into the order in which to try it, and drops what is too much.
void race::merge() {
    arrange();
    const auto room = how_.max_addresses - std::min(how_.max_addresses, story_.attempts.size());
    while (order_.size() > room) {
        std::erase_if(untried_,
                      [this](const auto& place) { return place.address == order_.back(); });
        std::erase(v4_without_source_, order_.back());
        order_.pop_back();
        ++story_.dropped;
    }
}

// RFC 8305 sections 4 and 6.
void race::arrange() {
    auto sorted = untried_;
    ip::sort_destinations(sorted);
    // The families alternate among those that can be reached; the others would only cost time.
    const auto unreachable = std::stable_partition(sorted.begin(), sorted.end(), is_reachable);
    const std::span all{sorted};
    const auto reachable = static_cast<std::size_t>(unreachable - sorted.begin());
    for (const auto part : {all.first(reachable), all.subspan(reachable)}) {
        if (part.empty()) {
            continue;
        }
        const auto next = story_.attempts.empty()
                              ? turn{part.front().address.family(), how_.first_family_count}
                              : next_turn(story_.attempts, how_.first_family_count);
        interleave(part, next.first, next.lead_left);
    }
    order_.clear();
    for (const auto& place : sorted) {
        order_.push_back(place.address);
    }
}

// RFC 8305 section 3: the first addresses start the race, or wait for better ones.
void race::begin_or_hold(ip::family which) {
    if (!is_question_open()) {
        held_until_.reset();
        begun_ = begun_ || !order_.empty();
        return;
    }
    if (order_.empty()) {
        return;
    }
    const bool good = which == ip::family::v6 &&
                      std::any_of(untried_.begin(), untried_.end(), [](const auto& place) {
                          return place.address.is_v6() && is_reachable(place);
                      });
    if (good) {
        held_until_.reset();
    } else if (!begun_) {
        held_until_ = deadline::after(now_, how_.resolution_delay).when();
        advance(now_); // without a delay there is nothing to hold
    }
    begun_ = true;
}

// ---- the decision ----

void race::advance(instant now) noexcept {
    now_ = std::max(now_, now);
    if (held_until_ && now_ >= *held_until_) {
        held_until_.reset();
    }
}

resolution_report& race::question(ip::family which) {
    auto& all = story_.resolutions;
    const auto at = std::find_if(all.begin(), all.end(),
                                 [which](const auto& each) { return each.family == which; });
    return at != all.end() ? *at : all.emplace_back(resolution_report{which, {}, {}, {}});
}

bool race::is_question_open() const noexcept {
    return std::any_of(story_.resolutions.begin(), story_.resolutions.end(),
                       [](const auto& each) { return !each.answered; });
}

// Decides when nothing more can come.
void race::settle() {
    if (how_.until.has_passed(now_)) {
        const bool by_resolver = story_.attempts.empty() && is_question_open();
        decide(std::nullopt, error{std::make_error_code(std::errc::timed_out),
                                   by_resolver ? operation::resolve : operation::connect,
                                   by_resolver ? side::system : side::peer,
                                   {}});
    } else if (running_ == 0 && order_.empty() && !is_question_open()) {
        decide(std::nullopt, story_.attempts.empty() ? resolver_error() : attempts_error());
    }
}

void race::decide(std::optional<attempt_id> winner, std::optional<error> why) {
    decided_ = true;
    story_.ended = now_;
    story_.winner = winner;
    story_.why = why;
    story_.never_tried = std::move(order_);
    order_.clear();
    untried_.clear();
    for (auto& attempt : story_.attempts) {
        if (attempt.how == attempt_report::outcome::running) {
            attempt.how = attempt_report::outcome::abandoned;
            attempt.ended = now_;
        }
    }
    running_ = 0;
}

error race::resolver_error() const {
    // An answer that may be temporary says more than one about what is not there: nobody knows what
    // the name has.
    const auto weight = [](const error& why) {
        return why.code == errc::no_address ? 0 : why.code == errc::name_not_found ? 1 : 2;
    };
    std::optional<error> worst;
    for (const auto& answer : story_.resolutions) {
        if (answer.why && (!worst || weight(*answer.why) > weight(*worst))) {
            worst = answer.why;
        }
    }
    return worst.value_or(error{errc::no_address, operation::resolve, side::caller, {}});
}

error race::attempts_error() const {
    const auto& tried = story_.attempts;
    const auto who = [](const attempt_report& attempt) {
        return attempt.why ? attempt.why->who : side::peer;
    };
    const bool agree = std::all_of(tried.begin(), tried.end(), [&](const auto& attempt) {
        return who(attempt) == who(tried.front());
    });
    error all{
        errc::all_attempts_failed, operation::connect, agree ? who(tried.front()) : side::peer, {}};
    if (tried.size() == 1) {
        all.at = tried.front().to;
    }
    return all;
}

} // namespace portico::race
