#include "config/keys.hpp"

#include "flags/port_range.hpp"

#include <algorithm>
#include <array>
#include <type_traits>

namespace portico::app {
namespace {

using std::string_view;

// reach<&settings::asks, &service_request::nagle>(in) is in.asks.nagle.
template <auto... path>
auto& reach(settings& in) {
    return (in.*....*path);
}

template <auto... path>
constexpr number_slot number{
    [](settings& in) {
        const auto& at = reach<path...>(in);
        if constexpr (std::is_integral_v<std::remove_cvref_t<decltype(at)>>) {
            return std::optional{static_cast<std::int64_t>(at)};
        } else {
            return at ? std::optional{static_cast<std::int64_t>(*at)} : std::nullopt;
        }
    },
    [](settings& in, std::optional<std::int64_t> value) {
        auto& at = reach<path...>(in);
        using type = std::remove_cvref_t<decltype(at)>;
        if constexpr (std::is_integral_v<type>) {
            at = static_cast<type>(value.value_or(0));
        } else {
            at.reset();
            if (value) {
                at = static_cast<typename type::value_type>(*value);
            }
        }
    }};

template <auto... path>
constexpr auto where = &reach<&settings::where, path...>;
template <auto... path>
constexpr auto asks = &reach<&settings::asks, path...>;
template <auto member>
constexpr auto relay = &reach<&settings::asks, &service_request::relay, member>;
template <auto member>
constexpr auto socks = &reach<&settings::asks, &service_request::socks, member>;
template <auto member>
constexpr auto programs = &reach<&settings::asks, &service_request::programs, member>;
template <auto member>
constexpr auto door = &reach<&settings::asks, &service_request::door, member>;
template <auto member>
constexpr number_slot relay_number = number<&settings::asks, &service_request::relay, member>;

constexpr std::array<string_view, 2> formats{"logfmt", "json"};
constexpr std::array<string_view, 4> levels{"error", "warning", "info", "debug"};
constexpr std::array<string_view, 2> destinations{"stderr", "syslog"};
constexpr std::array<string_view, 3> sandboxes{"auto", "on", "off"};
constexpr std::array<string_view, 2> families{"ipv4", "ipv6"};
constexpr std::array<string_view, 6> builtins{"echo", "discard", "daytime",
                                              "time", "chargen", "hello"};
constexpr std::array<string_view, 3> policies{"round-robin", "least-connections", "hash"};
constexpr std::array<string_view, 2> versions{"v1", "v2"};
constexpr std::array<string_view, 2> when_full{"queue", "refuse"};
constexpr std::array<string_view, 3> error_outputs{"inherit", "log", "connection"};

constexpr kind_set answering = kind::builtin | kind::program;
constexpr kind_set moving = kind::relay | kind::socks;

// In the order of the canonical text.
const std::array keys{
    key{"format", table::log, kind::every, &reach<&settings::format>, {}, formats},
    key{"level", table::log, kind::every, &reach<&settings::level>, {}, levels},
    key{.name = "output", .in = table::log, .at = &reach<&settings::log_to>, .words = destinations},
    key{"names", table::log, kind::every, &reach<&settings::names>},

    key{"timeout", table::serve, kind::every, &reach<&settings::timeout>},
    key{"user", table::serve, kind::every, &reach<&settings::user>},
    key{"group", table::serve, kind::every, &reach<&settings::group>},
    key{.name = "sandbox",
        .in = table::serve,
        .at = &reach<&settings::sandbox>,
        .words = sandboxes},
    key{.name = "binder", .in = table::serve, .at = &reach<&settings::binder>},
    key{.name = "binder-ports",
        .in = table::serve,
        .at = &reach<&settings::binder_ports>,
        .fault = port_range_fault,
        .form = list_form::commas},
    key{.name = "pid-file", .in = table::serve, .at = &reach<&settings::pid_file>},
    key{"status", table::serve, kind::every, &reach<&settings::status>},
    key{"control", table::serve, kind::every, &reach<&settings::control>},

    // where to listen
    key{.name = "listen", .at = where<&wish_flags::addresses>, .form = list_form::commas},
    key{.name = "family", .at = &reach<&settings::family>, .words = families},
    key{.name = "udp", .at = where<&wish_flags::udp>},
    key{.name = "tcp", .at = where<&wish_flags::tcp>},
    key{.name = "broadcast",
        .kinds = answering,
        .at = where<&wish_flags::broadcast>,
        .over = carries::udp},
    key{.name = "join",
        .kinds = answering,
        .at = where<&wish_flags::join>,
        .over = carries::udp,
        .fault = group_fault,
        .form = list_form::commas},
    key{.name = "required", .at = where<&wish_flags::required>},
    key{.name = "both-families", .at = where<&wish_flags::both_families>},
    key{.name = "reuseport", .at = where<&wish_flags::reuse_port>},
    key{.name = "freebind", .at = where<&wish_flags::freebind>},
    key{.name = "backlog",
        .at = number<&settings::where, &wish_flags::backlog>,
        .over = carries::tcp,
        .least = 1,
        .most = 1 << 20},
    key{.name = "mode", .at = where<&wish_flags::mode>, .fault = mode_fault},

    // which service
    key{.name = "builtin",
        .kinds = kind::builtin,
        .at = &reach<&settings::builtin>,
        .words = builtins},
    key{.name = "program",
        .kinds = kind::program,
        .at = asks<&service_request::program>,
        .form = list_form::words},
    key{.name = "to",
        .kinds = kind::relay,
        .at = relay<&relay_flags::to>,
        .form = list_form::commas},
    key{.name = "socks", .kinds = kind::socks, .at = socks<&socks_flags::is_asked>},

    // who may come in
    key{.name = "allow", .at = door<&admission_flags::allow>},
    key{.name = "deny", .at = door<&admission_flags::deny>},
    key{.name = "max-per", .at = door<&admission_flags::max_per>, .form = list_form::commas},
    key{.name = "rate", .at = door<&admission_flags::rate>, .form = list_form::commas},
    key{.name = "max-connections",
        .at = number<&settings::asks, &service_request::door, &admission_flags::max_connections>,
        .least = 1,
        .most = 1'000'000},
    key{.name = "when-full", .at = door<&admission_flags::when_full>, .words = when_full},

    // of every kind
    key{.name = "dead-after", .at = asks<&service_request::dead_after>, .over = carries::tcp},
    key{.name = "nagle", .at = asks<&service_request::nagle>, .over = carries::tcp},

    // of builtin = "chargen"
    key{.name = "chargen-limit",
        .kinds = kind::chargen,
        .at = number<&settings::asks, &service_request::chargen_limit>,
        .least = 1,
        .most = std::int64_t{1} << 50},

    // of a program
    key{.name = "wait", .kinds = kind::program, .at = programs<&program_flags::wait>},
    key{.name = "user", .kinds = kind::program, .at = programs<&program_flags::user>},
    key{.name = "group", .kinds = kind::program, .at = programs<&program_flags::group>},
    key{.name = "groups",
        .kinds = kind::program,
        .at = programs<&program_flags::groups>,
        .form = list_form::commas},
    key{.name = "chroot", .kinds = kind::program, .at = programs<&program_flags::chroot>},
    key{.name = "cwd", .kinds = kind::program, .at = programs<&program_flags::cwd>},
    key{.name = "umask", .kinds = kind::program, .at = programs<&program_flags::umask>},
    key{.name = "rlimit",
        .kinds = kind::program,
        .at = programs<&program_flags::rlimit>,
        .form = list_form::commas},
    key{.name = "nice",
        .kinds = kind::program,
        .at = number<&settings::asks, &service_request::programs, &program_flags::nice>,
        .least = -20,
        .most = 19},
    key{.name = "env",
        .kinds = kind::program,
        .at = programs<&program_flags::env>,
        .form = list_form::pairs},
    key{.name = "env-file", .kinds = kind::program, .at = programs<&program_flags::env_file>},
    key{.name = "time-limit", .kinds = kind::program, .at = programs<&program_flags::time_limit>},
    key{.name = "stderr",
        .kinds = kind::program,
        .at = programs<&program_flags::errors>,
        .words = error_outputs},

    // of a relay, some of a SOCKS server too
    key{.name = "balance",
        .kinds = kind::relay,
        .at = relay<&relay_flags::balance>,
        .words = policies},
    key{.name = "check-every",
        .kinds = kind::relay,
        .at = relay<&relay_flags::check_every>,
        .over = carries::tcp},
    key{.name = "connect-timeout",
        .kinds = moving,
        .at = relay<&relay_flags::connect_timeout>,
        .over = carries::tcp},
    key{.name = "idle-limit", .kinds = moving, .at = relay<&relay_flags::idle_limit>},
    key{.name = "half-closed-limit",
        .kinds = moving,
        .at = relay<&relay_flags::half_closed_limit>,
        .over = carries::tcp},
    key{.name = "associations",
        .kinds = kind::relay,
        .at = relay_number<&relay_flags::associations>,
        .over = carries::udp,
        .least = 1,
        .most = 65'536},
    key{.name = "associations-per-client",
        .kinds = kind::relay,
        .at = relay_number<&relay_flags::associations_per_client>,
        .over = carries::udp,
        .least = 0,
        .most = 65'536},
    key{.name = "threads",
        .kinds = kind::relay,
        .at = relay_number<&relay_flags::threads>,
        .over = carries::tcp,
        .least = 1,
        .most = 1024},
    key{.name = "proxy-in",
        .kinds = kind::relay,
        .at = relay<&relay_flags::proxy_in>,
        .over = carries::tcp_alone,
        .form = list_form::commas},
    key{.name = "proxy-in-timeout",
        .kinds = kind::relay,
        .at = relay<&relay_flags::proxy_in_timeout>,
        .over = carries::tcp},
    key{.name = "proxy-out",
        .kinds = kind::relay,
        .at = relay<&relay_flags::proxy_out>,
        .over = carries::tcp_alone,
        .words = versions},
    key{.name = "status", .kinds = kind::relay, .at = relay<&relay_flags::status>},
    key{.name = "egress-device", .kinds = moving, .at = relay<&relay_flags::egress_device>},
    key{.name = "from", .kinds = moving, .at = relay<&relay_flags::from>},
    key{.name = "socket-buffer",
        .kinds = moving,
        .at = relay_number<&relay_flags::socket_buffer>,
        .least = 1024,
        .most = 1 << 30},
    key{.name = "fast-open",
        .kinds = kind::relay,
        .at = relay<&relay_flags::fast_open>,
        .over = carries::tcp},

    // of a SOCKS server
    key{.name = "socks-users", .kinds = kind::socks, .at = socks<&socks_flags::users>},
    key{.name = "allow-to", .kinds = kind::socks, .at = socks<&socks_flags::allow_to>},
    key{.name = "deny-to", .kinds = kind::socks, .at = socks<&socks_flags::deny_to>},

    // behind the others: who writes it outside of a table means a service
    key{.name = "listen",
        .in = table::metrics,
        .at = &reach<&settings::metrics>,
        .form = list_form::commas},
};

constexpr std::array kinds{
    kind_name{kind::builtin, "builtin", "a built-in service"},
    kind_name{kind::program, "program", "a program"},
    kind_name{kind::relay, "to", "a relay"},
    kind_name{kind::socks, "socks", "a SOCKS server"},
};

constexpr std::array flags_otherwise{
    other_name{"4", R"(family = "ipv4")"},
    other_name{"6", R"(family = "ipv6")"},
    other_name{"echo", R"(builtin = "echo")"},
    other_name{"discard", R"(builtin = "discard")"},
    other_name{"daytime", R"(builtin = "daytime")"},
    other_name{"time", R"(builtin = "time")"},
    other_name{"chargen", R"(builtin = "chargen")"},
    other_name{"hello", R"(builtin = "hello")"},
    other_name{"quiet", R"(level = "error" in [log])"},
    other_name{"verbose", R"(level = "debug" in [log])"},
    other_name{"log-format", "format in [log]"},
    other_name{"log-names", "names in [log]"},
};

} // namespace

std::span<const key> all_keys() noexcept {
    return keys;
}

const key* find_key(table in, std::string_view name) noexcept {
    const auto found = std::find_if(keys.begin(), keys.end(), [&](const key& each) {
        return each.in == in && each.name == name;
    });
    return found == keys.end() ? nullptr : &*found;
}

std::string_view to_text(table which) noexcept {
    constexpr std::array<string_view, 4> names{"[log]", "[serve]", "[metrics]", "[service.NAME]"};
    return names[static_cast<std::size_t>(which)];
}

std::span<const kind_name> all_kinds() noexcept {
    return kinds;
}

std::span<const other_name> other_names() noexcept {
    return flags_otherwise;
}

void reset(const key& which, settings& in) {
    settings fresh;
    copy(which, fresh, in);
}

void copy(const key& which, settings& from, settings& to) {
    std::visit(
        [&](const auto& at) {
            if constexpr (std::is_same_v<std::remove_cvref_t<decltype(at)>, number_slot>) {
                at.set(to, at.value(from));
            } else {
                at(to) = at(from);
            }
        },
        which.at);
}

bool is_set(const key& which, settings& in) {
    settings fresh;
    return std::visit(
        [&](const auto& at) {
            if constexpr (std::is_same_v<std::remove_cvref_t<decltype(at)>, number_slot>) {
                return at.value(in) != at.value(fresh);
            } else {
                return at(in) != at(fresh);
            }
        },
        which.at);
}

} // namespace portico::app
