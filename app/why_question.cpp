#include "why_question.hpp"

#include "portico/ip/canonical.hpp"
#include "portico/ip/listen_address.hpp"
#include "portico/os/clock.hpp"
#include "portico/os/facts.hpp"
#include "portico/os/route.hpp"
#include "portico/plan/plan.hpp"
#include "portico/run/diagnose.hpp"
#include "portico/run/listen_facts.hpp"

#include <boost/asio/io_context.hpp>

#include <algorithm>

namespace portico::app {
namespace {

using diagnose::act;

tl::unexpected<why_error> wrong(std::string text, side whose = side::caller) {
    return tl::unexpected{why_error{std::move(text), whose}};
}

class reader {
public:
    explicit reader(const why_wish& wish) : wish_{wish} {
        made_.asked.over = wish.over;
        made_.asked.text = wish.address;
        made_.asked.reuse_port = wish.reuse_port;
        made_.asked.freebind = wish.freebind;
    }

    tl::expected<why_question, why_error> read() {
        // A link-local address without its zone is not read as one to listen at, and is one of the
        // things to explain.
        if (const auto plain = ip::parse_endpoint(wish_.address);
            plain && plain->address.needs_zone() && plain->address.zone().empty()) {
            made_.asked.places = {*plain};
            made_.asked.what = wish_.what.value_or(act::bind);
            return made_;
        }
        auto where = ip::parse_listen_address(wish_.address);
        if (!where) {
            return wrong("the address cannot be read:\n" +
                         ip::explain(wish_.address, where.error()));
        }
        where_ = std::move(*where);
        if (std::holds_alternative<ip::inherited_fd>(where_.where) ||
            std::holds_alternative<ip::inherited_name>(where_.where)) {
            return wrong(wish_.address + ": an inherited socket is bound already; give the "
                                         "address it is to have");
        }
        return ip_or_unix();
    }

private:
    tl::expected<why_question, why_error> ip_or_unix() {
        if (const auto* name = std::get_if<ip::unix_name>(&where_.where)) {
            made_.asked.places = {*name};
            made_.asked.what = wish_.what.value_or(act::bind);
            return made_;
        }
        gather();
        if (facts_.why) {
            return wrong(facts_.what + (facts_.hint.empty() ? "" : "\n    " + facts_.hint));
        }
        const auto port = port_number();
        if (!port) {
            return wrong(wish_.address + ": there is no service called " +
                         std::get<std::string>(where_.port.value) + " over " +
                         std::string{ip::to_text(wish_.over)} + "; give the number of its port");
        }
        if (*port == 0) {
            return wrong(wish_.address + ": port 0 is any free port, and cannot be in anybody's "
                                         "way; give the port that fails");
        }
        choose_act();
        const auto faults = made_.asked.what == act::connect ? to_reach(*port) : to_bind(*port);
        if (!faults.empty()) {
            return wrong(faults, is_unresolved() ? side::system : side::caller);
        }
        return made_;
    }

    void gather() {
        plan::wish listening;
        listening.where = where_;
        listening.over = wish_.over;
        listening.only = wish_.only;
        wishes_ = {listening};
        boost::asio::io_context context;
        run::async_listen_facts(context.get_executor(), wishes_,
                                deadline::after(os::now(), wish_.timeout),
                                [this](run::listen_facts got) { facts_ = std::move(got); });
        context.run();
    }

    [[nodiscard]] std::optional<std::uint16_t> port_number() const {
        if (const auto* number = std::get_if<std::uint16_t>(&where_.port.value)) {
            return *number;
        }
        return facts_.known.services.port(std::get<std::string>(where_.port.value), wish_.over);
    }

    // An address of another host cannot be bound, so that connecting is what fails.
    void choose_act() {
        if (wish_.what) {
            made_.asked.what = *wish_.what;
            return;
        }
        const auto* address = std::get_if<ip::address>(&where_.where);
        const auto* host = std::get_if<ip::host_name>(&where_.where);
        const bool far = (address != nullptr && !is_here(*address)) ||
                         (host != nullptr && host->name != "localhost");
        made_.asked.what = far ? act::connect : act::bind;
        if (far) {
            made_.remark = "this looks at connecting, as " +
                           (host != nullptr ? host->name + " is a name"
                                            : ip::to_text(*address) + " is not of this host") +
                           "; --bind looks at binding";
        }
    }

