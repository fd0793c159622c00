// A network, and files under /etc, that belong to one test program alone.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace portico::testkit {

// Call first in main(): runs this program again, by unshare(1), inside new user, network and mount
// namespaces where it is root and only it has a network. Returns there, and also when that is
// impossible or not wanted (the program only lists its tests); see private_network_refusal(). A new
// program rather than unshare(2), because sanitizers may have started threads already.
void reexecute_in_private_network(int argc, char** argv);

// Why this program is not in a private network; nullopt when it is.
[[nodiscard]] std::optional<std::string> private_network_refusal();

// How a command that was run to its end went.
struct command_result {
    int status = 0;     // exit code, or 128 + the signal
    std::string output; // stdout and stderr as they came
    [[nodiscard]] bool ok() const noexcept { return status == 0; }
};
// Runs a shell command and waits for it.
[[nodiscard]] command_result run_command(const std::string& command);
// The same, for commands that must work: std::runtime_error with the command and its output
// otherwise.
void must_run(const std::string& command);

// Gives this network's loopback device one more address, "2001:db8::1", and returns when packets to
// it arrive: that of IPv6 is routed only a while after the kernel has said that it is there, even
// without duplicate address detection. Throws std::runtime_error.
void add_own_address(const std::string& address);

// Writes a kernel parameter: set_sysctl("net.ipv6.bindv6only", "1"). Throws std::runtime_error.
void set_sysctl(std::string_view name, std::string_view value);

// Puts `text` in the place of a file such as /etc/hosts, for this mount namespace only, until it
// ends; /etc itself is not changed. May be called again for the same file: the file of the system
// shows for a moment in between. Throws std::runtime_error, also when there is no such file.
// Precondition: !private_network_refusal().
void replace_file(const std::filesystem::path& file, std::string_view text);

// Drops the packets that match an nftables expression, without a word to the sender, as long as it
// lives: `packet_drop gone{"ip6 daddr 2001:db8::1"};`
class packet_drop {
public:
    // Coming in is where a black hole belongs: a packet that is dropped going out is an error to
    // whoever sends it.
    enum class hook { input, output };

    // Throws std::runtime_error. Precondition: !private_network_refusal().
    explicit packet_drop(const std::string& match, hook where = hook::input);
    packet_drop(const packet_drop&) = delete;
    packet_drop& operator=(const packet_drop&) = delete;
    ~packet_drop();

    // How many it has dropped.
    [[nodiscard]] std::uint64_t count() const;

private:
    std::string table_;
};

// A second host: another network namespace, joined to this one by a veth cable.
//
//   this network  [here] ======== [there]  peer network
//
// Both ends are up, without duplicate address detection and without link-local addresses made by
// themselves.
class peer_network {
public:
    // Interface names of up to 15 characters. Throws std::runtime_error.
    explicit peer_network(std::string here = "va", std::string there = "vb");
    peer_network(const peer_network&) = delete;
    peer_network& operator=(const peer_network&) = delete;
    ~peer_network();

    // Runs a command over there; must_run() in the other namespace.
    void must_run(const std::string& command) const;
    // The prefix that runs a program over there: {"nsenter", "--net=/proc/PID/ns/net", "--"}.
    [[nodiscard]] std::vector<std::string> prefix() const;
    // The file that stands for the namespace, for setns(2): "/proc/PID/ns/net".
    [[nodiscard]] std::string path() const;

private:
    pid_t holder_ = -1;
    int alive_ = -1; // the holder ends when this is closed
};

} // namespace portico::testkit
