#include "portico/os/notify.hpp"

#include "fd/number_of.hpp"
#include "inherit/environment.hpp"
#include "portico/os/fdpass.hpp"
#include "socket/call.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <fcntl.h>
#include <unistd.h>

namespace portico::os {
namespace {

constexpr std::size_t most_status = 1024;
constexpr std::size_t most_name = 255;

notify_error bad_value(std::string_view name, std::string_view value, std::string_view what,
                       std::string_view hint) {
    return {{EINVAL, std::system_category()},
            std::string{name} + "=" + shown(value) + ": " + std::string{what},
            std::string{hint}};
}

std::string microseconds(duration span) {
    return std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(span).count());
}

bool is_continuation(char each) noexcept { // of a character in UTF-8
    return (static_cast<unsigned char>(each) & 0xc0U) == 0x80U;
}

// A new line would begin another assignment.
std::string one_line(std::string_view text) {
    auto size = std::min(text.size(), most_status);
    while (size < text.size() && size > 0 && is_continuation(text[size])) {
        --size;
    }
    std::string made{text.substr(0, size)};
    std::replace_if(
        made.begin(), made.end(),
        [](char each) { return static_cast<unsigned char>(each) < ' ' || each == '\x7f'; }, ' ');
    return made;
}

bool is_store_name(std::string_view name) noexcept {
    return !name.empty() && name.size() <= most_name &&
           std::all_of(name.begin(), name.end(),
                       [](char each) { return each >= ' ' && each <= '~' && each != ':'; });
}

// The manager's socket is not the one any more that this was connected to.
bool is_gone(const std::error_code& why) noexcept {
    return why.value() == ECONNREFUSED || why.value() == ENOTCONN;
}

} // namespace

notify_environment read_notify_environment() {
    return {variable("NOTIFY_SOCKET"), variable("WATCHDOG_USEC"), variable("WATCHDOG_PID"),
            variable("FDSTORE")};
}

tl::expected<std::optional<duration>, notify_error>
watchdog_interval(const notify_environment& given, pid_t self) {
    using std::chrono::microseconds;
    if (!given.watchdog_usec) {
        return std::nullopt;
    }
    if (given.watchdog_pid) {
        const auto pid = number_of<pid_t>(*given.watchdog_pid);
        if (!pid || *pid == 0) {
            return tl::unexpected{bad_value("WATCHDOG_PID", *given.watchdog_pid,
                                            "it is not a process number",
                                            "it is the number of the process that is watched")};
        }
        if (*pid != self) {
            return std::nullopt;
        }
    }
    constexpr auto longest = std::chrono::duration_cast<microseconds>(duration::max()).count();
    const auto value = number_of<std::int64_t>(*given.watchdog_usec);
    if (!value || *value == 0 || *value > longest) {
        return tl::unexpected{
            bad_value("WATCHDOG_USEC", *given.watchdog_usec, "it is not a number of microseconds",
                      "it is how often the service has to say that it is well, as "
                      "WatchdogSec= of its unit has it")};
    }
    return duration{microseconds{*value}};
}

std::optional<std::size_t> store_limit(const notify_environment& given) noexcept {
    return given.store ? number_of<std::size_t>(*given.store) : std::nullopt;
}

std::string to_text(const notice& told) {
    std::string text;
    const auto add = [&text](std::string_view name, const std::string& value) {
        text.append(name).append(1, '=').append(value).append(1, '\n');
    };
    if (told.reloading) {
        add("RELOADING", "1");
        add("MONOTONIC_USEC", microseconds(told.reloading->time_since_epoch()));
    }
    if (told.ready) {
        add("READY", "1");
    }
    if (told.stopping) {
        add("STOPPING", "1");
    }
    if (told.well) {
        add("WATCHDOG", "1");
    }
    if (told.main_process) {
        add("MAINPID", std::to_string(*told.main_process));
    }
    if (told.more_time) {
        add("EXTEND_TIMEOUT_USEC", microseconds(*told.more_time));
    }
    if (told.status) {
        add("STATUS", one_line(*told.status));
    }
    return text;
}

tl::expected<notify_socket, notify_error>
notify_socket::to_manager(const notify_environment& given) {
    notify_socket made;
    if (!given.socket || given.socket->empty()) {
        return made;
    }
    const std::string_view text{*given.socket};
    const auto at = text.front() == '@'   ? ip::unix_name::abstract(text.substr(1))
                    : text.front() == '/' ? ip::unix_name::path(text)
                                          : std::nullopt;
    if (!at) {
        return tl::unexpected{
            bad_value("NOTIFY_SOCKET", text, "it is neither a path nor an abstract name",
                      "it begins with '/' or '@' and has at most 107 characters; unset it when "
                      "there is no manager")};
    }
    made.at_ = *at;
    return made;
}

sys_status notify_socket::connect() noexcept {
    if (!has_manager() || socket_) {
        return {};
    }
    auto made = os::socket(at_, ip::transport::udp);
    if (!made) {
        return tl::unexpected{made.error()};
    }
    if (auto connected = os::connect(*made, at_); !connected) {
        return connected;
    }
    socket_ = std::move(*made);
    return {};
}

sys_status notify_socket::send_once(std::string_view text,
                                    std::span<const int> descriptors) noexcept {
    if (auto connected = connect(); !connected) {
        return connected;
    }
    const auto sent = send_descriptors(socket_.raw(), std::as_bytes(std::span{text}), descriptors);
    if (!sent) {
        return tl::unexpected{sent.error()};
    }
    return {};
}

sys_status notify_socket::notify(std::string_view text, std::span<const int> descriptors) noexcept {
    if (text.empty()) {
        return failure(EINVAL);
    }
    if (text.size() > most_notice) {
        return failure(EMSGSIZE);
    }
    if (!has_manager()) {
        return {};
    }
    const bool was_connected = static_cast<bool>(socket_);
    auto sent = send_once(text, descriptors);
    if (!sent && is_gone(sent.error())) {
        socket_.reset();
        if (was_connected) {
            sent = send_once(text, descriptors);
        }
    }
    return sent;
}

sys_status notify_socket::notify(const notice& told) {
    return notify(to_text(told));
}

sys_status notify_socket::store(std::string_view name, std::span<const int> descriptors) {
    if (!is_store_name(name) || descriptors.empty()) {
        return failure(EINVAL);
    }
    return notify("FDSTORE=1\nFDNAME=" + std::string{name} + '\n', descriptors);
}

sys_status notify_socket::unstore(std::string_view name) {
    if (!is_store_name(name)) {
        return failure(EINVAL);
    }
    return notify("FDSTOREREMOVE=1\nFDNAME=" + std::string{name} + '\n');
}

sys_result<fd> notify_socket::barrier() noexcept {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
        return failure(errno);
    }
    fd ours{ends[0]};
    const fd theirs{ends[1]};
    if (auto sent = notify("BARRIER=1", std::array{theirs.raw()}); !sent) {
        return tl::unexpected{sent.error()};
    }
    return ours;
}

} // namespace portico::os
