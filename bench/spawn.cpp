// Programs started per second, one for each connection, whose client waits for its answer and for
// the end of the stream before it connects again. 16 clients. Two programs: /bin/echo hi, and one
// that says the same with two system calls, so that what is measured is the server.
//
// Not in a private network: xinetd wants to set its groups, which only root of the host may.
// bench_spawn [--runs 7] [--milliseconds 2000] [--clients 16] [--bar 130] The bar is how many
// percent of the best rival there have to be.

#include "measure.hpp"
#include "portico/os/clock.hpp"
#include "portico/os/socket.hpp"
#include "portico/testkit/process.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace portico::bench {
namespace {

constexpr std::string_view answer = "hi\n";

// ---- the load ----

struct load_result {
    std::size_t done = 0;
    std::size_t failed = 0;
    double seconds = 0;
};

// Clients in one thread. One that gets anything but the answer and the end of the stream has
// failed.
class load {
public:
    load(ip::endpoint to, std::size_t clients)
        : to_{to}, clients_(clients), loop_{::epoll_create1(EPOLL_CLOEXEC)} {}

    // For so long, or until so many are done.
    load_result run(duration time, std::size_t most = SIZE_MAX) {
        const auto begun = os::now();
        for (std::size_t i = 0; i < clients_.size(); ++i) {
            begin(i);
        }
        std::vector<epoll_event> ready(clients_.size());
        while (os::now() - begun < time && result_.done + result_.failed < most) {
            // A server that stops answering must not stop the benchmark.
            const int count =
                ::epoll_wait(loop_.raw(), ready.data(), static_cast<int>(ready.size()), 5'000);
            if (count == 0) {
                result_.failed += clients_.size();
                break;
            }
            for (int i = 0; i < count; ++i) {
                go_on(ready[static_cast<std::size_t>(i)].data.u64);
            }
        }
        result_.seconds = seconds(os::now() - begun);
        return result_;
    }

private:
    struct client {
        os::fd socket;
        std::string text;
    };

    void begin(std::size_t which) {
        auto made = os::socket(to_, ip::transport::tcp);
        const auto done = made ? os::connect(*made, to_) : tl::unexpected{made.error()};
        if (!done && done.error().value() != EINPROGRESS) {
            ++result_.failed;
            return;
        }
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.u64 = which;
        ::epoll_ctl(loop_.raw(), EPOLL_CTL_ADD, made->raw(), &event);
        clients_[which] = {std::move(*made), {}};
    }

    void go_on(std::size_t which) {
        auto& self = clients_[which];
        std::array<std::byte, 64> bytes{};
        const auto size = os::recv(self.socket.raw(), bytes);
        if (size && *size > 0) {
            self.text.append(reinterpret_cast<const char*>(bytes.data()), *size);
            return;
        }
        if (!size && size.error().value() == EAGAIN) {
            return;
        }
        ++(size && self.text == answer ? result_.done : result_.failed);
        self.socket.reset();
        begin(which);
    }

    ip::endpoint to_;
    std::vector<client> clients_;
    os::fd loop_;
    load_result result_{};
};

// ---- the servers ----

struct contestant {
    std::string name;
    std::string version;
    bool rival = true;
    // PORT stands for the port, SAY for the program, FILE for `file`, in which they stand, too.
    std::vector<std::string> command;
    std::string file{};
    samples rate{};
    samples cpu{}; // microseconds of the server and its programs for each
    std::size_t failed = 0;
};

constexpr auto xinetd_file = R"(defaults
{
    instances = UNLIMITED
    per_source = UNLIMITED
    cps = 1000000 1
}
service hi
{
    type = UNLISTED
    socket_type = stream
    protocol = tcp
    wait = no
    user = root
    bind = 127.0.0.1
    port = PORT
    server = SAY
    server_args = hi
}
)";

constexpr auto serve_file = R"([log]
level = "error"

[service.hi]
listen = "127.0.0.1:PORT"
program = ["SAY", "hi"]
)";

