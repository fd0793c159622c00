// The names of clients for the log, which nobody waits for.
#pragma once

#include "portico/ip/address.hpp"
#include "portico/os/resolve.hpp"
#include "portico/serve/name_cache.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace portico::run {

namespace asio = boost::asio;

struct reverse_settings {
    serve::name_cache::settings cache{};
    duration patience = std::chrono::seconds{5}; // with one address, both questions
    std::size_t at_once = 8;                     // processes
    std::size_t waiting = 1024;                  // addresses; further ones have no name
    std::size_t callers = 4096; // of tell() that wait, in all; further ones get no name
    os::lookup_config how{};
};

// Asks what an address is called (PTR), and whether that name has the address (A or AAAA): who
// answers for an address block can call it whatever he likes, and only a name that is confirmed is
// told. Each answer is kept for a while. What cannot be asked for has no name.
//
// Threads: all calls on the executor's thread or strand. Memory: `waiting` addresses, `callers`
// that wait for them, the cache, `at_once` processes. Destroying it tells nobody any more.
class reverse_names {
public:
    using known = std::function<void(const std::string& name)>; // empty: it has none

    reverse_names(asio::any_io_executor executor, reverse_settings how);
    reverse_names(const reverse_names&) = delete;
    reverse_names& operator=(const reverse_names&) = delete;
    ~reverse_names();

    // So that it may be known when it is needed.
    void want(const ip::address& who);
    // Once, within this call if it is known, or cannot be.
    void tell(const ip::address& who, known then);
    // How many calls of tell() got no name because there was no room for them.
    [[nodiscard]] std::uint64_t turned_away() const noexcept;
    // Everybody who waits is told now: nothing.
    void stop();

private:
    struct state;
    std::shared_ptr<state> state_;
};

} // namespace portico::run
