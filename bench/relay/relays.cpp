#include "relays.hpp"

#include "measure.hpp"
#include "portico/os/clock.hpp"
#include "portico/testkit/private_network.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <stdexcept>
#include <string_view>
#include <thread>

#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace portico::bench::relay {
namespace {

std::size_t descriptor_limit() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    return static_cast<std::size_t>(limit.rlim_max);
}

std::string haproxy_settings(std::uint16_t port) {
    // It refuses to start when its limits need more descriptors than there may be.
    const auto connections = std::min<std::size_t>(25'000, (descriptor_limit() - 700) / 2);
    const auto at = std::to_string(port);
    return "global\n"
           "    nbthread 1\n"
           "    maxconn " +
           std::to_string(connections) +
           "\n"
           "    maxpipes 256\n"
           "defaults\n"
           "    mode tcp\n"
           "    maxconn " +
           std::to_string(connections) +
           "\n"
           "    option splice-auto\n"
           "    timeout connect 30s\n"
           "    timeout client 1h\n"
           "    timeout server 1h\n"
           "listen relay\n"
           "    bind 127.0.0.1:" +
           at +
           "\n"
           "    bind ::1:" +
           at +
           "\n"
           "    server origin 127.0.0.1:" +
           std::to_string(origin_port) + "\n";
}

std::string nginx_settings(std::uint16_t port, const std::string& directory) {
    const auto at = std::to_string(port);
    return "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n"
           "daemon off;\n"
           "user root;\n"
           "worker_processes 1;\n"
           "pid " +
           directory +
           "/nginx.pid;\n"
           "error_log stderr error;\n"
           "events { worker_connections 50000; }\n"
           "stream {\n"
           "    server {\n"
           "        listen 127.0.0.1:" +
           at +
           " backlog=4096;\n"
           "        listen [::1]:" +
           at +
           " backlog=4096;\n"
           "        proxy_pass 127.0.0.1:" +
           std::to_string(origin_port) +
           ";\n"
           "        proxy_connect_timeout 30s;\n"
           "        proxy_timeout 1h;\n"
           "        proxy_half_close on;\n"
           "    }\n"
           "}\n";
}

std::vector<std::string> portico_command(std::uint16_t port) {
    const auto at = std::to_string(port);
    std::vector<std::string> command{PORTICO_COMMAND,
                                     "listen",
                                     "127.0.0.1:" + at,
                                     "[::1]:" + at,
                                     "--to",
                                     "127.0.0.1:" + std::to_string(origin_port),
                                     "-q",
                                     "--max-connections",
                                     "20000"};
    const auto help = testkit::run_command(PORTICO_COMMAND " listen --help-all");
    if (help.output.find("--threads") != std::string::npos) {
        command.insert(command.end(), {"--threads", "1"});
    }
    return command;
}

// The processes that a process has started, theirs, and itself.
void collect_tree(pid_t root, std::vector<pid_t>& into) {
    into.push_back(root);
    const auto tasks = "/proc/" + std::to_string(root) + "/task";
    std::error_code gone;
    for (const auto& each : std::filesystem::directory_iterator{tasks, gone}) {
        std::ifstream file{each.path() / "children"};
        for (pid_t child = 0; file >> child;) {
            collect_tree(child, into);
        }
    }
}

std::vector<pid_t> tree_of(pid_t root) {
    std::vector<pid_t> all;
    collect_tree(root, all);
    return all;
}

// Of all threads, also those that have ended; 0 for a process that is gone.
double living_cpu(pid_t pid) {
    clockid_t clock{};
    timespec used{};
    if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &used) != 0) {
        return 0;
    }
    return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

double private_dirty(pid_t pid) {
    std::ifstream file{"/proc/" + std::to_string(pid) + "/smaps_rollup"};
    for (std::string word; file >> word;) {
        double kilobytes = 0;
        if (word == "Private_Dirty:" && file >> kilobytes) {
            return kilobytes * 1024;
        }
    }
    return 0;
}

