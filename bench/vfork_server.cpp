// The least that a server of programs can do: accept(2), vfork(2), execve(2), and reaping. Its rate
// is what the host can do at all. vfork_server PORT PROGRAM [ARG...]

#include <arpa/inet.h>
#include <array>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <netinet/in.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

int listen_on(const char* port) {
    const int made = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(static_cast<std::uint16_t>(std::atoi(port)));
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int on = 1;
    ::setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const bool is_open = ::bind(made, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0 &&
                         ::listen(made, SOMAXCONN) == 0;
    return is_open ? made : -1;
}

void start(int listening, char** program, const sigset_t& before) {
    const int connection = ::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) {
        return;
    }
    if (::vfork() == 0) {
        ::sigprocmask(SIG_SETMASK, &before, nullptr);
        ::dup2(connection, STDIN_FILENO);
        ::dup2(connection, STDOUT_FILENO);
        ::execve(program[0], program, environ);
        ::_exit(127);
    }
    ::close(connection);
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        return 100;
    }
    const int listening = listen_on(argv[1]);
    sigset_t child;
    sigset_t before;
    ::sigemptyset(&child);
    ::sigaddset(&child, SIGCHLD);
    ::sigprocmask(SIG_BLOCK, &child, &before);
    const int ended = ::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    if (listening < 0 || ended < 0) {
        return 111;
    }
    std::array<pollfd, 2> all{{{listening, POLLIN, 0}, {ended, POLLIN, 0}}};
    while (::poll(all.data(), all.size(), -1) > 0) {
        if (all[0].revents != 0) {
            start(listening, argv + 2, before);
        }
        if (all[1].revents != 0) {
            signalfd_siginfo which{};
            while (::read(ended, &which, sizeof which) > 0) {
            }
            while (::waitpid(-1, nullptr, WNOHANG) > 0) {
            }
        }
    }
    return 111;
}
