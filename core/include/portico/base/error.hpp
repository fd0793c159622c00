// What went wrong, in which operation, whose fault it is, and at which endpoint.
#pragma once

#include "portico/ip/any_endpoint.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <tl/expected.hpp>
#include <type_traits>

namespace portico {

// The step that failed; each is named after the system call or protocol step that a user would look
// for.
enum class operation : std::uint8_t {
    none,
    parse,
    resolve,
    open,
    set_option,
    bind,
    listen,
    accept,
    connect,
    proxy,
    send,
    receive,
    close,
    spawn,
    inspect,
};

// Whose doing it is; it decides the exit code (see exit_code()).
enum class side : std::uint8_t {
    caller,  // what was asked for cannot work: repeating it will not help
    system,  // this host lacks something: memory, descriptors, a free port, a family
    peer,    // the other end, or the network on the way to it
    portico, // a bug of ours
};

// One failure. Trivially copyable, so it can be kept in tables and passed across threads by value.
// Memory: about 144 bytes, none on the heap. Threads: a value.
struct error {
    std::error_code code;
    operation op = operation::none;
    side who = side::system;
    ip::any_endpoint at; // std::monostate when no endpoint is involved
};
static_assert(std::is_trivially_copyable_v<error>);

template <class T>
using result = tl::expected<T, error>;

[[nodiscard]] std::string_view to_text(operation op) noexcept;
[[nodiscard]] std::string_view to_text(side who) noexcept;

// One line for a person: "connect [2001:db8::1]:80: Connection refused". A UNIX socket without a
// name is left out.
[[nodiscard]] std::string to_text(const error& why);

// The exit code for a command that ends because of `why`: 100 caller, 111 system or peer, 101
// portico.
[[nodiscard]] int exit_code(side who) noexcept;

// Failures that have no errno of their own.
enum class errc {
    no_address = 1,      // a name resolved to no usable address
    name_not_found,      // the name does not exist
    all_attempts_failed, // every address was tried; the report has each error
    proxy_refused,       // the proxy answered, and said no
    proxy_protocol,      // the proxy's answer is not of the protocol
    nothing_bound,       // no socket of a plan could be opened
    required_not_bound,  // a wish marked `required`, or one of its families, could not be opened
    not_inherited, // a descriptor that was to be inherited is not there, or not what was planned
};
[[nodiscard]] const std::error_category& portico_category() noexcept;
[[nodiscard]] std::error_code make_error_code(errc code) noexcept;
// Its name for programs: "no_address". Empty for a number that is none of them.
[[nodiscard]] std::string_view name_of(errc code) noexcept;

} // namespace portico

template <>
struct std::is_error_code_enum<portico::errc> : std::true_type {};
