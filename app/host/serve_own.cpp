// What the host answers itself: how its services are doing, and orders.

#include "host/serve_run.hpp"
#include "service/own_service.hpp"

#include <utility>

namespace portico::app {

service_choice serve_run::own(own_part which) {
    if (which == own_part::control) {
        return own_choice([this](const boost::asio::any_io_executor& executor) {
            return make_control_service(executor,
                                        [this](const control_order& order, control_reply reply) {
                                            obey(order, std::move(reply));
                                        });
        });
    }
    const auto speech = which == own_part::metrics ? status_speech::http : status_speech::lines;
    return own_choice([this, speech](const boost::asio::any_io_executor& executor) {
        return make_status_service(executor, speech,
                                   [this](status_form how) { return status(how); });
    });
}

// ---- orders ----

void serve_run::obey(const control_order& order, control_reply reply) {
    if (ending_) {
        return reply({exit_code(side::system), "this process is ending already\n"});
    }
    if (order.what == control_order::kind::reload) {
        reload_asked_.push_back(std::move(reply));
        return reload();
    }
    if (handover_answer_ || after_) {
        return reply({exit_code(side::system), "a handover is on its way already\n"});
    }
    handover_answer_ = std::move(reply);
    handover_program_ = order.program;
    hand_over();
}

void serve_run::answer_reload(const control_outcome& outcome) {
    for (const auto& each : std::exchange(reload_answers_, {})) {
        each(outcome);
    }
}

void serve_run::answer_handover(const control_outcome& outcome) {
    if (const auto reply = std::exchange(handover_answer_, nullptr)) {
        reply(outcome);
    }
}

void serve_run::refuse_orders() {
    const control_outcome why{exit_code(side::system), "this process was told to end\n"};
    answer_handover(why);
    answer_reload(why);
    reload_answers_ = std::exchange(reload_asked_, {});
    answer_reload(why);
}

// ---- how it is doing ----

std::string serve_run::status(status_form how) const {
    host_figures now;
    now.now = os::now();
    now.up = now.now - began_;
    now.process = figures();
    for (const auto& each : services_) {
        auto& one = now.services.emplace_back();
        one.name = each.config.name;
        one.now = now.now;
        each.run->read(one);
    }
    return how == status_form::table  ? to_table(now)
           : how == status_form::json ? to_json(now)
                                      : to_prometheus(now);
}

process_figures serve_run::figures() const {
    auto made = read_process_figures();
    auto& served = made.served.emplace();
    served.reloads = reloads_;
    served.reloads_failed = reloads_failed_;
    served.handovers = handovers_;
    served.handovers_failed = handovers_failed_;
    for (const auto& each : leaving_) {
        served.leaving += each->connections();
    }
    return made;
}

} // namespace portico::app
