// Loops and loudspeakers.

#include "portico/serve/datagram_guard.hpp"
#include "portico/ip/canonical.hpp"

#include <algorithm>
#include <numeric>

namespace portico::serve {
namespace {

// RFC 1122 section 3.2.1.3: 0.0.0.0/8 and 255.255.255.255 are never a source that can be answered;
// 240.0.0.0/4 has no hosts. A broadcast address of a subnet is not recognised here: the kernel
// refuses to send to one.
bool is_one_host(const ip::address& which) noexcept {
    if (which.is_unspecified() || which.is_multicast()) {
        return false;
    }
    return which.is_v6() || (which.to_v4()[0] != 0 && which.to_v4()[0] < 240);
}

bool is_service(std::uint16_t port) noexcept {
    constexpr std::array<std::uint16_t, 5> services{7, 13, 17, 19, 37};
    return std::find(services.begin(), services.end(), port) != services.end();
}

} // namespace

std::string_view to_text(drop why) noexcept {
    constexpr std::array<std::string_view, drop_reasons> names{
        "to_group",      "no_source", "group_source", "port_zero", "service_port", "own_port",
        "amplification", "not_sent",  "denied",       "limited",   "full",         "too_long"};
    return names[static_cast<std::size_t>(why)];
}

std::optional<drop> refuse_source(const ip::any_endpoint& from, bool to_group) noexcept {
    if (to_group) {
        return drop::to_group;
    }
    if (const auto* file = std::get_if<ip::unix_name>(&from)) {
        return file->empty() ? std::optional{drop::no_source} : std::nullopt;
    }
    const auto* at = std::get_if<ip::endpoint>(&from);
    if (at == nullptr) {
        return drop::no_source;
    }
    if (!is_one_host(ip::canonical(at->address))) {
        return drop::group_source;
    }
    if (at->port == 0) {
        return drop::port_zero;
    }
    return is_service(at->port) ? std::optional{drop::service_port} : std::nullopt;
}

std::optional<drop> refuse(const ip::any_endpoint& from, bool to_group,
                           std::uint16_t local_port) noexcept {
    if (const auto no = refuse_source(from, to_group)) {
        return no;
    }
    const auto* at = std::get_if<ip::endpoint>(&from);
    return at != nullptr && at->port == local_port ? std::optional{drop::own_port} : std::nullopt;
}

bool amplification_bound::allow(std::size_t query, std::size_t answer, instant now) noexcept {
    if (answer <= query) {
        return true;
    }
    // At most a minute at once, so that the product cannot overflow.
    using std::chrono::microseconds;
    const auto passed = std::clamp(std::chrono::floor<microseconds>(now - filled_), microseconds{0},
                                   microseconds{60'000'000});
    const auto gained = static_cast<std::uint64_t>(passed.count()) * rate_ / 1'000'000;
    if (gained != 0) {
        left_ = std::min(burst_, left_ + gained);
        filled_ = now;
    }
    if (answer - query > left_) {
        return false;
    }
    left_ -= answer - query;
    return true;
}

std::uint64_t drop_counters::total() const noexcept {
    return std::accumulate(counts_.begin(), counts_.end(), std::uint64_t{0});
}

} // namespace portico::serve
