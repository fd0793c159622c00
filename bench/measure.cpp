#include "measure.hpp"

#include "portico/os/socket.hpp"
#include "portico/testkit/private_network.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iostream>
#include <sstream>
#include <stdexcept>

#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace portico::bench {
namespace {

// `count` fields of /proc/PID/stat, added up, after `skip` that follow the name; in seconds.
double cpu_ticks(pid_t pid, int skip, int count) {
    std::ifstream file{"/proc/" + std::to_string(pid) + "/stat"};
    std::string line;
    std::getline(file, line);
    // The name, in parentheses, may hold spaces.
    std::istringstream rest{line.substr(line.rfind(')') + 1)};
    std::string passed_over;
    for (int i = 0; i < skip; ++i) {
        rest >> passed_over;
    }
    double ticks = 0;
    for (int i = 0; i < count; ++i) {
        double each = 0;
        rest >> each;
        ticks += each;
    }
    return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

// Waits for those of our children that have ended but for the server; their CPU time in seconds.
double reap_orphans(pid_t server) {
    double total = 0;
    for (;;) {
        siginfo_t ended{};
        if (::waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) != 0 || ended.si_pid == 0 ||
            ended.si_pid == server) {
            return total;
        }
        rusage used{};
        int status = 0;
        ::wait4(ended.si_pid, &status, 0, &used);
        for (const auto& each : {used.ru_utime, used.ru_stime}) {
            total += static_cast<double>(each.tv_sec) + static_cast<double>(each.tv_usec) / 1e6;
        }
    }
}

} // namespace

std::optional<double> samples::median() const {
    auto sorted = values_;
    std::sort(sorted.begin(), sorted.end());
    const auto middle = (sorted.size() + missing_) / 2;
    return middle < sorted.size() ? std::optional{sorted[middle]} : std::nullopt;
}

std::optional<double> samples::least() const {
    const auto found = std::min_element(values_.begin(), values_.end());
    return found == values_.end() ? std::nullopt : std::optional{*found};
}

std::optional<double> samples::most() const {
    const auto found = std::max_element(values_.begin(), values_.end());
    return missing_ > 0 || found == values_.end() ? std::nullopt : std::optional{*found};
}

std::string table::text() const {
    std::vector<std::size_t> widths(rows_.front().size(), 3);
    for (const auto& row : rows_) {
        for (std::size_t i = 0; i < widths.size(); ++i) {
            widths[i] = std::max(widths[i], row.at(i).size());
        }
    }
    std::ostringstream text;
    for (std::size_t line = 0; line < rows_.size(); ++line) {
        for (std::size_t i = 0; i < widths.size(); ++i) {
            const auto& cell = rows_[line][i];
            const auto space = std::string(widths[i] - cell.size(), ' ');
            text << "| " << (i == 0 ? cell + space : space + cell) << ' ';
        }
        text << "|\n";
        for (std::size_t i = 0; line == 0 && i < widths.size(); ++i) {
            const auto dashes = std::string(widths[i], '-');
            text << "| " << (i == 0 ? dashes : dashes.substr(1) + ":") << ' ';
        }
        text << (line == 0 ? "|\n" : "");
    }
    return text.str();
}

std::string number(std::optional<double> value, int decimals, const std::string& otherwise) {
    if (!value) {
        return otherwise;
    }
    std::ostringstream text;
    text << std::fixed;
    text.precision(decimals);
    text << *value;
    return text.str();
}

std::string where_and_when() {
    utsname host{};
    ::uname(&host);
    const auto now = std::time(nullptr);
    std::tm day{};
    ::gmtime_r(&now, &day);
    char date[16];
    static_cast<void>(std::strftime(date, sizeof date, "%Y-%m-%d", &day));
    return std::string{date} + ", Linux " + host.release + " " + host.machine + ", " +
           std::to_string(::sysconf(_SC_NPROCESSORS_ONLN)) + " processors";
}

std::string version_of(const std::string& command) {
    const auto said = testkit::run_command(command);
    return said.ok() ? said.output.substr(0, said.output.find('\n')) : "not installed";
}

double cpu_seconds(pid_t pid) {
    return cpu_ticks(pid, 11, 4);
}

double reaped_cpu_seconds(pid_t pid) {
    return cpu_ticks(pid, 13, 2);
}

std::size_t children_of(pid_t pid) {
    const auto number = std::to_string(pid);
    std::ifstream file{"/proc/" + number + "/task/" + number + "/children"};
    std::size_t count = 0;
    for (pid_t each = 0; file >> each;) {
        ++count;
    }
    return count;
}

int option(int argc, char** argv, const std::string& name, int otherwise) {
    for (int i = 1; i + 1 < argc; ++i) {
        if (argv[i] != "--" + name) {
            continue;
        }
        const std::string text = argv[i + 1];
        int value = 0;
        const auto [end, why] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (why != std::errc{} || end != text.data() + text.size() || value < 1) {
            std::cerr << argv[0] << ": --" << name << " " << text
                      << ": write a whole number of at least 1\n";
            std::exit(100);
        }
        return value;
    }
    return otherwise;
}

void progress(const std::string& what) {
    std::cerr << what << std::endl;
}

os::fd listen_on(const ip::endpoint& at) {
    auto made = os::socket(at, ip::transport::tcp);
    auto done = made ? os::set_reuse_address(*made, true) : tl::make_unexpected(made.error());
    if (done && at.address.is_v6()) {
        done = os::set_v6only(*made, true);
    }
    if (done) {
        done = os::bind(*made, at);
    }
    if (done) {
        done = os::listen(*made, SOMAXCONN);
    }
    if (!done) {
        throw std::runtime_error{"listen on " + to_text(at) + ": " + done.error().message()};
    }
    return std::move(*made);
}

double seconds(duration span) {
    return std::chrono::duration<double>{span}.count();
}

double cpu_meter::read() {
    for (int i = 0; i < 500; ++i) {
        orphans_ += reap_orphans(server_);
        if (children_of(server_) == 0 && children_of(::getpid()) <= 1) {
            break;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
    }
    return cpu_seconds(server_) + orphans_;
}

} // namespace portico::bench