// That all processors have been busy, seconds: proc(5), /proc/stat.
double busy_seconds() {
    std::ifstream file{"/proc/stat"};
    std::string name;
    std::array<double, 8> of{}; // user nice system idle iowait irq softirq steal
    file >> name;
    for (auto& each : of) {
        file >> each;
    }
    const double ticks = of[0] + of[1] + of[2] + of[5] + of[6] + of[7];
    return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

double own_seconds() {
    double total = 0;
    for (const auto whose : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
        rusage used{};
        ::getrusage(whose, &used);
        for (const auto& each : {used.ru_utime, used.ru_stime}) {
            total += static_cast<double>(each.tv_sec) + static_cast<double>(each.tv_usec) / 1e6;
        }
    }
    return total;
}

void nap() {
    throw_if_interrupted();
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
}

} // namespace

workplace::workplace() {
    std::string name = (std::filesystem::temp_directory_path() / "bench_relay.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) {
        throw std::runtime_error{"cannot make a directory " + name};
    }
    path_ = name;
}

workplace::~workplace() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

std::string workplace::file(const std::string& name, const std::string& text) const {
    const auto path = path_ / name;
    std::ofstream into{path};
    into << text << std::flush;
    if (!into) {
        throw std::runtime_error{"cannot write " + path.string()};
    }
    return path.string();
}

std::size_t most_idle_connections() {
    return std::min<std::size_t>(10'000, (descriptor_limit() - 1'000) / 2);
}

std::vector<contestant> all_contestants(const workplace& files) {
    const auto origin = "127.0.0.1:" + std::to_string(origin_port);
    return {
        {"direct", "no relay", {}, origin_port, false},
        {"portico", version_of(PORTICO_COMMAND " --version"), portico_command(7001), 7001, false},
        {"haproxy",
         version_of("haproxy -v | sed 's/ [0-9/]* - .*//; s/ version//'"),
         {"haproxy", "-db", "-q", "-f", files.file("haproxy.cfg", haproxy_settings(7002))},
         7002},
        {"nginx",
         version_of("nginx -v 2>&1 | sed 's/^nginx version: //'"),
         {"nginx", "-p", files.path(), "-e", "stderr", "-c",
          files.file("nginx.conf", nginx_settings(7003, files.path()))},
         7003},
        {"socat",
         version_of("socat -V | sed -n 's/ on .*//; s/^socat version/socat/p'"),
         {"socat", "TCP6-LISTEN:7004,ipv6only=0,fork,reuseaddr,backlog=4096,nodelay",
          "TCP4:" + origin + ",nodelay"},
         7004,
         true,
         false},
        {"systemd-socket-proxyd",
         version_of("systemd-socket-activate --version"),
         {"systemd-socket-activate", "-l", "127.0.0.1:7005", "-l", "[::1]:7005",
          "/lib/systemd/systemd-socket-proxyd", "--connections-max=25000", origin},
         7005,
         true,
         false},
        {"asio",
         "bench/asio_relay.cpp",
         {ASIO_RELAY, "7006", std::to_string(origin_port)},
         7006,
         false},
    };
}

processors share_processors() {
    cpu_set_t allowed;
    if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0 || CPU_COUNT(&allowed) < 2) {
        return {};
    }
    const auto count = static_cast<std::size_t>(CPU_COUNT(&allowed));
    processors shared;
    shared.load_count = std::min<std::size_t>(count - 1, 2); // one thread each
    for (std::size_t i = CPU_SETSIZE; i-- > 0;) {
        if (!CPU_ISSET(i, &allowed)) {
            continue;
        }
        if (shared.of_relay.empty()) {
            shared.of_relay = std::to_string(i);
            CPU_CLR(i, &allowed);
        } else {
            shared.of_load += (shared.of_load.empty() ? "" : ",") + std::to_string(i);
        }
    }
    ::sched_setaffinity(0, sizeof allowed, &allowed);
    return shared;
}

