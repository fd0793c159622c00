// The binder's own process.

#include "guard/binder.hpp"
#include "guard/binder_message.hpp"

#include "portico/os/fdpass.hpp"
#include "portico/os/sandbox.hpp"

#include <cerrno>
#include <csignal>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

namespace portico::app {
namespace {

// It ends with its host, and not by a signal that was meant for all of a terminal or a service.
void ignore_signals() {
    for (int each = 1; each < NSIG; ++each) {
        if (each != SIGCHLD) {
            ::signal(each, SIG_IGN);
        }
    }
}

// Of its host's, the listening sockets among them.
bool close_all_but(int kept) {
    const auto close = [](int first, unsigned last) {
        return first < 0 || static_cast<unsigned>(first) > last ||
               ::syscall(SYS_close_range, first, last, 0) == 0;
    };
    if (close(0, static_cast<unsigned>(kept) - 1) && close(kept + 1, ~0U)) {
        return true;
    }
    for (long each = ::sysconf(_SC_OPEN_MAX); each >= 0; --each) { // before Linux 5.9
        if (each != kept) {
            ::close(static_cast<int>(each));
        }
    }
    return true;
}

// The errno of what failed; 0: nothing did. What a kernel does not have is gone without.
int give_up_rights(const std::vector<port_range>& ports,
                   const std::optional<os::new_identity>& who) {
    constexpr auto kept = os::one_capability(CAP_NET_BIND_SERVICE);
    if (who) {
        auto wanted = *who;
        wanted.keep = kept;
        if (const auto done = os::drop_to(wanted); !done) {
            return done.error().why.value();
        }
    } else if (const auto done = os::keep_capabilities(kept); !done) {
        return done.error().value();
    }
    if (const auto done = os::set_no_new_privileges(); !done) {
        return done.error().value();
    }
    os::landlock_rules rules{.paths = std::vector<os::path_rule>{},
                             .bind_ports = std::vector<std::uint16_t>{},
                             .connect_ports = std::vector<std::uint16_t>{},
                             .own_abstract_sockets = true,
                             .own_signals = true};
    for (const auto& each : ports) {
        for (unsigned port = each.first; port <= each.last; ++port) {
            rules.bind_ports->push_back(static_cast<std::uint16_t>(port));
        }
    }
    static_cast<void>(os::restrict_by_landlock(rules));
    if (os::call_filters_available()) {
        os::call_filter calls{.which = os::call_filter::list::allow,
                              .names = {"bind", "brk", "close", "exit", "exit_group", "futex",
                                        "getpid", "gettid", "madvise", "mmap", "mprotect", "munmap",
                                        "recvmsg", "restart_syscall", "rt_sigreturn", "sched_yield",
                                        "sendmsg", "sigaltstack"},
                              .refused = os::call_filter::answer::kill};
#ifdef __SANITIZE_THREAD__ // its own thread looks at the time, and waits
        calls.names.insert(calls.names.end(), {"clock_nanosleep", "gettimeofday", "nanosleep"});
#endif
        if (const auto done = os::install_call_filter(calls); !done) {
            return done.error().value();
        }
    }
    return 0;
}

int bind(const binder_request& asked, const std::vector<os::fd>& with,
         const std::vector<port_range>& ports) {
    if (with.size() != 1) {
        return EINVAL;
    }
    if (!contains(ports, asked.port())) {
        return EACCES;
    }
    return ::bind(with.front().raw(), reinterpret_cast<const sockaddr*>(asked.at.data()),
                  asked.length) == 0
               ? 0
               : errno;
}

void say(const os::fd& channel, std::uint64_t number, int why) {
    static_cast<void>(os::send_descriptors(channel.raw(), to_bytes(binder_reply{number, why}), {}));
}

} // namespace

int run_binder(os::fd channel, const std::vector<port_range>& ports,
               const std::optional<os::new_identity>& who) {
    static_cast<void>(::prctl(PR_SET_NAME, "portico-binder"));
    ignore_signals();
    const bool is_alone = close_all_but(channel.raw());
    const auto waits = os::set_blocking(channel.raw(), true);
    const int why = !is_alone ? EBADF : !waits ? waits.error().value() : give_up_rights(ports, who);
    say(channel, binder_start, why);
    while (why == 0) {
        binder_request_bytes room;
        const auto got = os::receive_descriptors(channel.raw(), room, 1);
        if (!got && got.error().value() == EINTR) {
            continue;
        }
        if (!got && got.error().value() != EMFILE && got.error().value() != EMSGSIZE) {
            return 1;
        }
        if (got && got->size == 0) {
            return 0; // nobody has the channel any more
        }
        const auto asked = got ? parse_binder_request(std::span{room}.first(got->size))
                               : std::optional<binder_request>{};
        say(channel, asked ? asked->number : binder_start,
            asked ? bind(*asked, got->descriptors, ports) : EINVAL);
    }
    return 1;
}

} // namespace portico::app
