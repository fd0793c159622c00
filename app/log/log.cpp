#include "log/log.hpp"

#include "portico/ip/canonical.hpp"
#include "portico/os/resolve.hpp"
#include "portico/os/socket.hpp"
#include "portico/run/relay_counters.hpp"

#include <fmt/format.h>
#include <spdlog/details/null_mutex.h>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <poll.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>
#include <utility>

namespace portico::app {
namespace {

// Text between quotes. The escapes are those that logfmt and JSON have in common; in JSON the
// backslash of \xNN is escaped itself.
void append_quoted(std::string& to, std::string_view text, bool json) {
    to += '"';
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            to += '\\';
            to += c;
        } else if (c == '\n') {
            to += "\\n";
        } else if (c == '\t') {
            to += "\\t";
        } else if (c == '\r') {
            to += "\\r";
        } else if (byte < 0x20 || byte >= 0x7f) {
            to += fmt::format("{}x{:02x}", json ? "\\\\" : "\\", byte);
        } else {
            to += c;
        }
    }
    to += '"';
}

bool is_bare(std::string_view text) {
    for (const char c : text) {
        if (c <= ' ' || c >= '\x7f' || c == '"' || c == '=' || c == '\\') {
            return false;
        }
    }
    return !text.empty();
}

void append_value(std::string& to, const field& each, bool json) {
    if (const auto* text = std::get_if<std::string>(&each.value)) {
        if (!json && is_bare(*text)) {
            to += *text;
        } else {
            append_quoted(to, *text, json);
        }
    } else if (const auto* count = std::get_if<std::uint64_t>(&each.value)) {
        to += fmt::format("{}", *count);
    } else {
        to += fmt::format("{:.6f}", std::get<double>(each.value));
    }
}

void add_endpoint(fields& to, std::string_view who, const ip::any_endpoint& which) {
    const std::string prefix = "network." + std::string{who} + '.';
    if (const auto* at = std::get_if<ip::endpoint>(&which)) {
        const auto known = ip::canonical(*at);
        to.push_back({prefix + "address", ip::to_text(known.address)});
        to.push_back({prefix + "port", std::uint64_t{known.port}});
    } else if (const auto* name = std::get_if<ip::unix_name>(&which); name && !name->empty()) {
        to.push_back({prefix + "address", ip::to_text(*name)});
    }
}

// A word that a program can compare; the message says it in full.
std::string type_of(const std::error_code& why) {
    const auto& kind = why.category();
    std::string_view name;
    if (kind == std::system_category() || kind == std::generic_category()) {
        const char* known = ::strerrorname_np(why.value());
        name = known != nullptr ? known : "";
    } else if (kind == portico_category()) {
        name = name_of(static_cast<errc>(why.value()));
    } else if (kind == os::lookup_category()) {
        name = os::lookup_error_name(why.value());
    } else if (kind == run::refusal_category()) {
        name = to_text(static_cast<run::relay_end>(why.value()));
    }
    return name.empty() ? fmt::format("{}:{}", kind.name(), why.value()) : std::string{name};
}

spdlog::level::level_enum level_of(severity how) {
    switch (how) {
    case severity::debug:
        return spdlog::level::debug;
    case severity::info:
        return spdlog::level::info;
    case severity::warning:
        return spdlog::level::warn;
    case severity::error:
        break;
    }
    return spdlog::level::err;
}

// The priority of syslog(3), as journald reads it.
class priority_flag final : public spdlog::custom_flag_formatter {
public:
    void format(const spdlog::details::log_msg& line, const std::tm&,
                spdlog::memory_buf_t& to) override {
        to.push_back(line.level == spdlog::level::err    ? '3'
                     : line.level == spdlog::level::warn ? '4'
                     : line.level == spdlog::level::info ? '6'
                                                         : '7');
    }
    [[nodiscard]] std::unique_ptr<custom_flag_formatter> clone() const override {
        return std::make_unique<priority_flag>();
    }
};

