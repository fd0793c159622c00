// The relays that are measured: how each is started, and what it costs.
#pragma once

#include "clients.hpp"
#include "load.hpp"

#include "portico/base/instant.hpp"
#include "portico/testkit/process.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace portico::bench::relay {

// One that takes part.
struct contestant {
    std::string name;
    std::string version;
    std::vector<std::string> command{}; // empty: none, the load connects to the origin
    std::uint16_t port = 0;
    bool rival = true; // counts as a peer in the bars
    // Holds thousands of connections: not a process, or six descriptors, for each.
    bool many = true;
};

// Files for the relays, in a directory that is removed in the end.
class workplace {
public:
    workplace();
    workplace(const workplace&) = delete;
    workplace& operator=(const workplace&) = delete;
    ~workplace();
    // Writes a file and returns its path. Throws std::runtime_error.
    [[nodiscard]] std::string file(const std::string& name, const std::string& text) const;
    [[nodiscard]] std::string path() const { return path_.string(); }

private:
    std::filesystem::path path_;
};

// Connections that a relay can hold with two descriptors each, at most 10,000: hosts differ in how
// many descriptors they allow.
[[nodiscard]] std::size_t most_idle_connections();

// "portico", "haproxy", "nginx", "socat", "systemd-socket-proxyd", "asio", and "direct", which is
// no relay: what the load and the origin can do.
[[nodiscard]] std::vector<contestant> all_contestants(const workplace& files);

// Processors: the relay has one to itself, the load and the origin have the others. Empty: all
// share all.
struct processors {
    std::string of_relay{};
    std::string of_load{};
    std::size_t load_count = 1; // processors that the load and the origin can keep busy
};
[[nodiscard]] processors share_processors();

// From now on what a relay leaves behind becomes a child of this program, which reaps it.
void adopt_orphans();

// What programs other than this one and its children use of the processors.
class other_programs {
public:
    other_programs();
    // 0 to 1. `living`: CPU time of children that still run, seconds.
    [[nodiscard]] double share(double living) const;

private:
    instant begun_;
    double all_;
    double own_;
};

// The service behind the relays, from begin to end of the benchmark.
[[nodiscard]] std::unique_ptr<testkit::process> start_origin(const processors& on);

// A relay that runs, and answers over both families.
class running_relay {
public:
    // Throws std::runtime_error.
    running_relay(const contestant& who, const processors& on, pid_t origin, const content& is);

    running_relay(const running_relay&) = delete;
    running_relay& operator=(const running_relay&) = delete;
    // Ends it and all that it has started; they are gone then.
    ~running_relay();

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    // CPU time of all its processes and of those that they have waited for, seconds. That of the
    // living to the nanosecond, that of the dead to the clock tick.
    [[nodiscard]] double cpu() const;
    // Private_Dirty of all its processes, bytes: memory that nobody else has.
    [[nodiscard]] std::optional<double> memory() const;
    // Waits until the origin has no connection left and the relay no more processes than at first;
    // at most 5 s.
    void settle() const;
    [[nodiscard]] probe measured() const;

private:
    [[nodiscard]] std::size_t processes_now() const;
    void await_ready(const contestant& who, const content& is);

    std::uint16_t port_;
    std::unique_ptr<testkit::process> process_{}; // none: direct
    std::size_t processes_ = 0;
    pid_t origin_;
    double load_processors_;
};

} // namespace portico::bench::relay
