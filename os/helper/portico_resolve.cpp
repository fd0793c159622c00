// portico-resolve NAME 4|6 passive|active: one getaddrinfo(3) call, answered on stdout.
// portico-resolve NAME srv: one question for SRV records (RFC 2782), to the name servers.
// portico-resolve ADDRESS name: one getnameinfo(3) call, for what the address is called.
//
// getaddrinfo(3) knows every source of names that this host is set up for (nsswitch.conf(5)) but
// can be neither limited in time nor cancelled; a process can be killed. The same holds for
// res_nquery(3), which asks for SRV. The answer is lines of text, read by
// os::parse_lookup_answer(), os::parse_service_answer() and os::parse_name_answer():
//
//   portico-resolve 1
//   address 192.0.2.1            as many as there are, at most max_addresses
//   lifetime 300                 seconds, the least of all records; only for srv
//   service 10 60 5060 a.test    priority, weight, port, name: at most max_services; "." is no name
//   dropped 3                    when there were more, or such as cannot be understood
//   name a.test                  what the address is called; only for name
//   failed -2 0                  instead of all that: the EAI code, and errno
//   end
//
// Exit code: 0 answered, 100 wrong arguments, 111 the answer could not be written.

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <net/if.h>
#include <netdb.h>
#include <resolv.h>
#include <unistd.h>

namespace {

constexpr int max_addresses = 512;
constexpr int max_services = 128;

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

// The EAI code for what res_nquery(3) left in h_errno.
int code_of(int host_error) {
    switch (host_error) {
    case HOST_NOT_FOUND:
        return EAI_NONAME;
    case NO_DATA:
        return EAI_NODATA;
    case TRY_AGAIN:
        return EAI_AGAIN;
    case NETDB_INTERNAL:
        return EAI_SYSTEM;
    default:
        return EAI_FAIL;
    }
}

// What a host can be called. Other names are legal in DNS, but no address belongs to them.
bool is_host_name(const char* name) {
    const auto is_fine = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.';
    };
    const auto size = std::strlen(name);
    for (std::size_t i = 0; i < size; ++i) {
        if (!is_fine(name[i])) {
            return false;
        }
    }
    return size != 0 && size <= 253;
}

// False when the record is not of the form of RFC 2782.
bool print_service(const ns_msg& message, const ns_rr& record) {
    const auto* const data = ns_rr_rdata(record);
    if (ns_rr_rdlen(record) < 7) {
        return false;
    }
    char name[NS_MAXDNAME] = "";
    const auto* const end = data + ns_rr_rdlen(record);
    if (::dn_expand(ns_msg_base(message), end, data + 6, name, sizeof name) < 0) {
        return false;
    }
    if (name[0] == '\0') { // the root, in the spelling of dn_expand(3)
        std::strcpy(name, ".");
    }
    if (!is_host_name(name)) {
        return false;
    }
    std::printf("service %u %u %u %s\n", ns_get16(data), ns_get16(data + 2), ns_get16(data + 4),
                name);
    return true;
}

void print_services(ns_msg& message) {
    unsigned long lifetime = 0x7fffffff;
    int printed = 0;
    int dropped = 0;
    for (int i = 0; i < ns_msg_count(message, ns_s_an); ++i) {
        ns_rr record;
        if (::ns_parserr(&message, ns_s_an, i, &record) != 0) {
            ++dropped;
            continue;
        }
        // RFC 2181 section 8: a time with the highest bit set is zero. An alias has a time too.
        const unsigned long time = ns_rr_ttl(record) > 0x7fffffff ? 0 : ns_rr_ttl(record);
        lifetime = time < lifetime ? time : lifetime;
        if (ns_rr_type(record) != ns_t_srv || ns_rr_class(record) != ns_c_in) {
            continue;
        }
        if (printed == max_services || !print_service(message, record)) {
            ++dropped;
        } else {
            ++printed;
        }
    }
    std::printf("lifetime %lu\n", lifetime);
    if (dropped != 0) {
        std::printf("dropped %d\n", dropped);
    }
}

void print_failure(int code, int number) {
    std::printf("failed %d %d\n", code, code == EAI_SYSTEM ? number : 0);
}

bool finish_answer() {
    std::puts("end");
    return std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
}

int ask_for_services(const char* name) {
    static unsigned char answer[NS_MAXMSG];
    struct __res_state state {};
    errno = 0;
    int code = 0;
    int size = -1;
    if (!is_ascii(name)) {
        code = EAI_IDN_ENCODE; // only getaddrinfo(3) translates names
    } else if (::res_ninit(&state) != 0) {
        code = EAI_SYSTEM;
    } else {
        size = ::res_nquery(&state, name, ns_c_in, ns_t_srv, answer, sizeof answer);
        code = size < 0 ? code_of(state.res_h_errno) : 0;
    }
    ns_msg message;
    if (code == 0 && ::ns_initparse(answer, size, &message) != 0) {
        code = EAI_FAIL;
    }
    const int number = errno;
    end_with_the_reader(false);
    std::puts("portico-resolve 1");
    if (code != 0) {
        print_failure(code, number);
    } else {
        print_services(message);
    }
    return finish_answer() ? 0 : 111;
}

int ask_for_name(const char* address) {
    addrinfo hints{};
    hints.ai_flags = AI_NUMERICHOST; // which also reads a zone
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    char name[NI_MAXHOST] = "";
    errno = 0;
    int code = ::getaddrinfo(address, nullptr, &hints, &found);
    if (code == 0) {
        code = ::getnameinfo(found->ai_addr, found->ai_addrlen, name, sizeof name, nullptr, 0,
                             NI_NAMEREQD);
        ::freeaddrinfo(found);
    }
    const int number = errno;
    const auto size = std::strlen(name);
    if (size > 1 && name[size - 1] == '.') {
        name[size - 1] = '\0';
    }
    if (code == 0 && !is_host_name(name)) {
        code = EAI_NONAME; // whoever has the block may say anything
    }
    end_with_the_reader(false);
    std::puts("portico-resolve 1");
    if (code != 0) {
        print_failure(code, number);
    } else {
        std::printf("name %s\n", name);
    }
    return finish_answer() ? 0 : 111;
}

} // namespace

int main(int argc, char** argv) {
    if (argc == 3 && std::strcmp(argv[2], "srv") == 0) {
        end_with_the_reader(true);
        return ask_for_services(argv[1]);
    }
    if (argc == 3 && std::strcmp(argv[2], "name") == 0) {
        end_with_the_reader(true);
        return ask_for_name(argv[1]);
    }
    if (argc != 4 || (std::strcmp(argv[2], "4") != 0 && std::strcmp(argv[2], "6") != 0)) {
        std::fputs("usage: portico-resolve NAME 4|6 passive|active\n"
                   "       portico-resolve NAME srv\n"
                   "       portico-resolve ADDRESS name\n",
                   stderr);
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
        print_failure(code, number);
    }
    const bool written = finish_answer();
    if (found != nullptr) {
        ::freeaddrinfo(found);
    }
    return written ? 0 : 111;
}