std::unique_ptr<spdlog::formatter> formatter_for(const log_settings& settings) {
    auto made = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc, "\n");
    made->add_flag<priority_flag>('*');
    const bool json = settings.format == log_format::json;
    std::string pattern = settings.journald && !settings.syslog ? "<%*>" : "";
    pattern += json ? "{" : "";
    if (!settings.journald && !settings.syslog) {
        pattern += json ? R"("time":"%Y-%m-%dT%H:%M:%S.%eZ",)" : "time=%Y-%m-%dT%H:%M:%S.%eZ ";
    }
    pattern += json ? R"("level":"%l",%v})" : "level=%l %v";
    made->set_pattern(pattern);
    return made;
}

class log_sink : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
public:
    // Whether the last line was written, whole.
    [[nodiscard]] virtual bool is_written() const noexcept = 0;
};

// Whether a line was lost nobody tells.
class syslog_sink final : public log_sink {
public:
    syslog_sink() { ::openlog("portico", LOG_PID | LOG_NDELAY, LOG_DAEMON); }
    [[nodiscard]] bool is_written() const noexcept override { return true; }

private:
    void sink_it_(const spdlog::details::log_msg& line) override {
        spdlog::memory_buf_t text;
        formatter_->format(line, text);
        const int priority = line.level == spdlog::level::err    ? LOG_ERR
                             : line.level == spdlog::level::warn ? LOG_WARNING
                             : line.level == spdlog::level::info ? LOG_INFO
                                                                 : LOG_DEBUG;
        ::syslog(priority, "%.*s", static_cast<int>(text.size()), text.data());
    }
    void flush_() override {}
};

// One write(2) a line, and never a SIGPIPE: a stdio sink would raise it when the reader is gone.
// What cannot be written, for a full disk or a reader that is slow or gone, is lost and stops
// nobody.
class stderr_sink final : public log_sink {
public:
    stderr_sink() {
        struct stat facts {};
        may_break_ = ::fstat(STDERR_FILENO, &facts) != 0 || S_ISFIFO(facts.st_mode) ||
                     S_ISSOCK(facts.st_mode);
    }
    [[nodiscard]] bool is_written() const noexcept override { return written_; }

private:
    void sink_it_(const spdlog::details::log_msg& line) override {
        spdlog::memory_buf_t text;
        if (torn_) { // a full disk took the beginning of the last one
            text.push_back('\n');
        }
        formatter_->format(line, text);
        auto left = std::as_bytes(std::span{text.data(), text.size()});
        written_ = false;
        while (!left.empty()) {
            const auto done = put(left);
            if (!done) {
                torn_ = torn_ || left.size() < text.size();
                return;
            }
            left = left.subspan(*done);
        }
        written_ = true;
        torn_ = false;
    }
    void flush_() override {}

    // Who reads the log may be slow for a moment, but must not stop the service: then lines are
    // lost until there is room. A pipe has room for PIPE_BUF bytes when poll(2) says so.
    [[nodiscard]] bool has_room() noexcept {
        pollfd room{STDERR_FILENO, POLLOUT, 0};
        const bool found = ::poll(&room, 1, stuck_ ? 0 : patience_ms) != 0;
        stuck_ = !found;
        return found;
    }

    [[nodiscard]] os::sys_result<std::size_t> put(std::span<const std::byte> bytes) {
        if (may_break_) {
            return has_room() ? os::write(STDERR_FILENO, bytes)
                              : tl::unexpected{std::error_code{EAGAIN, std::system_category()}};
        }
        const auto done = ::write(STDERR_FILENO, bytes.data(), bytes.size());
        if (done >= 0) {
            return static_cast<std::size_t>(done);
        }
        if (errno == EINTR) {
            return std::size_t{0};
        }
        return tl::unexpected{std::error_code{errno, std::system_category()}};
    }

    static constexpr int patience_ms = 1000;

    bool may_break_ = true;
    bool stuck_ = false; // nobody read when the last line was to be written
    bool written_ = true;
    bool torn_ = false; // what is there does not end with a line's end
};

} // namespace