    [[nodiscard]] bool is_here(const ip::address& which) const {
        diagnose::facts known;
        known.host = facts_.known;
        if (which.is_multicast() || diagnose::is_own(known, which)) {
            return true;
        }
        const auto way = os::find_route({ip::canonical(which)});
        return way && (way->local || way->broadcast);
    }

    // It may have an address later.
    [[nodiscard]] bool is_unresolved() const {
        const auto* host = std::get_if<ip::host_name>(&where_.where);
        return host != nullptr && host->name != "localhost" &&
               !facts_.known.resolved.contains(host->name);
    }

    [[nodiscard]] bool wanted(const ip::address& which) const {
        return !wish_.only || which.family() == *wish_.only;
    }

    void add(const ip::address& which, std::uint16_t port) {
        if (wanted(which)) {
            made_.asked.places.emplace_back(ip::endpoint{which, port});
        }
    }

    static std::vector<ip::address> both_loopbacks() {
        return {ip::address::loopback(ip::family::v6), ip::address::loopback(ip::family::v4)};
    }

    // Without those of a family that is switched off, unless nothing else is left.
    void add_loopbacks(const std::vector<ip::address>& all, std::uint16_t port) {
        const auto works = [&](const ip::address& which) {
            const auto& have = facts_.known.addresses;
            return which.is_v4() || !facts_.known.v6_disabled ||
                   std::any_of(have.begin(), have.end(),
                               [&](const auto& each) { return each.address == which; });
        };
        for (const auto& each : all) {
            if (works(each)) {
                add(each, port);
            }
        }
        if (made_.asked.places.empty()) {
            for (const auto& each : all) {
                add(each, port);
            }
        }
    }

    [[nodiscard]] std::string no_place() const {
        return made_.asked.places.empty() ? wish_.address + ": it has no address of this family"
                                          : std::string{};
    }

    // Fills in the places; what is wrong, or empty.
    std::string to_bind(std::uint16_t port) {
        if (const auto* address = std::get_if<ip::address>(&where_.where)) {
            add(*address, port);
        } else {
            const auto made = plan::make_plan(wishes_, facts_.known);
            for (const auto& each : made.sockets) {
                made_.asked.places.push_back(each.at);
            }
            for (const auto& each : made.remarks) {
                if (each.how == plan::remark::weight::fault || made.sockets.empty()) {
                    return each.text + (each.hint.empty() ? "" : "\n    " + each.hint);
                }
            }
        }
        if (const auto* host = std::get_if<ip::host_name>(&where_.where)) {
            made_.asked.name = host->name;
        }
        return no_place();
    }

    std::string to_reach(std::uint16_t port) {
        if (const auto* address = std::get_if<ip::address>(&where_.where)) {
            add(*address, port);
        } else if (const auto* host = std::get_if<ip::host_name>(&where_.where)) {
            made_.asked.name = host->name;
            if (host->name == "localhost") {
                // As other programs see it: this host may know one family of it alone.
                const auto listed = os::read_hosts(host->name);
                add_loopbacks(run::in_dial_order(listed.empty() ? both_loopbacks() : listed, port),
                              port);
                return no_place();
            }
            const auto found = facts_.known.resolved.find(host->name);
            if (found == facts_.known.resolved.end()) {
                const auto why = facts_.known.unresolved.find(host->name);
                return host->name + ": " +
                       (why == facts_.known.unresolved.end() ? "it has no address" : why->second);
            }
            for (const auto& each : run::in_dial_order(found->second, port)) {
                add(each, port);
            }
        } else if (std::holds_alternative<ip::every_address>(where_.where)) {
            add_loopbacks(both_loopbacks(), port);
        } else {
            return wish_.address + ": that says where to listen, not whom to reach; give "
                                   "HOST:PORT or unix:/path";
        }
        return no_place();
    }

    const why_wish& wish_;
    ip::listen_address where_;
    std::vector<plan::wish> wishes_;
    run::listen_facts facts_;
    why_question made_;
};

} // namespace

tl::expected<why_question, why_error> read_why_question(const why_wish& wish) {
    return reader{wish}.read();
}

} // namespace portico::app
