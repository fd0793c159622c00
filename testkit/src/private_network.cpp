#include "portico/testkit/private_network.hpp"

#include "portico/testkit/all_users.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <regex>
#include <stdexcept>
#include <thread>

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace portico::testkit {
namespace {

constexpr const char* mark = "PORTICO_PRIVATE_NETWORK";
std::string refusal = "reexecute_in_private_network() was not called";

int status_of(int raw) {
    return WIFSIGNALED(raw) ? 128 + WTERMSIG(raw) : WEXITSTATUS(raw);
}

bool only_lists_tests(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
        if (std::string_view{argv[i]} == "--gtest_list_tests") {
            return true;
        }
    }
    return false;
}

// As root without user namespaces a plain network namespace does as well.
std::optional<std::vector<std::string>> way_in() {
    for (const std::vector<std::string>& way :
         {std::vector<std::string>{"unshare", "--map-root-user", "--net", "--mount"},
          std::vector<std::string>{"unshare", "--net", "--mount"}}) {
        std::string command;
        for (const auto& word : way) {
            command += word + " ";
        }
        if (run_command(command + "true").ok()) {
            return way;
        }
    }
    return std::nullopt;
}

std::string own_path() {
    std::array<char, 4096> path{};
    const auto size = ::readlink("/proc/self/exe", path.data(), path.size() - 1);
    return size > 0 ? std::string{path.data(), static_cast<std::size_t>(size)} : std::string{};
}

// Shows `made` on the path of `file`, which must exist. errno, or 0.
int put_over(const std::string& made, const std::filesystem::path& file) {
    struct stat there {};
    if (::stat(file.c_str(), &there) != 0) {
        return errno;
    }
    // A path can lead to a file without a name only by a mount, as of an earlier replacement. The
    // kernel mounts nothing over it, and only here is it safe to take away: writing into it could
    // change a file that was mounted there by somebody else.
    if (there.st_nlink == 0 && ::umount2(file.c_str(), MNT_DETACH) != 0) {
        return errno;
    }
    return ::mount(made.c_str(), file.c_str(), nullptr, MS_BIND, nullptr) == 0 ? 0 : errno;
}

// unshare(1) keeps the process number, so a mark that was inherited from somebody else shows.
bool is_inside() {
    const char* inside = std::getenv(mark);
    return inside != nullptr && inside == std::to_string(::getpid());
}

// Returns when it cannot be done, with errno.
void reexecute_by(std::vector<std::string> words, int argc, char** argv) {
    words.emplace_back("--");
    words.push_back(own_path());
    words.insert(words.end(), argv + 1, argv + argc);
    std::vector<char*> raw;
    for (auto& word : words) {
        raw.push_back(word.data());
    }
    raw.push_back(nullptr);
    ::setenv(mark, std::to_string(::getpid()).c_str(), 1);
    ::execvp(raw[0], raw.data());
    ::unsetenv(mark);
}

} // namespace

void reexecute_in_private_network(int argc, char** argv) {
    if (only_lists_tests(argc, argv)) {
        return;
    }
    if (is_inside()) {
        refusal.clear();
        must_run("ip link set lo up");
        return;
    }
    const auto way = way_in();
    if (!way) {
        refusal = "this machine lets nobody make a private network namespace (unshare: " +
                  run_command("unshare --map-root-user --net --mount true").output + ")";
        return;
    }
    reexecute_by(*way, argc, argv);
    refusal = std::string{"unshare could not be run: "} + std::strerror(errno);
}

void reexecute_with_all_users(int argc, char** argv) {
    const std::vector<std::string> way{"unshare", "--net", "--mount"};
    if (!only_lists_tests(argc, argv) && !is_inside() && !all_users_refusal() &&
        run_command("unshare --net --mount true").ok()) {
        reexecute_by(way, argc, argv);
    }
}

std::optional<std::string> all_users_refusal() {
    std::ifstream map{"/proc/self/uid_map"};
    std::uint64_t inside = 1;
    std::uint64_t outside = 1;
    std::uint64_t count = 0;
    map >> inside >> outside >> count;
    const bool all = inside == 0 && count >= 65536;
    return all && ::geteuid() == 0
               ? std::nullopt
               : std::optional<std::string>{"this test becomes other users, which takes root"};
}

std::optional<std::string> private_network_refusal() {
    return refusal.empty() ? std::nullopt : std::optional{refusal};
}

command_result run_command(const std::string& command) {
    command_result seen;
    FILE* pipe = ::popen(("{ " + command + "\n} 2>&1 </dev/null").c_str(), "re");
    if (pipe == nullptr) {
        throw std::runtime_error{"cannot run '" + command + "': " + std::strerror(errno)};
    }
    std::array<char, 4096> part{};
    while (const auto size = ::fread(part.data(), 1, part.size(), pipe)) {
        seen.output.append(part.data(), size);
    }
    seen.status = status_of(::pclose(pipe));
    return seen;
}

