// Many random races with printed seeds, held against rules that every race keeps.
#include "portico/race/race.hpp"

#include "race/scripted_network.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <random>
#include <set>

namespace portico::race {
namespace {

using namespace std::chrono_literals;
using test::happening;
using test::run_result;
using test::script;
using test::start_of_time;
using kind = happening::kind;
using outcome = attempt_report::outcome;

constexpr std::uint64_t races = 20'000;

// The standard's distributions differ between libraries; a seed has to mean the same everywhere.
class dice {
public:
    explicit dice(std::uint64_t seed) : engine_{seed} {}
    std::size_t below(std::size_t count) { return static_cast<std::size_t>(engine_() % count); }
    bool one_in(std::size_t count) { return below(count) == 0; }
    // Multiples of 10 ms, so that much happens at the same instant.
    duration time(std::size_t most) { return 10ms * static_cast<int>(below(most / 10 + 1)); }

private:
    std::mt19937_64 engine_;
};

const auto v4_source = ip::source{.address = ip::address::v4(192, 0, 2, 200)};
const auto v6_source = ip::source{
    .address = ip::address::v6({0x20, 1, 0xd, 0xb8, 9, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9})};

ip::address pooled(ip::family which, std::size_t number) {
    const auto last = static_cast<std::uint8_t>(number + 1);
    return which == ip::family::v4
               ? ip::address::v4(198, 51, 100, last)
               : ip::address::v6({0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last});
}

std::vector<ip::destination> random_places(dice& random, ip::family which) {
    std::vector<ip::destination> made;
    for (auto count = random.below(7); count != 0; --count) {
        ip::destination place{.address = pooled(which, random.below(8))};
        if (!random.one_in(5)) {
            place.from = which == ip::family::v4 ? v4_source : v6_source;
        }
        place.used_before = random.one_in(8);
        made.push_back(place);
    }
    return made;
}

config random_config(dice& random) {
    static constexpr std::array delays{0ms, 10ms, 100ms, 250ms, 2000ms, 60'000ms};
    config how;
    how.attempt_delay = delays[random.below(delays.size())];
    how.resolution_delay = 10ms * static_cast<int>(random.below(10));
    how.first_family_count = random.below(4);
    how.max_addresses = random.one_in(4) ? random.below(6) : 64;
    how.port = 80;
    if (!random.one_in(3)) {
        how.until = deadline::at(start_of_time + random.time(6000));
    }
    how.expect_v4 = !random.one_in(8);
    how.expect_v6 = !random.one_in(8);
    return how;
}

script random_script(dice& random) {
    script made;
    made.how = random_config(random);
    for (const auto which : {ip::family::v6, ip::family::v4}) {
        for (auto count = random.one_in(6) ? 2 : 1; count != 0; --count) {
            if (random.one_in(10)) {
                continue; // no answer
            }
            test::scripted_answer answer{random.time(random.one_in(3) ? 2000 : 100), which, {}, {}};
            if (random.one_in(6)) {
                answer.why = error{errc::no_address, operation::resolve, side::system, {}};
            } else {
                answer.found = random_places(random, which);
            }
            made.answers.push_back(answer);
        }
        for (std::size_t i = 0; i < 8; ++i) {
            if (!random.one_in(4)) {
                made.fates[pooled(which, i)] = {random.time(random.one_in(2) ? 4000 : 40),
                                                random.one_in(3)};
            }
        }
    }
    if (random.one_in(6)) {
        const auto through = ip::prefix::make(ip::parse_address("64:ff9b::").value(), 96).value();
        made.nat64 = {{random.time(300), {{through, v6_source}}}};
    }
    if (random.one_in(20)) {
        made.cancel = random.time(2000);
    }
    return made;
}

run_result play_seed(std::uint64_t seed, script& used) {
    dice random{seed};
    used = random_script(random);
    script driven = used;
    driven.pick = [&random](std::size_t count) { return random.below(count); };
    driven.batch = [&random] { return random.one_in(2); };
    return test::play(driven);
}

// ---- the rules; each gives the rule that is broken, or nothing ----

std::string check_distances(const script& used, const run_result& run) {
    const auto delay =
        std::clamp(used.how.attempt_delay, config::min_attempt_delay, config::max_attempt_delay);
    std::optional<duration> last;
    bool failed_since = false;
    for (const auto& each : run.log) {
        failed_since = failed_since || each.what == kind::fail;
        if (each.what == kind::start) {
            if (last && each.at < *last + delay && !failed_since) {
                return "two starts are closer than the delay, without a failure between them";
            }
            last = each.at;
            failed_since = false;
        }
    }
    return {};
}

std::string check_after_decision(const run_result& run) {
    for (const auto& each : run.log) {
        if (each.what == kind::start && each.after_decision) {
            return "an attempt starts after the decision";
        }
        if (each.what == kind::abandon && !each.after_decision) {
            return "an attempt is abandoned before the decision";
        }
        if (each.what == kind::wake && each.after_decision) {
            return "a decided race wants to be woken";
        }
    }
    return {};
}

// Each start ends once, in the way that the report tells.
std::string check_attempts(const run_result& run) {
    const auto& story = run.story;
    std::vector<std::vector<kind>> ends(story.attempts.size());
    std::set<ip::address> tried;
    attempt_id next = 0;
    for (const auto& each : run.log) {
        if (each.what == kind::start) {
            if (each.id != next++ || each.id >= story.attempts.size() ||
                story.attempts[each.id].to.address != each.who ||
                story.attempts[each.id].started != start_of_time + each.at) {
                return "a start is not as the report has it";
            }
            if (!tried.insert(each.who).second) {
                return "an address is tried twice";
            }
        } else if (each.what == kind::abandon ||
                   ((each.what == kind::connect || each.what == kind::fail) &&
                    !each.after_decision)) {
            ends[each.id].push_back(each.what);
        }
    }
    if (next != story.attempts.size()) {
        return "the report has attempts that never started";
    }
    for (const auto& attempt : story.attempts) {
        const auto& seen = ends[attempt.id];
        const auto wanted = attempt.how == outcome::won         ? std::vector{kind::connect}
                            : attempt.how == outcome::failed    ? std::vector{kind::fail}
                            : attempt.how == outcome::abandoned ? std::vector{kind::abandon}
                                                                : std::vector<kind>{};
        if (seen != wanted) {
            return "an attempt did not end exactly once, as the report has it";
        }
        if (run.decided && attempt.how == outcome::running) {
            return "an attempt still runs after the decision";
        }
        if ((attempt.how == outcome::won) != (story.winner == attempt.id)) {
            return "the winner is not the attempt that won";
        }
        if (attempt.why.has_value() != (attempt.how == outcome::failed)) {
            return "an attempt has an error and did not fail, or the reverse";
        }
    }
    return {};
}

// What was found is tried or listed as never tried, unless it was dropped or translated.
std::string check_nothing_lost(const script& used, const run_result& run) {
    const auto& story = run.story;
    const auto limit = std::max<std::size_t>(used.how.max_addresses, 1);
    if (!run.decided || story.dropped != 0 || !used.nat64.empty()) {
        return story.attempts.size() + story.never_tried.size() > limit ? "more than the limit"
                                                                        : "";
    }
    std::set<ip::address> kept{story.never_tried.begin(), story.never_tried.end()};
    for (const auto& attempt : story.attempts) {
        if (!kept.insert(attempt.to.address).second) {
            return "an address is both tried and never tried";
        }
    }
    std::set<ip::address> found;
    for (const auto& each : run.log) {
        if (each.what == kind::answer && !each.after_decision) {
            const auto& answer = used.answers[each.id];
            for (const auto& place : answer.found) {
                found.insert(place.address);
            }
        }
    }
    return found == kept ? "" : "an address was lost";
}

std::string check_decision(const script& used, const run_result& run) {
    const auto& story = run.story;
    const auto answered = [&](ip::family which) {
        return std::any_of(used.answers.begin(), used.answers.end(),
                           [which](const auto& answer) { return answer.which == which; });
    };
    const bool silent = (used.how.expect_v4 && !answered(ip::family::v4)) ||
                        (used.how.expect_v6 && !answered(ip::family::v6));
    const bool may_hang = used.how.until.is_never();
    if (!run.decided) {
        const bool waits = silent || std::any_of(story.attempts.begin(), story.attempts.end(),
                                                 [](const auto& attempt) {
                                                     return attempt.how == outcome::running;
                                                 });
        return may_hang && waits && !story.winner ? "" : "a race without an end";
    }
    if (story.winner.has_value() == story.why.has_value()) {
        return "there is not exactly one of a winner and an error";
    }
    if (used.how.until.has_passed(story.ended) && story.ended != used.how.until.when() &&
        !story.winner) {
        return "it ended after its deadline";
    }
    // Its connection is the first that was told.
    for (const auto& each : run.log) {
        if (each.what == kind::connect) {
            return story.winner == each.id || each.after_decision ? ""
                                                                  : "the first connection lost";
        }
    }
    return story.winner ? "a winner without a connection" : "";
}

// After a failure the next start is at once, if an address was known by then.
std::string check_failure_starts_next(const script& used, const run_result& run) {
    std::map<ip::address, duration> known;
    for (const auto& each : run.log) {
        if (each.what == kind::answer) {
            for (const auto& place : used.answers[each.id].found) {
                known.try_emplace(place.address, each.at);
            }
        }
    }
    for (auto at = run.log.begin(); at != run.log.end(); ++at) {
        if (at->what != kind::fail || at->after_decision) {
            continue;
        }
        const auto next = std::find_if(at, run.log.end(),
                                       [](const auto& each) { return each.what == kind::start; });
        if (next != run.log.end() && next->at > at->at && known.contains(next->who) &&
            known[next->who] <= at->at) {
            return "a failure did not start the next attempt at once";
        }
    }
    return {};
}

// An address that can be reached in time means a winner.
std::string check_reachable_wins(const script& used, const run_result& run) {
    const auto& how = used.how;
    if (used.cancel || run.story.dropped != 0 || !used.nat64.empty() || run.story.winner) {
        return {};
    }
    const auto delay =
        std::clamp(how.attempt_delay, config::min_attempt_delay, config::max_attempt_delay);
    for (const auto& each : run.log) {
        if (each.what != kind::answer || each.after_decision) {
            continue;
        }
        for (const auto& place : used.answers[each.id].found) {
            const auto fate = used.fates.find(place.address);
            if (fate == used.fates.end() || !fate->second.connects) {
                continue;
            }
            // At worst it is the last of all 16 addresses, each a delay after the one before.
            const auto latest = each.at + how.resolution_delay + 16 * delay + fate->second.after;
            if (how.until.is_never() || start_of_time + latest < how.until.when()) {
                return "an address that could be reached was not";
            }
        }
    }
    return {};
}

std::string first_broken_rule(const script& used, const run_result& run) {
    for (const auto& broken :
         {run.broken, check_distances(used, run), check_after_decision(run), check_attempts(run),
          check_nothing_lost(used, run), check_decision(used, run),
          check_failure_starts_next(used, run), check_reachable_wins(used, run)}) {
        if (!broken.empty()) {
            return broken;
        }
    }
    return {};
}

TEST(race_random, every_race_keeps_the_rules) {
    std::size_t won = 0;
    std::size_t lost = 0;
    std::size_t timed_out = 0;
    std::size_t many = 0;
    for (std::uint64_t seed = 0; seed < races; ++seed) {
        script used;
        const auto run = play_seed(seed, used);
        const auto broken = first_broken_rule(used, run);
        ASSERT_TRUE(broken.empty()) << "seed " << seed << ": " << broken;
        won += run.story.winner ? 1U : 0U;
        lost += run.story.why && run.story.why->code == errc::all_attempts_failed ? 1U : 0U;
        timed_out += run.story.why && run.story.why->code == std::errc::timed_out ? 1U : 0U;
        many += run.story.attempts.size() > 3 ? 1U : 0U;
    }
    // The rules mean nothing when no race gets anywhere.
    EXPECT_GT(won, races / 20);
    EXPECT_GT(lost, races / 100);
    EXPECT_GT(timed_out, races / 20);
    EXPECT_GT(many, races / 20);
}

TEST(race_random, the_same_seed_gives_the_same_race) {
    for (std::uint64_t seed = 0; seed < 500; ++seed) {
        script used;
        const auto once = play_seed(seed, used);
        const auto again = play_seed(seed, used);
        ASSERT_EQ(once.log, again.log) << "seed " << seed;
        ASSERT_EQ(once.story.winner, again.story.winner) << "seed " << seed;
        ASSERT_EQ(once.story.never_tried, again.story.never_tried) << "seed " << seed;
    }
}

} // namespace
} // namespace portico::race