bool stderr_is_journald() noexcept {
    const char* named = std::getenv("JOURNAL_STREAM");
    struct stat facts {};
    if (named == nullptr || ::fstat(STDERR_FILENO, &facts) != 0) {
        return false;
    }
    const char* end = named + std::strlen(named);
    unsigned long long device = 0;
    unsigned long long inode = 0;
    const auto first = std::from_chars(named, end, device);
    if (first.ec != std::errc{} || first.ptr == end || *first.ptr != ':') {
        return false;
    }
    const auto second = std::from_chars(first.ptr + 1, end, inode);
    return second.ec == std::errc{} && second.ptr == end && device == facts.st_dev &&
           inode == facts.st_ino;
}

void add_endpoints(fields& to, ip::transport over, const ip::any_endpoint& local,
                   const ip::any_endpoint& peer) {
    const auto* at = std::get_if<ip::endpoint>(&local);
    to.push_back({"network.transport", at ? std::string{ip::to_text(over)} : "unix"});
    if (at != nullptr) {
        to.push_back({"network.type", ip::canonical(at->address).is_v6() ? "ipv6" : "ipv4"});
    }
    add_endpoint(to, "peer", peer);
    add_endpoint(to, "local", local);
}

void add_error(fields& to, const error& why) {
    to.push_back({"error.type", type_of(why.code)});
    to.push_back({"error.message", portico::to_text(why)});
}

void add_duration(fields& to, duration lasted) {
    to.push_back({"duration", std::chrono::duration<double>{lasted}.count()});
}

std::string to_logfmt(std::string_view what, const fields& with) {
    std::string line = "msg=";
    append_value(line, {"msg", std::string{what}}, false);
    for (const auto& each : with) {
        line += ' ' + each.name + '=';
        append_value(line, each, false);
    }
    return line;
}

std::string to_json_members(std::string_view what, const fields& with) {
    std::string line = "\"msg\":";
    append_quoted(line, what, true);
    for (const auto& each : with) {
        line += ",\"" + each.name + "\":";
        append_value(line, each, true);
    }
    return line;
}

struct event_log::state {
    explicit state(const log_settings& settings)
        : sink{settings.syslog ? std::shared_ptr<log_sink>{std::make_shared<syslog_sink>()}
                               : std::make_shared<stderr_sink>()},
          logger{"portico", sink} {
        logger.set_formatter(formatter_for(settings));
        logger.set_level(level_of(settings.least));
    }
    [[nodiscard]] bool put(spdlog::level::level_enum how, const std::string& text) {
        logger.log(how, spdlog::string_view_t{text});
        return sink->is_written();
    }

    std::shared_ptr<log_sink> sink;
    spdlog::logger logger;
    std::uint64_t lost = 0; // lines, and nobody knows yet
};

event_log::event_log(log_settings settings)
    : settings_{std::make_shared<log_settings>(settings)}, state_{
                                                               std::make_shared<state>(settings)} {}

event_log::event_log(const event_log& of, const fields& always)
    : settings_{of.settings_}, always_{of.always_}, state_{of.state_} {
    always_.insert(always_.end(), always.begin(), always.end());
}

event_log::~event_log() = default;

void event_log::set(log_format format, severity least) {
    settings_->format = format;
    settings_->least = least;
    state_->logger.set_formatter(formatter_for(*settings_));
    state_->logger.set_level(level_of(least));
}

void event_log::write(severity how, std::string_view what, const fields& with) {
    if (!wants(how)) {
        return;
    }
    const auto text = [this](std::string_view event, const fields& attributes) {
        auto all = always_;
        all.insert(all.end(), attributes.begin(), attributes.end());
        return settings_->format == log_format::json ? to_json_members(event, all)
                                                     : to_logfmt(event, all);
    };
    auto& my = *state_;
    if (my.lost != 0 &&
        my.put(spdlog::level::err, text("log lines were lost", {{"lines", my.lost}}))) {
        my.lost = 0;
    }
    if (my.lost != 0 || !my.put(level_of(how), text(what, with))) {
        ++my.lost;
    }
}

} // namespace portico::app
