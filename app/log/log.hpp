// The log: one line on stderr, or to syslog(3), for each event, as logfmt or JSON, with the
// attribute names of OpenTelemetry.
#pragma once

#include "portico/base/error.hpp"
#include "portico/base/instant.hpp"
#include "portico/ip/any_endpoint.hpp"
#include "portico/ip/service.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace portico::app {

enum class log_format : std::uint8_t { logfmt, json };
enum class severity : std::uint8_t { debug, info, warning, error };

struct log_settings {
    log_format format = log_format::logfmt;
    severity least = severity::info; // what is less severe is not written
    bool journald = false;           // "<N>" (sd-daemon(3)) in front of a line, and no time
    bool syslog = false;             // to syslog(3), which has the time and the severity beside it
    bool names = false;              // of clients; see run::reverse_names
};

// Whether stderr is a stream to journald: JOURNAL_STREAM of the environment names its device and
// inode (systemd.exec(5)).
[[nodiscard]] bool stderr_is_journald() noexcept;

// One attribute of an event. Numbers are written bare, texts quoted where they have to be.
struct field {
    std::string name;
    std::variant<std::string, std::uint64_t, double> value;
};
using fields = std::vector<field>;

// network.transport, network.type, and network.local.* and network.peer.*, from the canonical
// addresses; of a UNIX socket the address is its name, and an unnamed peer is left out.
void add_endpoints(fields& to, ip::transport over, const ip::any_endpoint& local,
                   const ip::any_endpoint& peer);
// error.type, which is a word, the name of the errno where there is one; and the message as
// error.message.
void add_error(fields& to, const error& why);
// Seconds, to the microsecond.
void add_duration(fields& to, duration lasted);

// msg="..." name=value ...: a value with a character that is not printable ASCII, a space, a quote,
// '=' or '\', and an empty one, is quoted; no value can end the line.
[[nodiscard]] std::string to_logfmt(std::string_view what, const fields& with);
// "msg":"...","name":value without braces. Bytes beyond ASCII are written as the text \xNN, as in
// logfmt.
[[nodiscard]] std::string to_json_members(std::string_view what, const fields& with);

// Threads: one at a time. A reader of stderr that went away is no failure and no signal. Lines that
// a full stderr does not take within a second are counted, and told before the next line.
class event_log {
public:
    explicit event_log(log_settings settings);
    // The same log; each line written by this one also has what all of `of` have, and `always`.
    event_log(const event_log& of, const fields& always);
    event_log(const event_log&) = delete;
    event_log& operator=(const event_log&) = delete;
    ~event_log();

    // From now on, for all that are the same log: the format, and what is written. It goes where it
    // went.
    void set(log_format format, severity least);

    // So that the fields of a line that is not written need not be made.
    [[nodiscard]] bool wants(severity how) const noexcept { return how >= settings_->least; }
    // `what` is a constant text that says what happened; all that varies is in the fields.
    void write(severity how, std::string_view what, const fields& with = {});

private:
    struct state;
    std::shared_ptr<log_settings> settings_;
    fields always_;
    std::shared_ptr<state> state_;
};

} // namespace portico::app