std::vector<contestant> make_contestants() {
    return {
        {"portico listen -q",
         version_of(PORTICO_COMMAND " --version"),
         false,
         {PORTICO_COMMAND, "listen", "127.0.0.1:PORT", "-q", "--", "SAY", "hi"}},
        {"portico listen, with its log",
         "the same",
         false,
         {PORTICO_COMMAND, "listen", "127.0.0.1:PORT", "--", "SAY", "hi"}},
        {"portico serve, quiet",
         "the same",
         false,
         {PORTICO_COMMAND, "serve", "FILE"},
         serve_file},
        {"vfork, and nothing else", "our own", false, {VFORK_SERVER, "PORT", "SAY", "hi"}},
        {"tcpserver",
         version_of("dpkg-query -W -f '${Package} ${Version}\\n' ucspi-tcp-ipv6"),
         true,
         {"tcpserver", "-4HRl0", "-c", "1000", "-b", "1024", "127.0.0.1", "PORT", "SAY", "hi"}},
        {"xinetd",
         version_of("xinetd -version 2>&1 | cut -d' ' -f1,3"),
         true,
         {"xinetd", "-dontfork", "-f", "FILE", "-filelog", "FILE.log", "-pidfile", "FILE.pid"},
         xinetd_file},
        {"systemd-socket-activate",
         version_of("systemd-socket-activate --version"),
         true,
         {"systemd-socket-activate", "-a", "--inetd", "-l", "127.0.0.1:PORT", "SAY", "hi"}},
        {"socat",
         version_of("socat -V | sed -n 's/ on .*//; s/^socat version/socat/p'"),
         true,
         {"socat", "TCP4-LISTEN:PORT,bind=127.0.0.1,fork,reuseaddr,backlog=1024",
          "EXEC:SAY hi,nofork"}},
        {"ncat",
         version_of("ncat --version 2>&1 | cut -d' ' -f1,2,3"),
         true,
         {"ncat", "-l", "-k", "-m", "1000", "-e", "SAY hi", "127.0.0.1", "PORT"}},
    };
}

// One that nobody has now.
std::uint16_t free_port() {
    const auto socket = listen_on({ip::address::loopback(ip::family::v4), 0});
    return std::get<ip::endpoint>(os::getsockname(socket.raw()).value()).port;
}

std::string replaced(std::string text, std::string_view what, const std::string& by) {
    for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size())) {
        text.replace(at, what.size(), by);
    }
    return text;
}

// Files for one run of a server; removed at its end.
class workplace {
public:
    workplace() {
        std::string name = (std::filesystem::temp_directory_path() / "spawn.XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) {
            throw std::runtime_error{"no directory can be made in the place for temporary files"};
        }
        path_ = name;
    }
    workplace(const workplace&) = delete;
    workplace& operator=(const workplace&) = delete;
    ~workplace() { std::filesystem::remove_all(path_); }
    [[nodiscard]] std::string file() const { return path_ / "config"; }

private:
    std::filesystem::path path_;
};

std::vector<std::string> command_of(const contestant& who, const std::string& program,
                                    const workplace& files, std::uint16_t port) {
    const auto filled_in = [&](const std::string& text) {
        const auto with_port = replaced(text, "PORT", std::to_string(port));
        return replaced(replaced(with_port, "SAY", program), "FILE", files.file());
    };
    std::ofstream{files.file()} << filled_in(who.file);
    auto command = who.command;
    for (auto& each : command) {
        each = filled_in(each);
    }
    return command;
}

