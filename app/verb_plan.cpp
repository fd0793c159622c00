// portico plan ADDR...: which sockets would be opened, in which order, with which options and why.
// It opens none.

#include "flags/duration.hpp"
#include "flags/wish_options.hpp"
#include "verb.hpp"

#include "portico/os/clock.hpp"
#include "portico/run/listen_facts.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>

#include <algorithm>
#include <iostream>
#include <memory>

namespace portico::app {
namespace {

namespace json = boost::json;

struct plan_options {
    explicit plan_options(CLI::App& verb) : where{verb} {}
    wish_options where;
    bool as_json = false;
    std::optional<duration> timeout;
};

json::array options_json(const plan::planned_socket& which) {
    json::array all;
    for (const auto& each : which.options()) {
        all.push_back({{"name", each.name}, {"value", each.value}, {"reason", each.reason}});
    }
    return all;
}

json::object socket_json(const plan::planned_socket& which, const std::vector<plan::wish>& wishes) {
    json::object made{
        {"wish", wishes[which.wish].where.text}, {"transport", ip::to_text(which.over)},
        {"endpoint", ip::to_text(which.at)},     {"reason", which.reason},
        {"options", options_json(which)},        {"backlog", which.backlog},
    };
    if (const auto* where = std::get_if<ip::endpoint>(&which.at)) {
        made["network.type"] = where->address.is_v6() ? "ipv6" : "ipv4";
    }
    if (which.inherited) {
        made["descriptor"] = *which.inherited;
    }
    if (which.port_group) {
        made["port_group"] = *which.port_group;
    }
    if (which.unix_mode) {
        made["mode"] = *which.unix_mode;
    }
    json::array also;
    for (const std::size_t wish : which.also_for) {
        also.push_back(json::string{wishes[wish].where.text});
    }
    made["also_for"] = std::move(also);
    return made;
}

json::object plan_json(const plan::plan& made, const std::vector<plan::wish>& wishes,
                       const std::optional<plan::shortfall>& missing) {
    json::array sockets;
    for (const auto& each : made.sockets) {
        sockets.push_back(socket_json(each, wishes));
    }
    json::array remarks;
    for (const auto& each : made.remarks) {
        remarks.push_back({{"weight", plan::to_text(each.how)},
                           {"wish", wishes[each.wish].where.text},
                           {"text", each.text},
                           {"hint", each.hint}});
    }
    json::object whole{{"sockets", std::move(sockets)}, {"remarks", std::move(remarks)}};
    if (missing) {
        whole["missing"] = missing->text;
    }
    return whole;
}

run::listen_facts gather(const std::vector<plan::wish>& wishes, duration wait) {
    run::listen_facts facts;
    boost::asio::io_context context;
    run::async_listen_facts(context.get_executor(), wishes, deadline::after(os::now(), wait),
                            [&facts](run::listen_facts got) { facts = std::move(got); });
    context.run();
    return facts;
}

bool has_fault(const plan::plan& made) {
    return std::any_of(made.remarks.begin(), made.remarks.end(),
                       [](const auto& each) { return each.how == plan::remark::weight::fault; });
}

int run_plan(const plan_options& asked) {
    const auto wishes = asked.where.wishes(std::cerr);
    if (!wishes) {
        return exit_code(side::caller);
    }
    const auto facts = gather(*wishes, asked.timeout.value_or(std::chrono::seconds{10}));
    if (facts.why) {
        std::cerr << "portico: plan: " << facts.what << '\n';
        if (!facts.hint.empty()) {
            std::cerr << "    " << facts.hint << '\n';
        }
        return exit_code(facts.why->who);
    }
    for (const auto& each : facts.unknown) {
        std::cerr << "portico: plan: " << each << '\n';
    }
    const auto made = plan::make_plan(*wishes, facts.known);
    // Even if everything can be opened, it may be too little.
    const auto missing = plan::judge(*wishes, made, std::vector<bool>(made.sockets.size(), true));
    if (asked.as_json) {
        std::cout << json::serialize(plan_json(made, *wishes, missing)) << '\n';
    } else {
        std::cout << plan::to_text(made, *wishes);
    }
    if (missing) {
        std::cerr << "portico: plan: this cannot start: " << missing->text << '\n';
    }
    return missing || has_fault(made) ? exit_code(side::caller) : 0;
}

} // namespace

void add_plan(CLI::App& command, invocation& call) {
    auto* verb = command.add_subcommand(
        "plan", "show which sockets would be opened, how, and why; opens none");
    const auto asked = std::make_shared<plan_options>(*verb);
    verb->add_flag("--json", asked->as_json, "as JSON");
    add_duration(*verb, "-w,--timeout", asked->timeout, "wait so long for names; default 10s");
    verb->callback([asked, &call] { call.exit_code = run_plan(*asked); });
}

} // namespace portico::app
