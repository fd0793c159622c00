// Any bytes as what the manager says in the environment, and as a status for it: a notice has one
// line for each thing that is told, whatever is in its text.

#include "portico/os/notify.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>

using namespace portico;

namespace {

void demand(bool holds) {
    if (!holds) {
        std::abort();
    }
}

bool is_printable(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

void tell(const std::string& text) {
    const auto told = os::to_text(os::notice{.ready = true, .status = text});
    demand(told.size() <= os::most_notice && told.starts_with("READY=1\nSTATUS="));
    demand(std::count(told.begin(), told.end(), '\n') == 2 && told.back() == '\n');
    demand(told.find('\0') == std::string::npos);
    demand(os::to_text(os::notice{.ready = true, .status = told.substr(15, told.size() - 16)}) ==
           told);
}

void hear(const std::string& text) {
    const auto way = os::notify_socket::to_manager({.socket = text});
    demand(way || (is_printable(way.error().what) && !way.error().hint.empty()));
    demand(!way || way->has_manager() == !text.empty());
    const auto often = os::watchdog_interval({.watchdog_usec = text, .watchdog_pid = "5"}, 5);
    demand(often ? **often > duration::zero() : is_printable(often.error().what));
    const auto whose = os::watchdog_interval({.watchdog_usec = "1", .watchdog_pid = text}, 5);
    demand(whose || is_printable(whose.error().what));
    static_cast<void>(os::store_limit({.store = text}));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text{reinterpret_cast<const char*>(data), size};
    tell(text);
    hear(text);
    return 0;
}
