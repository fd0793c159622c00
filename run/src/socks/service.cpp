// The SOCKS server as one service among others.

#include "portico/ip/canonical.hpp"
#include "portico/run/egress_watch.hpp"
#include "portico/wire/socks5_datagram.hpp"
#include "socks/conversation.hpp"
#include "socks/own_addresses.hpp"

#include <boost/asio/post.hpp>

#include <utility>

namespace portico::run {
namespace {

constexpr std::size_t most_translators = 16;

class server final : public socks_service {
public:
    server(const asio::any_io_executor& executor, socks_options options)
        : shared_{std::make_shared<socks_shared>(executor, std::move(options))} {}
    server(const server&) = delete;
    server& operator=(const server&) = delete;
    ~server() override {
        if (own_) {
            own_->end();
        }
        egress_.reset();
        shared_->engine->leave();
        stop_talking();
    }

    [[nodiscard]] result<void> begin();

    void start(accepted connection, std::uint64_t number, ended done) override {
        auto made = std::make_shared<socks_conversation>(shared_, std::move(connection), number,
                                                         std::move(done));
        made->where = shared_->talking.insert(shared_->talking.end(), made);
        made->start();
    }
    void stop_now() override {
        stop_talking();
        shared_->engine->stop_now();
    }
    [[nodiscard]] const socks_counters& counters() const noexcept override {
        return shared_->counters;
    }

private:
    void stop_talking() {
        while (!shared_->talking.empty()) {
            const auto each = shared_->talking.front();
            each->stop();
        }
    }
    static void handle_egress(socks_shared& shared, bool is_there, const std::string& why);

    std::shared_ptr<socks_shared> shared_;
    std::shared_ptr<own_addresses> own_;
    std::unique_ptr<egress_watch> egress_;
};

result<void> server::begin() {
    const auto& executor = shared_->executor;
    auto own = own_addresses::watch(executor, [shared = shared_](std::span<const ip::address> all) {
        shared->allowed.handle_own_addresses(all);
    });
    if (!own) {
        return tl::unexpected{own.error()};
    }
    own_ = *std::move(own);
    const auto& settings = shared_->options.settings;
    auto watch = egress_watch::open(executor, settings.interface, settings.from,
                                    [shared = shared_](bool is_there, const std::string& why) {
                                        handle_egress(*shared, is_there, why);
                                    });
    if (!watch) {
        return tl::unexpected{watch.error()};
    }
    egress_ = *std::move(watch);
    return {};
}

// Nothing may leave by another way: better no connection than one.
void server::handle_egress(socks_shared& shared, bool is_there, const std::string& why) {
    shared.has_egress = is_there;
    shared.engine->set_egress(is_there);
    if (!is_there) {
        const auto all = shared.talking; // each may take itself off
        for (const auto& each : all) {
            each->handle_egress_gone();
        }
    }
    if (shared.options.egress_changed) {
        shared.options.egress_changed(is_there, why);
    }
}

} // namespace

socks_shared::socks_shared(asio::any_io_executor ex, socks_options how)
    : executor{std::move(ex)}, options{std::move(how)}, allowed{options.rules},
      engine{std::make_shared<nested_engine>(executor, options.settings, nullptr)},
      buffer(wire::max_socks5_datagram_head + (std::size_t{1} << 16)) {}

std::optional<admit::destination_refusal>
socks_shared::refuse(const std::optional<std::string>& name, const ip::endpoint& to,
                     std::span<const ip::prefix> translators) {
    for (const auto& each : translators) {
        const bool is_known =
            std::find(translators_.begin(), translators_.end(), each) != translators_.end();
        if (!is_known && each != ip::nat64_well_known() && translators_.size() < most_translators) {
            translators_.push_back(each);
            allowed.handle_nat64(translators_);
        }
    }
    return count(name ? allowed.refuse(*name, to) : allowed.refuse(to));
}

std::optional<admit::destination_refusal> socks_shared::refuse_unresolved(const std::string& name,
                                                                          std::uint16_t port) {
    return count(allowed.refuse_unresolved(name, port));
}

std::optional<admit::destination_refusal>
socks_shared::count(std::optional<admit::destination_refusal> why) {
    if (why) {
        ++counters.not_allowed[static_cast<std::size_t>(*why)];
    }
    return why;
}

result<std::unique_ptr<socks_service>> make_socks_service(const asio::any_io_executor& executor,
                                                          socks_options options) {
    auto made = std::make_unique<server>(executor, std::move(options));
    if (const auto begun = made->begin(); !begun) {
        return tl::unexpected{begun.error()};
    }
    return made;
}

} // namespace portico::run
