#include "flags/resource_limit.hpp"

#include "flags/duration.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <limits>
#include <sys/resource.h>

namespace portico::app {
namespace {

template <class T>
using or_text = tl::expected<T, std::string>;

tl::unexpected<std::string> no(std::string why) {
    return tl::unexpected{std::move(why)};
}

constexpr std::array bytes{RLIMIT_AS,      RLIMIT_CORE,     RLIMIT_DATA, RLIMIT_FSIZE,
                           RLIMIT_MEMLOCK, RLIMIT_MSGQUEUE, RLIMIT_RSS,  RLIMIT_STACK};

or_text<std::uint64_t> read_size(std::string_view text, bool is_bytes) {
    std::uint64_t count = 0;
    const auto* const end = text.data() + text.size();
    const auto [rest, wrong] = std::from_chars(text.data(), end, count);
    const std::string_view unit{rest, static_cast<std::size_t>(end - rest)};
    constexpr std::string_view units = "KMGT";
    const auto power = unit.size() == 1 ? units.find(unit.front()) : std::string_view::npos;
    const bool has_unit = is_bytes && power != std::string_view::npos;
    if (wrong != std::errc{} || (!unit.empty() && !has_unit)) {
        return no("'" + std::string{text} + "' is no " +
                  (is_bytes ? "size: write bytes, or for instance 64K, 100M or 2G"
                            : "number: write digits alone") +
                  ", or unlimited");
    }
    const auto shift = has_unit ? 10 * (power + 1) : 0;
    if (count > (std::numeric_limits<std::uint64_t>::max() >> 1U) >> shift) {
        return no("'" + std::string{text} + "' is too large; write unlimited");
    }
    return count << shift;
}

or_text<std::uint64_t> read_time(std::string_view text, std::chrono::nanoseconds unit) {
    const auto span = parse_duration(text);
    if (!span) {
        return no(span.error() + "; or unlimited");
    }
    if (*span % unit != duration::zero() || *span < unit) {
        return no("'" + std::string{text} + "' is not in whole " +
                  (unit == std::chrono::seconds{1} ? "seconds" : "microseconds") + ", from 1 on");
    }
    return static_cast<std::uint64_t>(*span / unit);
}

or_text<std::uint64_t> read_value(std::string_view text, int which) {
    if (text == "unlimited" || text == "infinity") {
        return RLIM_INFINITY;
    }
    if (which == RLIMIT_CPU) {
        return read_time(text, std::chrono::seconds{1});
    }
    if (which == RLIMIT_RTTIME) {
        return read_time(text, std::chrono::microseconds{1});
    }
    return read_size(text, std::find(bytes.begin(), bytes.end(), which) != bytes.end());
}

std::string all_names() {
    std::string text;
    for (const auto& each : os::resource_names()) {
        text += (text.empty() ? "" : ", ") + std::string{each};
    }
    return text;
}

} // namespace

or_text<os::resource_limit> parse_resource_limit(std::string_view text) {
    const auto equals = text.find('=');
    if (equals == std::string_view::npos) {
        return no("there is no '='; write for instance nofile=1024, or nofile=1024:4096 for the "
                  "soft and the hard limit");
    }
    const auto name = text.substr(0, equals);
    const auto which = os::resource_number(name);
    if (!which) {
        return no("there is no limit '" + std::string{name} + "'; there are " + all_names());
    }
    const auto values = text.substr(equals + 1);
    const auto colon = values.find(':');
    const auto soft = read_value(values.substr(0, colon), *which);
    if (!soft) {
        return no(soft.error());
    }
    const auto hard =
        colon == std::string_view::npos ? soft : read_value(values.substr(colon + 1), *which);
    if (!hard) {
        return no(hard.error());
    }
    if (*soft > *hard) {
        return no("the soft limit, which is the first one, cannot be above the hard one");
    }
    return os::resource_limit{*which, *soft, *hard};
}

} // namespace portico::app
