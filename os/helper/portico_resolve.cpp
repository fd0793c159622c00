// portico-resolve NAME 4|6 passive|active: one getaddrinfo(3) call, answered on stdout.
//
// getaddrinfo(3) knows every source of names that this host is set up for (nsswitch.conf(5)) but
// can be neither limited in time nor cancelled; a process can be killed. The answer is lines of
// text, read by os::parse_lookup_answer():
//
//   portico-resolve 1
//   address 192.0.2.1            as many as there are, at most max_addresses
//   dropped 3                    when there were more
//   failed -2 0                  instead of addresses: the EAI code, and errno
//   end
//
// Exit code: 0 answered, 100 wrong arguments, 111 the answer could not be written.

#include <arpa/inet.h>
#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <net/if.h>
#include <netdb.h>
#include <unistd.h>

namespace {

constexpr int max_addresses = 512;

// SIGIO, which kills, when the reader of stdout goes away: nobody wants the answer any more, even
// if the one who asked was killed and could not tell us.
void end_with_the_reader(bool on) {
    const int flags = ::fcntl(STDOUT_FILENO, F_GETFL);
    if (on) {
        ::signal(SIGIO, SIG_DFL);
        ::fcntl(STDOUT_FILENO, F_SETOWN, ::getpid());
    }
    ::fcntl(STDOUT_FILENO, F_SETFL, on ? flags | O_ASYNC : flags & ~O_ASYNC);
}

bool is_ascii(const char* text) {
    for (; *text != '\0'; ++text) {
        if ((static_cast<unsigned char>(*text) & 0x80U) != 0) {
            return false;
        }
    }
    return true;
}

void print_address(const sockaddr* where) {
    char text[INET6_ADDRSTRLEN] = "";
    if (where->sa_family == AF_INET) {
        sockaddr_in v4{};
        std::memcpy(&v4, where, sizeof v4);
        ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
        std::printf("address %s\n", text);
        return;
    }
    sockaddr_in6 v6{};
    std::memcpy(&v6, where, sizeof v6);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    char name[IF_NAMESIZE] = "";
    if (v6.sin6_scope_id == 0) {
        std::printf("address %s\n", text);
    } else if (::if_indextoname(v6.sin6_scope_id, name) != nullptr) {
        std::printf("address %s%%%s\n", text, name);
    } else {
        std::printf("address %s%%%u\n", text, v6.sin6_scope_id);
    }
}

void print_answer(const addrinfo* found, int family) {
    int printed = 0;
    int dropped = 0;
    for (; found != nullptr; found = found->ai_next) {
        if (found->ai_family != family) {
            continue;
        }
        if (printed == max_addresses) {
            ++dropped;
            continue;
        }
        print_address(found->ai_addr);
        ++printed;
    }
    if (dropped != 0) {
        std::printf("dropped %d\n", dropped);
    }
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 4 || (std::strcmp(argv[2], "4") != 0 && std::strcmp(argv[2], "6") != 0)) {
        std::fputs("usage: portico-resolve NAME 4|6 passive|active\n", stderr);
        return 100;
    }
    end_with_the_reader(true);

    addrinfo hints{};
    hints.ai_family = argv[2][0] == '4' ? AF_INET : AF_INET6;
    hints.ai_socktype = SOCK_STREAM; // one result per address, not one per socket type
    // No AI_ADDRCONFIG: it hides loopback and link-local only hosts' addresses (and the race finds
    // out by itself what works). No AI_V4MAPPED: each family is asked for separately.
    hints.ai_flags = std::strcmp(argv[3], "passive") == 0 ? AI_PASSIVE : 0;
    if (!is_ascii(argv[1])) {
        std::setlocale(LC_CTYPE, ""); // AI_IDN reads the name in the locale's character set
        hints.ai_flags |= AI_IDN;
    }

    addrinfo* found = nullptr;
    errno = 0;
    const int code = ::getaddrinfo(argv[1], nullptr, &hints, &found);
    const int number = errno;
    end_with_the_reader(false); // from here on a full pipe that drains must not kill us

    std::puts("portico-resolve 1");
    if (code == 0) {
        print_answer(found, hints.ai_family);
    } else {
        std::printf("failed %d %d\n", code, code == EAI_SYSTEM ? number : 0);
    }
    std::puts("end");
    const bool written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
    if (found != nullptr) {
        ::freeaddrinfo(found);
    }
    return written ? 0 : 111;
}
