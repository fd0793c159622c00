// Whether the way out of this host that a service was told to use is there.
#pragma once

#include "portico/base/error.hpp"
#include "portico/ip/address.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace portico::run {

namespace asio = boost::asio;

// A device, an address of this host, or both.
struct egress {
    std::string device{};              // empty: any
    std::optional<ip::address> from{}; // unset: any; its zone does not count

    [[nodiscard]] bool is_asked() const noexcept { return !device.empty() || from; }
};

// The device is there while it is switched on and can carry packets (IFF_UP and IFF_RUNNING: a TUN
// device whose program has gone does not), the address while some device has it and duplicate
// address detection has not failed.
//
// Threads: the executor's.
class egress_watch {
public:
    // `changed` is called with whether it is there, and why not, at each change; not within this
    // call. The error is the system's.
    [[nodiscard]] static result<std::unique_ptr<egress_watch>>
    open(const asio::any_io_executor& executor, egress which,
         std::function<void(bool is_there, const std::string& why)> changed);
    virtual ~egress_watch() = default;

    [[nodiscard]] virtual bool is_there() const = 0;
    // "the device tun0 is gone"; empty while it is there.
    [[nodiscard]] virtual std::string trouble() const = 0;
};

} // namespace portico::run
