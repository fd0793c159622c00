#include "relay/places.hpp"

#include "dial/sources.hpp"
#include "portico/os/clock.hpp"
#include "portico/run/resolve.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/post.hpp>

#include <memory>

namespace portico::run {
namespace {

constexpr duration patience = std::chrono::seconds{10};

// Two questions, and what they have found.
struct search {
    std::uint16_t port = 0;
    std::optional<ip::address> from{};
    std::function<void(found_places)> done;
    unsigned open = 0;
    std::vector<ip::address> found{};
    std::string failed{};

    void handle_answer(result<os::lookup_answer> got);
    void finish();
};

void add_place(std::vector<target_place>& to, const ip::any_endpoint& at,
               std::optional<ip::source> from) {
    if (auto raw = os::to_sockaddr(at)) {
        to.push_back({at, std::move(from), *raw});
    }
}

void search::handle_answer(result<os::lookup_answer> got) {
    if (got) {
        found.insert(found.end(), got->addresses.begin(), got->addresses.end());
    } else {
        failed = got.error().code.message();
    }
    if (--open == 0) {
        finish();
    }
}

void search::finish() {
    found_places made;
    source_finder sources{from};
    for (const auto& each : found) {
        const ip::endpoint at{each, port};
        add_place(made.places, at, sources.find(at));
    }
    if (made.places.empty()) {
        made.why_none = failed.empty() ? "the name has no address" : failed;
    }
    done(std::move(made));
}

} // namespace

bool is_settled(const dial_target& target) {
    return target.unix_socket || ip::parse_address(target.host);
}

void find_places(const asio::any_io_executor& executor, const dial_target& target,
                 std::optional<ip::address> from, std::function<void(found_places)> done) {
    if (target.unix_socket) {
        found_places made;
        add_place(made.places, *target.unix_socket, std::nullopt);
        asio::post(executor,
                   [done = std::move(done), made = std::move(made)] { done(std::move(made)); });
        return;
    }
    const auto begun = std::make_shared<search>();
    begun->port = target.port;
    begun->from = from;
    begun->done = std::move(done);
    begun->open = (target.wants_v6 ? 1U : 0U) + (target.wants_v4 ? 1U : 0U);
    for (const auto family : {ip::family::v6, ip::family::v4}) {
        if (family == ip::family::v6 ? target.wants_v6 : target.wants_v4) {
            auto answered = [begun](result<os::lookup_answer> got) {
                begun->handle_answer(std::move(got));
            };
            async_resolve(executor, target.host, family, false,
                          deadline::after(os::now(), patience),
                          asio::bind_executor(executor, std::move(answered)));
        }
    }
}

} // namespace portico::run
