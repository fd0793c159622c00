// Takes orders for this process at a UNIX socket: one connection is one order and its answer.
#pragma once

#include "portico/run/service.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace portico::app {

struct control_order {
    enum class kind : std::uint8_t { reload, handover };
    kind what = kind::reload;
    std::string program{}; // of a handover: what is started; empty: what runs now

    friend bool operator==(const control_order&, const control_order&) = default;
};

// What became of it: the exit code for whoever asked, and lines for a person.
struct control_outcome {
    int exit_code = 0;
    std::string text{};
};

// An order is a line: "reload", "handover" or "handover /path". Its answer is a line with the exit
// code, and then the text. nullopt: it is no order.
[[nodiscard]] std::optional<control_order> parse_order(std::string_view line);
[[nodiscard]] std::string to_text(const control_order& which); // without the line's end

using control_reply = std::function<void(const control_outcome&)>;
// Calls the reply once, perhaps within the call, perhaps much later.
using control_obey = std::function<void(const control_order&, control_reply)>;

// Only root, and the user that this process is now, is obeyed. An order has five seconds to come.
// Memory: 4 KiB of what each client says. Threads: the executor's.
[[nodiscard]] std::unique_ptr<run::stream_service>
make_control_service(boost::asio::any_io_executor executor, control_obey obey);

} // namespace portico::app
