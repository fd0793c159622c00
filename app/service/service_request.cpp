#include "service/service_request.hpp"

#include "service/own_service.hpp"

#include <algorithm>
#include <utility>

namespace portico::app {
namespace {

bool is_udp(const plan::wish& wish) {
    return wish.over == ip::transport::udp;
}

// ---- whether the kind of service fits the wishes ----

// A relay tells clients apart by their address and port, which those of UNIX sockets do not have.
or_setting_error<void> relay_fits_udp(const service_request& asked,
                                      std::span<const plan::wish> wishes) {
    const bool has_tcp = !std::all_of(wishes.begin(), wishes.end(), is_udp);
    if (const auto given = connection_setting(asked.relay, has_tcp); !given.empty()) {
        return wrong_setting(std::string{given},
                             "it is about connections, and UDP has none; leave it out, or --udp");
    }
    for (const auto& each : wishes) {
        if (is_udp(each) && std::holds_alternative<ip::unix_name>(each.where.where)) {
            return wrong_setting({}, each.where.text +
                                         ": datagrams of UNIX sockets are not relayed; listen on "
                                         "an IP address, or without --udp");
        }
    }
    // With TCP, too, they are read for both.
    return read_relay_flags(asked.relay, ip::transport::udp)
        .map([](const run::relay_options& /*good*/) {});
}

// How many connections there may be, and how often, means nothing where there are none. A relay
// bounds its clients by --associations, and whose query starts a program is asked at the door.
or_setting_error<void> door_fits_udp(const service_request& asked,
                                     std::span<const plan::wish> wishes) {
    if (!asked.program.empty() || !std::all_of(wishes.begin(), wishes.end(), is_udp)) {
        return {};
    }
    const admission_flags none;
    const auto& door = asked.door;
    const bool is_relay = asked.relay.is_asked();
    const std::string given = door.max_connections != none.max_connections ? "max-connections"
                              : door.when_full != none.when_full           ? "when-full"
                              : is_relay                                   ? ""
                              : !door.max_per.empty()                      ? "max-per"
                              : !door.rate.empty()                         ? "rate"
                                                                           : "";
    if (given.empty()) {
        return {};
    }
    return wrong_setting(given, std::string{"it is about connections, and UDP has none; "} +
                                    (is_relay ? "leave it out; --associations is how many clients "
                                                "a relay of UDP may have"
                                              : "leave it out, or --udp"));
}

or_setting_error<void> fits_transport(const service_request& asked,
                                      std::span<const plan::wish> wishes) {
    if (std::none_of(wishes.begin(), wishes.end(), is_udp)) {
        return {};
    }
    if (asked.relay.is_asked()) {
        return door_fits_udp(asked, wishes).and_then([&] { return relay_fits_udp(asked, wishes); });
    }
    if (asked.socks.is_asked) {
        return wrong_setting("socks", "a SOCKS server works on connections, and UDP has none; use "
                                      "TCP, a relay (--to), or one of the built-in services");
    }
    return door_fits_udp(asked, wishes);
}

// Whoever asks many is answered by each of them, and anybody can ask in the name of another.
or_setting_error<void> fits_groups(const service_request& asked,
                                   std::span<const plan::wish> wishes) {
    for (const auto& each : wishes) {
        const std::string given = each.broadcast ? "broadcast" : !each.groups.empty() ? "join" : "";
        if (given.empty()) {
            continue;
        }
        if (asked.builtin == serve::builtin::echo || asked.builtin == serve::builtin::chargen) {
            return wrong_setting(given, std::string{serve::to_text(*asked.builtin)} +
                                            " never answers what was sent to many: one forged "
                                            "query would bring its victim an answer from each "
                                            "host; leave one of them out");
        }
    }
    return {};
}

// What os::set_dead_after() takes.
or_setting_error<void> dead_after_fits(const service_request& asked) {
    const auto given = asked.dead_after.value_or(std::chrono::seconds{1});
    if (given >= std::chrono::seconds{1} && given <= std::chrono::hours{24 * 24}) {
        return {};
    }
    return wrong_setting("dead-after", "from 1s to 24d");
}

// ---- each kind ----

or_setting_error<service_choice>
read_relay(const service_request& asked, std::span<const plan::wish> wishes, service_choice made) {
    const bool udp_alone = std::all_of(wishes.begin(), wishes.end(), is_udp);
    auto relay = read_relay_flags(asked.relay, udp_alone ? ip::transport::udp : ip::transport::tcp);
    if (!relay) {
        return tl::unexpected{relay.error()};
    }
    if (!asked.relay.status.empty()) {
        const auto name = parse_private_name(asked.relay.status);
        if (!name) {
            return wrong_setting("status", name.error());
        }
        made.status = *name;
    }
    made.relay = *std::move(relay);
    made.relay->settings.dead_after = made.dead_after;
    made.relay->settings.no_delay = made.no_delay;
    made.associations = read_association_flags(asked.relay);
    made.engines = asked.relay.engines();
    return made;
}

or_setting_error<service_choice> read_socks(const service_request& asked, service_choice made) {
    auto socks = read_socks_flags(asked.socks, asked.relay);
    if (!socks) {
        return tl::unexpected{socks.error()};
    }
    made.socks = *std::move(socks);
    made.socks->options.settings.dead_after = made.dead_after;
    made.socks->options.settings.no_delay = made.no_delay;
    return made;
}

// With --wait the kernel lets clients in, and the program takes them.
or_setting_error<void> fits_wait(const service_request& asked) {
    const admission_flags none;
    const auto& door = asked.door;
    const std::string given = !door.allow.empty()                            ? "allow"
                              : !door.deny.empty()                           ? "deny"
                              : !door.max_per.empty()                        ? "max-per"
                              : !door.rate.empty()                           ? "rate"
                              : door.max_connections != none.max_connections ? "max-connections"
                              : door.when_full != none.when_full             ? "when-full"
                                                                             : "";
    if (!asked.programs.wait || given.empty()) {
        return {};
    }
    return wrong_setting(given, "with --wait the program takes its clients from the socket by "
                                "itself, and nobody can be kept out before; leave one of them out");
}

or_setting_error<service_choice> read_program(const service_request& asked, service_choice made) {
    return fits_wait(asked)
        .and_then([&] { return read_program_flags(asked.programs, asked.program); })
        .map([&](run::program_options program) {
            made.program = std::move(program);
            made.wait = asked.programs.wait;
            return std::move(made);
        });
}

or_setting_error<service_choice>
read_kind(const service_request& asked, std::span<const plan::wish> wishes, service_choice made) {
    if (asked.socks.is_asked) {
        return read_socks(asked, std::move(made));
    }
    if (asked.relay.is_asked()) {
        return read_relay(asked, wishes, std::move(made));
    }
    if (!asked.program.empty()) {
        return read_program(asked, std::move(made));
    }
    made.which = asked.builtin;
    return made;
}

} // namespace

or_setting_error<service_choice> read_service(const service_request& asked,
                                              std::span<const plan::wish> wishes) {
    if (auto fits = fits_transport(asked, wishes)
                        .and_then([&] { return fits_groups(asked, wishes); })
                        .and_then([&] { return dead_after_fits(asked); });
        !fits) {
        return tl::unexpected{fits.error()};
    }
    auto door = read_admission_flags(asked.door);
    if (!door) {
        return tl::unexpected{door.error()};
    }
    service_choice made;
    made.door = *std::move(door);
    made.chargen_limit = asked.chargen_limit;
    made.no_delay = !asked.nagle;
    if (asked.dead_after) {
        made.dead_after = std::chrono::ceil<std::chrono::seconds>(*asked.dead_after);
    }
    return read_kind(asked, wishes, std::move(made));
}

} // namespace portico::app
