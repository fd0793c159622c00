// Being told when the addresses of this host have changed.
#pragma once

#include "portico/base/error.hpp"
#include "portico/base/instant.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <functional>
#include <memory>

namespace portico::run {

namespace asio = boost::asio;

// What changed is not told: whoever acts on it asks the kernel anew, and so lost events do no harm
// either. Several changes that come one behind the other are told once, `rest` after the first of
// them. Threads: the executor's. Destroying it ends it at once.
class network_watch {
public:
    static constexpr duration rest = std::chrono::milliseconds{50};
    static constexpr duration longest_pause = std::chrono::seconds{30};

    // An address, or an interface, has come, gone, or changed in a way that matters to who listens:
    // no longer tentative, deprecated, in use by another host. `unseen`: something has happened,
    // and what it is cannot be looked at, for want of a descriptor for instance; told once, and
    // tried again after `rest` and then less and less often, until it is seen.
    [[nodiscard]] static result<std::unique_ptr<network_watch>>
    open(const asio::any_io_executor& executor, std::function<void()> changed,
         std::function<void(const error&)> unseen = {});
    network_watch(const network_watch&) = delete;
    network_watch& operator=(const network_watch&) = delete;
    ~network_watch();

private:
    struct state;
    explicit network_watch(std::shared_ptr<state> made) : state_{std::move(made)} {}
    std::shared_ptr<state> state_;
};

} // namespace portico::run
