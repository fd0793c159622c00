// A whole start: facts, plan, sockets, verdict.

#include "portico/run/listen.hpp"
#include "listen/open.hpp"
#include "portico/run/diagnose.hpp"
#include "portico/run/listen_facts.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>

#include <algorithm>
#include <utility>

namespace portico::run {
namespace {

// The exit code follows from this: when every failure is the caller's, trying again is no use. A
// name without an answer or an interface without an address may have one later.
side blame_for(const listen_report& report) {
    const auto failed_by = [&report](auto accuse) {
        return std::any_of(report.attempts.begin(), report.attempts.end(),
                           [&](const auto& each) { return each.why && accuse(each.why->who); });
    };
    const bool fault =
        std::any_of(report.made.remarks.begin(), report.made.remarks.end(),
                    [](const auto& each) { return each.how == plan::remark::weight::fault; });
    const bool ours = fault || failed_by([](side who) { return who == side::caller; });
    const bool others = failed_by([](side who) { return who != side::caller; });
    return ours && !others ? side::caller : side::system;
}

listen_outcome listen_now(const asio::any_io_executor& executor,
                          const std::vector<plan::wish>& wishes, const plan::facts& known,
                          std::vector<held_socket> held, const bind_call& bind) {
    listen_outcome outcome;
    auto& report = outcome.report;
    report.made = plan::make_plan(wishes, known);
    auto opened = open_plan(report.made, wishes, std::move(held), bind);
    report.attempts = std::move(opened.attempts);
    report.missing = plan::judge(wishes, report.made, opened.bound);
    plan::forget_refuted(report.made, opened.bound);
    if (!report.missing) {
        outcome.sockets = std::make_unique<listener>(executor, std::move(opened.sockets));
        return outcome;
    }
    report.why = error{report.missing->code, operation::listen, blame_for(report), {}};
    for (const auto each : opened.taken_over) {
        opened.sockets[each].file.reset(); // it is not ours to remove
    }
    listener{executor, std::move(opened.sockets)}.close(); // also removes the files that were made
    explain(report);
    return outcome;
}

// Why no plan was made, in the form of a report.
listen_outcome refused(const listen_facts& facts) {
    listen_outcome outcome;
    outcome.report.why = facts.why;
    outcome.report.missing = plan::shortfall{
        facts.why->code, 0, facts.hint.empty() ? facts.what : facts.what + " (" + facts.hint + ")"};
    return outcome;
}

} // namespace

void explain(listen_report& report) {
    int left = 16; // looking takes a while
    for (auto& each : report.attempts) {
        if (!each.why) {
            continue;
        }
        if (left == 0) {
            each.remarks.push_back("what is in its way was not looked at: portico why " +
                                   ip::to_text(each.why->at) + " says it");
            continue;
        }
        --left;
        if (auto cause = cause_of(*each.why, report.made.sockets[each.planned].over);
            !cause.empty()) {
            each.remarks.push_back(std::move(cause));
        }
    }
}

void detail::start_listen(const asio::any_io_executor& executor, std::vector<plan::wish> wishes,
                          std::vector<held_socket> held, deadline until, bind_call bind,
                          completion<listen_outcome> done) {
    const auto slot = done.slot();
    auto then = [executor, wishes, held = std::move(held), bind = std::move(bind),
                 done = std::move(done)](listen_facts facts) mutable {
        facts.known.privileged = facts.known.privileged || bind;
        done(facts.why ? refused(facts)
                       : listen_now(executor, wishes, facts.known, std::move(held), bind));
    };
    async_listen_facts(
        executor, std::move(wishes), until,
        asio::bind_cancellation_slot(slot, asio::bind_executor(executor, std::move(then))));
}

} // namespace portico::run
