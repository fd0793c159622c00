#include "service/socks_run.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

namespace portico::app {
namespace {

template <class Reason, std::size_t Count>
fields by_reason(std::string_view what, const std::array<std::uint64_t, Count>& counts) {
    fields made;
    for (std::size_t i = 0; i < Count; ++i) {
        if (counts[i] != 0) {
            made.push_back(
                {std::string{what} + std::string{to_text(static_cast<Reason>(i))}, counts[i]});
        }
    }
    return made;
}

} // namespace

result<std::unique_ptr<run::stream_service>>
socks_run::start(const boost::asio::any_io_executor& executor, std::size_t descriptors) {
    for (const auto& each : how_.remarks) {
        log_.write(severity::warning, "remark", {{"remark", each}});
    }
    auto& options = how_.options;
    options.settings.max_pipes = std::min<std::size_t>(256, descriptors / 32);
    options.egress_changed = [this](bool is_there, const std::string& why) {
        log_egress(is_there, why);
    };
    auto made = run::make_socks_service(executor, options);
    if (!made) {
        return tl::unexpected{made.error()};
    }
    service_ = made->get();
    return *std::move(made);
}

std::size_t socks_run::connections_that_fit(std::size_t left) const {
    const auto kept = std::min<std::size_t>(16 + 2 * how_.options.settings.max_pipes, left / 2);
    return std::max<std::size_t>(1, (left - kept) / descriptors_each);
}

void socks_run::log_egress(bool is_there, const std::string& why) {
    if (is_there) {
        log_.write(severity::warning, "the way out is back", {});
    } else {
        log_.write(severity::error, "the way out is gone: connections are reset",
                   {{"detail", why}});
    }
}

void socks_run::log_counters() {
    const auto now = service_->counters();
    if (now.refused != told_.refused || now.late != told_.late) {
        auto what = by_reason<wire::socks5_refusal>("refused.", now.refused);
        if (now.late != 0) {
            what.push_back({"refused.late", now.late});
        }
        log_.write(severity::warning, "clients were refused", what);
    }
    if (now.not_allowed != told_.not_allowed) {
        log_.write(severity::warning, "destinations were not allowed",
                   by_reason<admit::destination_refusal>("not_allowed.", now.not_allowed));
    }
    if (now.dropped != told_.dropped) {
        log_.write(severity::warning, "datagrams were dropped",
                   by_reason<run::socks_drop>("dropped.", now.dropped));
    }
    told_ = now;
}

} // namespace portico::app
