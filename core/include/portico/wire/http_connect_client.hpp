// The client's half of HTTP/1.1 CONNECT (RFC 9110 section 9.3.6), without I/O.
#pragma once

#include "portico/wire/proxy.hpp"

#include <cstddef>
#include <span>
#include <string>

namespace portico::wire {

// Asks an HTTP proxy for a tunnel. See proxy_client.hpp for how to drive it. Basic authorization
// (RFC 7617) is sent at once when there are credentials. Answers with 1xx are passed over, any 2xx
// opens the tunnel right after its head, whatever it says about content (RFC 9110 section 9.3.6),
// any other status is a failure with the status line in its text.
//
// Memory: the answers' heads, together at most max_head bytes; more is errc::proxy_protocol.
// Threads: the caller serialises. Time: linear in the bytes.
class http_connect_client {
public:
    static constexpr std::size_t max_head = 16 * 1024;

    // Errors: std::errc::invalid_argument when the user name is empty or has a ':' (RFC 7617
    // section 2), or either has a control character.
    [[nodiscard]] static proxy_result<http_connect_client>
    make(const proxy_target& target, const std::optional<credentials>& who);

    [[nodiscard]] std::span<const std::byte> poll_output() const noexcept;
    void handle_sent(std::size_t count) noexcept;
    std::size_t handle_bytes(std::span<const std::byte> bytes);
    void handle_eof();

    [[nodiscard]] bool is_done() const noexcept { return done_; }
    [[nodiscard]] const std::optional<proxy_failure>& failure() const noexcept { return failure_; }

private:
    http_connect_client() = default;
    void handle_line();
    void handle_status_line();
    void fail(errc code, side who, std::string text);

    std::string output_;
    std::size_t sent_ = 0;
    bool authorized_ = false;
    std::string line_; // the line being read, without its end
    std::size_t head_size_ = 0;
    bool in_fields_ = false; // the status line has been read
    unsigned status_ = 0;
    bool done_ = false;
    std::optional<proxy_failure> failure_;
};

} // namespace portico::wire