void must_run(const std::string& command) {
    if (const auto seen = run_command(command); !seen.ok()) {
        throw std::runtime_error{"'" + command + "' ended with " + std::to_string(seen.status) +
                                 ": " + seen.output};
    }
}

void add_own_address(const std::string& address) {
    const bool is_v6 = address.find(':') != std::string::npos;
    must_run("ip addr replace " + address + (is_v6 ? "/128 dev lo nodad" : "/32 dev lo"));
    const auto routes = "ip route show table local " + address;
    while (run_command(is_v6 ? "ip -6" + routes.substr(2) : routes).output.empty()) {
        std::this_thread::yield();
    }
}

void set_sysctl(std::string_view name, std::string_view value) {
    std::string path{name};
    for (auto& c : path) {
        c = c == '.' ? '/' : c;
    }
    std::ofstream file{"/proc/sys/" + path};
    if (!(file << value << std::flush)) {
        throw std::runtime_error{"cannot write " + std::string{value} + " to " + std::string{name}};
    }
}

void replace_file(const std::filesystem::path& file, std::string_view text) {
    std::string name = (std::filesystem::temp_directory_path() / "portico-etc-XXXXXX").string();
    const int made = ::mkstemp(name.data());
    if (made < 0) {
        throw std::runtime_error{"cannot make a file to stand for " + file.string()};
    }
    ::fchmod(made, 0644);
    ::close(made);
    std::ofstream{name} << text;
    const auto why = put_over(name, file);
    // The mount keeps the file; its name is not needed any more.
    ::unlink(name.c_str());
    if (why != 0) {
        throw std::runtime_error{"cannot replace " + file.string() + ": " + std::strerror(why)};
    }
}

packet_drop::packet_drop(const std::string& match, hook where) {
    static std::atomic<unsigned> made{0};
    table_ = "portico_drop_" + std::to_string(made++);
    const std::string hook_name = where == hook::input ? "input" : "output";
    must_run("nft 'add table inet " + table_ + "; add chain inet " + table_ +
             " dropped { type filter hook " + hook_name + " priority 0; }; add rule inet " +
             table_ + " dropped " + match + " counter drop'");
}

packet_drop::~packet_drop() {
    static_cast<void>(run_command("nft delete table inet " + table_));
}

std::uint64_t packet_drop::count() const {
    const auto listed = run_command("nft list table inet " + table_);
    std::smatch found;
    if (!std::regex_search(listed.output, found, std::regex{"counter packets ([0-9]+)"})) {
        throw std::runtime_error{"nft says nothing of " + table_ + ": " + listed.output};
    }
    return std::stoull(found[1]);
}

peer_network::peer_network(std::string here, std::string there) {
    // The holder makes the other namespace, says so on one pipe, and keeps it until the other
    // pipe ends: also when this program crashes.
    std::array<int, 2> ready{};
    std::array<int, 2> alive{};
    if (::pipe2(ready.data(), O_CLOEXEC) != 0 || ::pipe2(alive.data(), O_CLOEXEC) != 0) {
        throw std::runtime_error{"pipe2 failed"};
    }
    holder_ = ::fork();
    if (holder_ == 0) {
        ::dup2(alive[0], STDIN_FILENO);
        ::dup2(ready[1], STDOUT_FILENO);
        ::execlp("unshare", "unshare", "--net", "sh", "-c", "echo; exec cat >/dev/null",
                 static_cast<char*>(nullptr));
        ::_exit(127);
    }
    ::close(ready[1]);
    ::close(alive[0]);
    alive_ = alive[1];
    char byte = 0;
    const auto size = ::read(ready[0], &byte, 1);
    ::close(ready[0]);
    if (holder_ < 0 || size != 1) {
        throw std::runtime_error{"cannot make a second network namespace"};
    }
    const auto pid = std::to_string(holder_);
    testkit::must_run("ip link add " + here + " type veth peer name " + there + " netns " + pid);
    const auto quiet = [](const std::string& name) {
        return "for f in accept_dad=0 accept_ra=0 addr_gen_mode=1; do "
               "echo ${f#*=} > /proc/sys/net/ipv6/conf/" +
               name + "/${f%=*}; done; ip link set " + name + " up";
    };
    testkit::must_run(quiet(here));
    must_run("ip link set lo up; " + quiet(there));
}

peer_network::~peer_network() {
    if (holder_ > 0) {
        ::close(alive_);
        ::waitpid(holder_, nullptr, 0);
    }
}

void peer_network::must_run(const std::string& command) const {
    std::string quoted;
    for (const char c : command) {
        quoted += c == '\'' ? std::string{"'\\''"} : std::string{c};
    }
    std::string line;
    for (const auto& word : prefix()) {
        line += word + " ";
    }
    testkit::must_run(line + "sh -c '" + quoted + "'");
}

std::vector<std::string> peer_network::prefix() const {
    return {"nsenter", "--net=" + path(), "--"};
}

std::string peer_network::path() const {
    return "/proc/" + std::to_string(holder_) + "/ns/net";
}

} // namespace portico::testkit
