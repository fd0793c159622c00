// Whether the way out of this host that a service was told to use is there.
#pragma once

#include "portico/base/error.hpp"
#include "portico/ip/endpoint.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace portico::run {

namespace asio = boost::asio;

// The device is there while it is switched on and can carry packets (IFF_UP and IFF_RUNNING: a TUN
// device whose program has gone does not), the address while some device has it and duplicate
// address detection has not failed.
//
// Threads: the executor's.
class egress_watch {
public:
    // `device`: its name; empty: any. `from`: an address of this host, whose zone and port do not
    // count; unset: any. `changed` is called with whether it is there, and why not ("the device
    // tun0 is gone"): within this call when it is not there now, and at each change. Null when any
    // way will do. The error is the system's.
    [[nodiscard]] static result<std::unique_ptr<egress_watch>>
    open(const asio::any_io_executor& executor, const std::string& device,
         const std::optional<ip::endpoint>& from,
         std::function<void(bool is_there, const std::string& why)> changed);
    virtual ~egress_watch() = default;
};

} // namespace portico::run
