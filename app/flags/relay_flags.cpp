#include "flags/relay_flags.hpp"

#include "flags/dial_target.hpp"
#include "flags/duration.hpp"

#include <algorithm>
#include <thread>

namespace portico::app {

std::size_t relay_flags::engines() const {
    return threads != 0 ? threads : std::max(1U, std::thread::hardware_concurrency());
}

void add_relay_flags(CLI::App& verb, relay_flags& flags) {
    verb.add_option("--to", flags.to,
                    "relay each connection to this service, to a UNIX socket (unix:/path), or to "
                    "the services of SRV records (srv:_name._tcp.domain); several, repeated or "
                    "with commas, take turns")
        ->type_name("HOST:PORT")
        ->delimiter(',');
    verb.add_option("--balance", flags.balance,
                    "--to several: round-robin, least-connections or hash (of the client's "
                    "address); default round-robin")
        ->check(CLI::IsMember({"round-robin", "least-connections", "hash"}));
    add_duration(verb, "--check-every", flags.check_every,
                 "--to: connect to each target so often, to know whether it is there");
    add_duration(verb, "--idle-limit", flags.idle_limit,
                 "--to, --socks: reset connections on which nothing was sent for so long; of UDP: "
                 "forget the client, default 2m");
    add_duration(verb, "--half-closed-limit", flags.half_closed_limit,
                 "--to, --socks: the same, after one side has sent its end");
    verb.add_option("--threads", flags.threads,
                    "--to: how many threads move bytes; default: one for each core")
        ->check(CLI::Range(1, 1024));
    add_duration(verb, "--connect-timeout", flags.connect_timeout,
                 "--to, --socks: how long to try all addresses of the target; default 30s");
    verb.add_option("--proxy-in", flags.proxy_in,
                    "--to: clients from these blocks begin with a PROXY header, which says who "
                    "they are; all others are refused")
        ->type_name("PREFIX")
        ->delimiter(',');
    add_duration(verb, "--proxy-in-timeout", flags.proxy_in_timeout,
                 "--to: how long the header may take; default 5s");
    verb.add_option("--proxy-out", flags.proxy_out,
                    "--to: tell the target who the client is, by a PROXY header: v1 or v2")
        ->check(CLI::IsMember({"v1", "v2"}));
    verb.add_option("--status", flags.status,
                    "--to: tell how it is doing at this UNIX socket: a table, \"json\", or "
                    "Prometheus' text over HTTP")
        ->type_name("unix:/PATH");
    verb.add_option(
            "--egress-device", flags.egress_device,
            "--to, --socks: reach targets by this device only; while it is gone nothing is relayed")
        ->type_name("NAME");
    verb.add_option("--from", flags.from,
                    "--to, --socks: reach targets from this local address only; the same")
        ->type_name("ADDR");
    verb.add_option("--socket-buffer", flags.socket_buffer,
                    "--to, --socks: bytes of each socket's buffers; default: the kernel sizes them")
        ->check(CLI::Range(1024, 1 << 30));
    verb.add_flag("--fast-open", flags.fast_open,
                  "--to: clients may send with their first packet (TCP_FASTOPEN)");
    verb.add_option("--associations", flags.associations,
                    "--to with --udp: how many clients are known at once; default 4096")
        ->check(CLI::Range(1, 65'536));
    verb.add_option("--associations-per-client", flags.associations_per_client,
                    "the same, of one IPv4 address or one /64 of IPv6; default a quarter of them "
                    "all; 0: no limit")
        ->check(CLI::Range(0, 65'536));
}

namespace {

or_setting_error<run::proxy_in> read_proxy_in(const relay_flags& flags) {
    run::proxy_in made;
    for (const auto& each : flags.proxy_in) {
        const auto block = ip::parse_prefix(each);
        if (!block) {
            const auto& wrong = block.error();
            return wrong_setting("proxy-in", "'" + each + "': " + wrong.what +
                                                 (wrong.hint.empty() ? "" : "; " + wrong.hint));
        }
        made.trusted.push_back(*block);
    }
    made.patience = flags.proxy_in_timeout.value_or(made.patience);
    return made;
}

} // namespace

or_setting_error<run::relay_options> read_relay_flags(const relay_flags& flags,
                                                      ip::transport over) {
    run::relay_options made;
    for (const auto& each : flags.to) {
        auto target = parse_relay_target(each, over);
        if (!target) {
            return wrong_setting("to", target.error());
        }
        made.targets.push_back(*std::move(target));
        made.targets.back().over = over;
    }
    auto& settings = made.settings;
    settings.connect_timeout = flags.connect_timeout.value_or(std::chrono::seconds{30});
    settings.limits.idle = flags.idle_limit.value_or(duration::max());
    settings.limits.half_closed = flags.half_closed_limit.value_or(duration::max());
    if (!flags.proxy_in.empty()) {
        auto headers = read_proxy_in(flags);
        if (!headers) {
            return tl::unexpected{headers.error()};
        }
        settings.headers_in = *std::move(headers);
    }
    if (!flags.proxy_out.empty()) {
        settings.headers_out =
            flags.proxy_out == "v1" ? wire::proxy_version::v1 : wire::proxy_version::v2;
    }
    if (!flags.from.empty()) {
        const auto address = ip::parse_address(flags.from);
        if (!address) {
            return wrong_setting("from", "'" + flags.from + "': " + address.error().what);
        }
        settings.from = ip::endpoint{*address, 0};
    }
    settings.interface = flags.egress_device;
    for (auto& each : made.targets) {
        each.from = settings.from;
        each.interface = settings.interface;
    }
    if (flags.socket_buffer != 0) {
        settings.socket_buffer = flags.socket_buffer;
    }
    settings.fast_open = flags.fast_open ? 256 : 0;
    made.balance = relay::parse_policy(flags.balance).value();
    made.check_every = flags.check_every;
    return made;
}

relay::association_settings read_association_flags(const relay_flags& flags) {
    relay::association_settings made;
    made.capacity = flags.associations;
    made.max_per_prefix =
        flags.associations_per_client.value_or(std::max<std::size_t>(1, flags.associations / 4));
    made.idle = flags.idle_limit.value_or(made.idle);
    made.idle_unproven = std::min(made.idle, made.idle_unproven);
    return made;
}

std::string_view connection_setting(const relay_flags& flags, bool has_tcp) noexcept {
    if (!flags.proxy_in.empty() || !flags.proxy_out.empty()) {
        return flags.proxy_in.empty() ? "proxy-out" : "proxy-in";
    }
    return has_tcp                   ? ""
           : flags.check_every       ? "check-every"
           : flags.half_closed_limit ? "half-closed-limit"
           : flags.connect_timeout   ? "connect-timeout"
           : flags.threads != 0      ? "threads"
           : flags.proxy_in_timeout  ? "proxy-in-timeout"
           : flags.fast_open         ? "fast-open"
                                     : "";
}

} // namespace portico::app
