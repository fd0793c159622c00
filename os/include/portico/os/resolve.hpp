// Resolving a name in a process of its own, so that it can be limited in time and cancelled.
//
// getaddrinfo(3) asks every source of names this host is set up for (nsswitch.conf(5): files, DNS,
// mDNS, machines, ...) but blocks, and nothing can stop it. So portico-resolve, a small program,
// calls it; whoever no longer wants the answer kills it. For waiting see run/resolve.hpp.
#pragma once

#include "portico/base/error.hpp"
#include "portico/ip/address.hpp"
#include "portico/os/fd.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <system_error>
#include <vector>

namespace portico::os {

// One question: the addresses of one family of a name.
struct lookup_request {
    std::string name;
    ip::family family = ip::family::v6;
    bool passive = false; // AI_PASSIVE: the addresses are to be bound
};

struct lookup_config {
    // Path of portico-resolve. Empty: $PORTICO_RESOLVE (not in set-user-ID programs), else where it
    // was to be installed, else beside this program, else ../libexec/portico/ from there. The last
    // two only when its owner is root or the owner of this program.
    std::string program;
};

// Where portico-resolve is looked for with an empty lookup_config, as said there; it need not be at
// any of these paths.
[[nodiscard]] std::vector<std::string> lookup_programs();

// What a lookup found.
struct lookup_answer {
    std::vector<ip::address>
        addresses;           // in the resolver's order, each once; never empty on success
    std::size_t dropped = 0; // more than a lookup carries (512)

    friend bool operator==(const lookup_answer&, const lookup_answer&) = default;
};

// One SRV record (RFC 2782).
struct service_record {
    std::uint16_t priority = 0; // the lowest that can be reached first
    std::uint16_t weight = 0;
    std::uint16_t port = 0;
    std::string target; // letters, digits, '-', '_' and '.'; without a final dot

    friend bool operator==(const service_record&, const service_record&) = default;
};

// Where a service is.
struct service_answer {
    std::vector<service_record> records; // as they came; never empty on success
    std::chrono::seconds lifetime{0};    // the least of all records and aliases
    std::size_t dropped = 0;             // more than an answer carries (128), or not understood

    friend bool operator==(const service_answer&, const service_answer&) = default;
};

// Failures of resolving: the negative EAI_* codes of getaddrinfo(3) with their gai_strerror(3)
// texts, and the lookup_errc values. EAI_NONAME is not among them: it is
// errc::name_not_found; EAI_NODATA and EAI_ADDRFAMILY are errc::no_address; EAI_SYSTEM is its
// errno.
enum class lookup_errc {
    program_missing = 1, // no portico-resolve in any of the places; the message names them
    program_unusable,    // the program of lookup_config could not be started
    bad_answer,          // it ended without an answer, or with one that cannot be read
    no_service,          // "." is the target: the domain does not offer it (RFC 2782)
};
[[nodiscard]] const std::error_category& lookup_category() noexcept;
[[nodiscard]] std::error_code make_error_code(lookup_errc code) noexcept;
// The name of a value of that category for programs: "EAI_AGAIN", "program_missing". Empty for a
// value that has none.
[[nodiscard]] std::string_view lookup_error_name(int code) noexcept;

// The answer to what needs no question: a literal address (only for its own family, else
// errc::no_address), and "localhost" and names under it, which are the loopback address (RFC 6761
// section 6.3). nullopt for every other name.
[[nodiscard]] std::optional<result<lookup_answer>> answer_without_asking(std::string_view name,
                                                                         ip::family family);

// Reads what portico-resolve wrote (see os/helper/portico_resolve.cpp). Trusts nothing in it:
// lookup_errc::bad_answer for a wrong form, a missing end, too many lines or an address of the
// other family. Pure; time: linear.
[[nodiscard]] result<lookup_answer> parse_lookup_answer(std::string_view text, ip::family family);
// The same for the answer to start_service_lookup(). Records whose target is "." say that there is
// none: alone they are lookup_errc::no_service, beside others they say nothing.
[[nodiscard]] result<service_answer> parse_service_answer(std::string_view text);
// No answer is longer than this; whoever reads it may stop here.
inline constexpr std::size_t max_lookup_answer = 64 * 1024;

// A running lookup: owns the process and the pipe that its answer comes through. Move-only; its end
// kills the process. Nothing but this one process is ever waited for, and SIGCHLD is left alone.
// Threads: distinct objects safe.
class [[nodiscard]] lookup {
public:
    lookup() noexcept = default;
    lookup(fd answer, pid_t pid, fd process) noexcept;
    lookup(lookup&& other) noexcept;
    lookup& operator=(lookup&& other) noexcept;
    ~lookup() { stop(); }

    // Where the answer comes: non-blocking; read to its end.
    [[nodiscard]] int answer() const noexcept { return answer_.raw(); }
    [[nodiscard]] pid_t pid() const noexcept { return pid_; }

    // Kills the process and waits for its end, which takes no time worth naming. Does nothing when
    // there is none.
    void stop() noexcept;

private:
    fd answer_;
    pid_t pid_ = -1;
    fd process_; // a pidfd: no other process can be hit; empty on kernels before 5.3
};

// Starts portico-resolve with this environment (RES_OPTIONS and LOCALDOMAIN work), with no other
// descriptor than its answer pipe, and with default signals. Errors: errc::name_not_found for a
// name that cannot be one (empty, longer than 1024 bytes, with a zero byte), lookup_errc, or the
// errno of pipe2(2) or posix_spawn(3).
[[nodiscard]] result<lookup> start_lookup(const lookup_request& what,
                                          const lookup_config& how = {});

// The same for the SRV records of a name, such as "_imap._tcp.example.org". Only name servers are
// asked (resolv.conf(5)), for exactly this name. A name outside ASCII is EAI_IDN_ENCODE.
[[nodiscard]] result<lookup> start_service_lookup(const std::string& name,
                                                  const lookup_config& how = {});

} // namespace portico::os

template <>
struct std::is_error_code_enum<portico::os::lookup_errc> : std::true_type {};