void adopt_orphans() {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
}

other_programs::other_programs() : begun_{os::now()}, all_{busy_seconds()}, own_{own_seconds()} {}

double other_programs::share(double living) const {
    const auto processors = static_cast<double>(::sysconf(_SC_NPROCESSORS_ONLN));
    const auto others = (busy_seconds() - all_) - (own_seconds() - own_) - living;
    return std::max(0.0, others / seconds(os::now() - begun_) / processors);
}

std::unique_ptr<testkit::process> start_origin(const processors& on) {
    std::vector<std::string> command{RELAY_ORIGIN, std::to_string(origin_port)};
    if (!on.of_load.empty()) {
        command.insert(command.begin(), {"taskset", "-c", on.of_load});
    }
    auto started = std::make_unique<testkit::process>(command);
    for (int i = 0;; ++i) {
        nap();
        try {
            static_cast<void>(ask_origin(origin_port));
            return started;
        } catch (const interrupted&) {
            throw;
        } catch (const std::runtime_error& why) {
            if (i == 300) {
                throw std::runtime_error{why.what() + (": " + started->err())};
            }
        }
    }
}

running_relay::running_relay(const contestant& who, const processors& on, pid_t origin,
                             const content& is)
    : port_{who.port}, origin_{origin}, load_processors_{static_cast<double>(on.load_count)} {
    if (!who.command.empty()) {
        auto command = who.command;
        if (!on.of_relay.empty()) {
            command.insert(command.begin(), {"taskset", "-c", on.of_relay});
        }
        process_ = std::make_unique<testkit::process>(command);
    }
    await_ready(who, is);
    settle();
    processes_ = processes_now();
}

running_relay::~running_relay() {
    if (!process_) {
        return;
    }
    process_.reset();
    // What it had started was killed with it; 1 s at most, for the kernel to take it away.
    for (int i = 0; i < 1000 && children_of(::getpid()) > 1; ++i) {
        siginfo_t ended{};
        const int found = ::waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT);
        if (found == 0 && ended.si_pid != 0 && ended.si_pid != origin_) {
            ::waitpid(ended.si_pid, nullptr, 0);
            continue;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
}

void running_relay::await_ready(const contestant& who, const content& is) {
    for (int i = 0; i < 500; ++i) {
        // One client over each family.
        const idle_connections both{is, port_, 2};
        if (both.result().amount == 2) {
            return;
        }
        static_cast<void>(ask_origin(origin_port)); // or else it is not the relay's fault
        nap();
    }
    const auto said = process_ ? process_->err() : std::string{};
    throw std::runtime_error{
        who.name + " does not answer over IPv4 and IPv6; it says: " + said.substr(0, 500)};
}

std::size_t running_relay::processes_now() const {
    return process_ ? tree_of(process_->pid()).size() : 0U;
}

double running_relay::cpu() const {
    double total = 0;
    if (process_) {
        for (const auto each : tree_of(process_->pid())) {
            total += living_cpu(each) + reaped_cpu_seconds(each);
        }
    }
    return total;
}

std::optional<double> running_relay::memory() const {
    double total = 0;
    if (process_) {
        for (const auto each : tree_of(process_->pid())) {
            total += private_dirty(each);
        }
    }
    return total > 0 ? std::optional{total} : std::nullopt;
}

void running_relay::settle() const {
    for (int i = 0; i < 500; ++i) {
        const bool all_closed = ask_origin(origin_port).open == 0;
        if (all_closed && (processes_ == 0 || processes_now() <= processes_)) {
            return;
        }
        nap();
    }
}

probe running_relay::measured() const {
    return {[this] { return cpu(); }, [this] { settle(); },
            [this] { return living_cpu(::getpid()) + living_cpu(origin_); }, load_processors_};
}

} // namespace portico::bench::relay
