#include "flags/admission_flags.hpp"

#include "flags/duration.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <random>
#include <string_view>
#include <utility>

namespace portico::app {
namespace {

std::string sentence(const ip::text_error& wrong) {
    return wrong.hint.empty() ? wrong.what : wrong.what + "; " + wrong.hint;
}

or_setting_error<std::vector<admit::access_rule>> read_rules(const std::vector<std::string>& texts,
                                                             admit::ruling what) {
    std::vector<admit::access_rule> all;
    for (const auto& each : texts) {
        const auto rules = admit::parse_access_rules(each, what);
        if (!rules) {
            return wrong_setting(std::string{admit::to_text(what)},
                                 "'" + each + "': " + sentence(rules.error()));
        }
        all.insert(all.end(), rules->begin(), rules->end());
    }
    return all;
}

std::optional<std::uint32_t> read_number(std::string_view text) {
    std::uint32_t value = 0;
    const auto end = text.data() + text.size();
    const auto [rest, wrong] = std::from_chars(text.data(), end, value);
    return wrong == std::errc{} && rest == end && value > 0 ? std::optional{value} : std::nullopt;
}

std::optional<admit::tier> tier_of(std::string_view text) {
    if (!text.starts_with('/')) {
        return std::nullopt;
    }
    const auto length = read_number(text.substr(1));
    for (std::size_t i = 0; length && i < admit::tiers; ++i) {
        if (const auto each = static_cast<admit::tier>(i); admit::prefix_length(each) == *length) {
            return each;
        }
    }
    return std::nullopt;
}

// "/64=20": the tier, and what follows the equals sign.
or_setting_error<std::pair<admit::tier, std::string_view>> split(std::string_view text,
                                                                 const std::string& option) {
    const auto at = text.find('=');
    const auto where = tier_of(text.substr(0, at));
    if (at == std::string_view::npos || !where) {
        return wrong_setting(option, "'" + std::string{text} +
                                         "' begins with no prefix length that clients are counted "
                                         "by; write /32 or /24 (IPv4), /128, /64, /56 or /48 "
                                         "(IPv6), and =");
    }
    return std::pair{*where, text.substr(at + 1)};
}

// "20/1s", and "20/1s+50" with a burst of 50.
or_setting_error<admit::connection_rate> read_rate(std::string_view text,
                                                   const std::string& whole) {
    const auto wrong = [&](const std::string& why) {
        return wrong_setting("rate", "'" + whole + "': " + why +
                                         "; write for instance /64=20/1s, or "
                                         "/64=20/1s+50 for 50 at once");
    };
    const auto slash = text.find('/');
    const auto plus = std::min(text.find('+'), text.size());
    const auto count = read_number(text.substr(0, slash));
    if (slash == std::string_view::npos || slash > plus || !count) {
        return wrong("a number of connections, a slash and a time are expected after =");
    }
    const auto per = parse_duration(text.substr(slash + 1, plus - slash - 1));
    if (!per) {
        return wrong(per.error());
    }
    admit::connection_rate rate{*count, *per, *count};
    if (plus != text.size()) {
        const auto burst = read_number(text.substr(plus + 1));
        if (!burst) {
            return wrong("the number after + is none");
        }
        rate.burst = *burst;
    } else {
        rate.burst = std::min(*count, admit::connection_rate::largest_burst);
    }
    if (const auto fault = admit::find_fault(rate)) {
        return wrong(*fault);
    }
    return rate;
}

or_setting_error<void> read_limits(const admission_flags& flags, run::admission_settings& into) {
    const auto limit = [&](admit::tier where) -> admit::tier_limit& {
        return into.limits[static_cast<std::size_t>(where)];
    };
    for (const auto& each : flags.max_per) {
        const auto parts = split(each, "max-per");
        if (!parts) {
            return tl::unexpected{parts.error()};
        }
        const auto count = read_number(parts->second);
        if (!count) {
            return wrong_setting("max-per",
                                 "'" + each + "': a number from 1 on is expected after =");
        }
        limit(parts->first).max_open = *count;
    }
    for (const auto& each : flags.rate) {
        const auto parts = split(each, "rate");
        if (!parts) {
            return tl::unexpected{parts.error()};
        }
        const auto rate = read_rate(parts->second, each);
        if (!rate) {
            return tl::unexpected{rate.error()};
        }
        limit(parts->first).rate = *rate;
    }
    return {};
}

} // namespace

void add_admission_flags(CLI::App& verb, admission_flags& flags) {
    verb.add_option("--allow", flags.allow,
                    "let in only clients from these blocks; several, with commas")
        ->type_name("PREFIX");
    verb.add_option("--deny", flags.deny,
                    "refuse clients from these blocks; the smallest block that fits counts")
        ->type_name("PREFIX");
    verb.add_option("--max-per", flags.max_per,
                    "so many connections at once from each prefix of that length: /32 or /24 of "
                    "IPv4, /128, /64, /56 or /48 of IPv6")
        ->type_name("/LENGTH=N")
        ->delimiter(',');
    verb.add_option("--rate", flags.rate,
                    "so many new connections in that time from each such prefix; +BURST: so many "
                    "at once")
        ->type_name("/LENGTH=N/TIME[+BURST]")
        ->delimiter(',');
    verb.add_option("--max-connections", flags.max_connections,
                    "so many at once from all clients; default 1000")
        ->check(CLI::Range(1, 1'000'000));
    verb.add_option("--when-full", flags.when_full,
                    "at --max-connections further clients wait in the queue (queue, the default), "
                    "or are reset (refuse)")
        ->check(CLI::IsMember({"queue", "refuse"}));
}

or_setting_error<run::admission_settings> read_admission_flags(const admission_flags& flags) {
    run::admission_settings made;
    std::vector<admit::access_rule> rules;
    for (const auto& [texts, what] : {std::pair{&flags.allow, admit::ruling::allow},
                                      std::pair{&flags.deny, admit::ruling::deny}}) {
        const auto some = read_rules(*texts, what);
        if (!some) {
            return tl::unexpected{some.error()};
        }
        rules.insert(rules.end(), some->begin(), some->end());
    }
    made.access = admit::access{rules};
    if (auto done = read_limits(flags, made); !done) {
        return tl::unexpected{done.error()};
    }
    made.max_connections = flags.max_connections;
    made.then = flags.when_full == "refuse" ? admit::when_full::refuse : admit::when_full::queue;
    std::random_device source;
    for (auto& each : made.seed) {
        each = std::uint64_t{source()} << 32 | source();
    }
    return made;
}

} // namespace portico::app
