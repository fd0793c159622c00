// A name server that says what a test wrote down, when the test wants it said.
#pragma once

#include "portico/os/fd.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace portico::testkit {

// RFC 1035 section 3.2.2, RFC 3596, RFC 2782.
enum class dns_type : std::uint16_t { a = 1, ptr = 12, aaaa = 28, srv = 33 };

// One SRV record (RFC 2782).
struct dns_service {
    std::uint16_t priority = 0;
    std::uint16_t weight = 0;
    std::uint16_t port = 0;
    std::string target; // without a final dot; "." is the root
};

// What is said to one question.
struct dns_answer {
    enum class kind : std::uint8_t {
        addresses,      // the records below; none of them is an empty answer that is no error
        no_such_name,   // NXDOMAIN
        server_failure, // SERVFAIL
        refused,        // REFUSED
        silence,        // nothing, ever
    };
    kind how = kind::addresses;
    std::vector<std::string> addresses{}; // texts of the question's family, at most 16
    std::chrono::milliseconds delay{0};   // before the answer leaves
    std::vector<dns_service> services{};  // to a question for SRV; as many as fit into 512 bytes
    std::vector<std::string> names{};     // to a question for PTR; without a final dot
    std::uint32_t lifetime = 60;          // TTL in seconds, of every record
};

// Names in lower case, without a final dot. A name with an answer for one type only has an empty
// one for the other; a name that is not here at all does not exist.
using dns_script = std::map<std::pair<std::string, dns_type>, dns_answer>;

// Answers questions over UDP until it is destroyed. It knows one question per message, and neither
// EDNS nor TCP: what a stub resolver needs.
//
// Memory: at most max_waiting delayed answers, more are dropped like lost packets; the last
// max_asked questions are kept. Threads: one of its own; the member functions are safe.
class dns_server {
public:
    static constexpr std::size_t max_waiting = 256;
    static constexpr std::size_t max_asked = 1024;

    // Port 53 is what /etc/resolv.conf means; 0 is a free one. Throws std::runtime_error when it
    // cannot be bound, when an address or name of the script cannot be read, or when an answer is
    // too long.
    explicit dns_server(dns_script script, std::uint16_t port = 53,
                        const std::string& address = "127.0.0.1");
    dns_server(const dns_server&) = delete;
    dns_server& operator=(const dns_server&) = delete;
    ~dns_server();

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    // From now on this is the answer, to a question of the script or a new one. Throws as the
    // constructor does.
    void say(const std::pair<std::string, dns_type>& question, dns_answer answer);
    // The questions so far, in order: to see what was asked, and how often.
    [[nodiscard]] std::vector<std::pair<std::string, dns_type>> asked() const;

private:
    void serve();

    std::uint16_t port_ = 0;
    os::fd socket_;
    os::fd stop_;
    mutable std::mutex lock_;
    dns_script script_;                                   // guarded
    std::vector<std::pair<std::string, dns_type>> asked_; // guarded
    std::thread thread_;
};

} // namespace portico::testkit