void await_ready(const contestant& who, const ip::endpoint& at, const testkit::process& server) {
    for (int i = 0; i < 500; ++i) {
        if (load{at, 1}.run(std::chrono::seconds{5}, 1).done == 1) {
            return;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
    }
    throw std::runtime_error{who.name + " does not answer: " + server.err()};
}

void run_one(contestant& who, const std::string& program, std::size_t clients, duration time) {
    const workplace files;
    const ip::endpoint at{ip::address::loopback(ip::family::v4), free_port()};
    const testkit::process server{command_of(who, program, files, at.port)};
    await_ready(who, at, server);
    static_cast<void>(load{at, clients}.run(time / 10));
    cpu_meter meter{server.pid()};
    const auto before = meter.read();
    const auto went = load{at, clients}.run(time);
    who.failed += went.failed;
    who.rate.add(static_cast<double>(went.done) / went.seconds);
    who.cpu.add((meter.read() - before) * 1e6 / static_cast<double>(went.done));
}

// ---- what came of it ----

const contestant* best_rival(const std::vector<contestant>& all) {
    const contestant* best = nullptr;
    for (const auto& each : all) {
        if (each.rival && (best == nullptr || each.rate.median() > best->rate.median())) {
            best = &each;
        }
    }
    return best;
}

// How many times the best rival.
double print(const std::vector<contestant>& all, const std::string& program) {
    table results{{"server", "programs/s, median", "min", "max", "CPU, us each", "failed"}};
    for (const auto& each : all) {
        results.add({each.name, number(each.rate.median(), 0), number(each.rate.least(), 0),
                     number(each.rate.most(), 0), number(each.cpu.median(), 0),
                     std::to_string(each.failed)});
    }
    const auto* best = best_rival(all);
    const auto ratio = all.front().rate.median().value_or(0) / best->rate.median().value_or(1);
    std::cout << program << ":\n\n"
              << results.text() << "\n"
              << all.front().name << " is at " << number(ratio, 2)
              << " of the best rival, which is " << best->name << ".\n\n";
    return ratio;
}

void print_head(const std::vector<contestant>& all, int runs, double secs, int clients) {
    std::cout << "### Starting a program for each connection\n\n"
              << where_and_when() << "; " << runs << " runs in turn, " << number(secs, 1)
              << " s each; " << clients
              << " clients, each of which waits for the end of its connection. Versions:";
    for (const auto& each : all) {
        std::cout << (&each == all.data() ? " " : ", ") << each.name << ": " << each.version;
    }
    std::cout << ".\n\n";
}

// The programs, the first of which the bar is for.
const std::vector<std::string> programs{"/bin/echo", SAY_HI};

int run(int runs, int milliseconds, int clients, double bar) {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    std::vector<std::vector<contestant>> results(programs.size(), make_contestants());
    const duration time = std::chrono::milliseconds{milliseconds};
    for (int i = 0; i < runs; ++i) {
        progress("spawn: run " + std::to_string(i + 1) + " of " + std::to_string(runs));
        for (std::size_t p = 0; p < programs.size(); ++p) {
            auto& all = results[p];
            // Every run begins with another one, so that nobody always comes after the same one.
            for (std::size_t k = 0; k < all.size(); ++k) {
                auto& who = all[(k + static_cast<std::size_t>(i)) % all.size()];
                run_one(who, programs[p], static_cast<std::size_t>(clients), time);
            }
        }
    }
    print_head(results.front(), runs, seconds(time), clients);
    const auto ratio = print(results.front(), programs.front());
    static_cast<void>(print(results.back(), "A program of two system calls"));
    const bool is_met = ratio >= bar;
    std::cout << "The bar, for " << programs.front() << ": " << number(bar, 2)
              << (is_met ? ", met" : ", missed") << ".\n\n"
              << std::flush;
    return is_met ? 0 : 1;
}

} // namespace
} // namespace portico::bench

int main(int argc, char** argv) {
    using portico::bench::option;
    if (::geteuid() != 0) {
        std::cerr << "bench_spawn: it has to be run by root, as xinetd has to\n";
        return 111;
    }
    try {
        return portico::bench::run(
            option(argc, argv, "runs", 7), option(argc, argv, "milliseconds", 2000),
            option(argc, argv, "clients", 16), option(argc, argv, "bar", 130) / 100.0);
    } catch (const std::exception& why) {
        std::cerr << "bench_spawn: " << why.what() << '\n';
        return 111;
    }
}
