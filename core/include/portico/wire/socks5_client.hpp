// The client's half of SOCKS 5 (RFC 1928) with user name and password (RFC 1929), without I/O.
#pragma once

#include "portico/wire/proxy.hpp"

#include <array>
#include <cstddef>
#include <span>
#include <vector>

namespace portico::wire {

// Asks a SOCKS 5 proxy to CONNECT. See proxy_client.hpp for how to drive it.
//
//   greeting ---> method --+-- 0: none --------------------------+
//                          +-- 2: password --> authentication ---+--> reply ---> done
//   (any of them: failed)
//
// Names go to the proxy as they are (ATYP 3), so it resolves them. The methods offered are "none",
// and "password" when there are credentials (RFC 1928 section 3).
//
// Memory: under 1 KiB; never more of the answer than one field is kept. Threads: the caller
// serialises. Time: linear in the bytes.
class socks5_client {
public:
    // Errors: std::errc::invalid_argument when the user name is empty, or it or the password is
    // longer than 255 bytes (RFC 1929 section 2). An empty password is sent as it is, which the RFC
    // does not foresee and proxies accept.
    [[nodiscard]] static proxy_result<socks5_client> make(const proxy_target& target,
                                                          const std::optional<credentials>& who);

    [[nodiscard]] std::span<const std::byte> poll_output() const noexcept;
    void handle_sent(std::size_t count) noexcept;
    std::size_t handle_bytes(std::span<const std::byte> in);
    void handle_eof();

    [[nodiscard]] bool is_done() const noexcept { return step_ == step::done; }
    [[nodiscard]] const std::optional<proxy_failure>& failure() const noexcept { return failure_; }

private:
    enum class step : std::uint8_t {
        method,
        authentication,
        reply_code,
        reply_head,
        reply_rest,
        done,
        failed,
    };

    socks5_client() = default;
    void send(std::vector<std::byte> more);
    void expect(step next, std::size_t count);
    void handle_field();
    void handle_method();
    void handle_authentication();
    void handle_reply_code();
    void handle_reply_head();
    void fail(errc code, side who, std::string text);
    [[nodiscard]] unsigned field(std::size_t at) const noexcept;

    std::vector<std::byte> request_;
    std::vector<std::byte> authentication_; // empty: no credentials
    std::vector<std::byte> output_;
    std::size_t sent_ = 0;
    step step_ = step::method;
    std::array<std::byte, 262> field_{}; // the longest reply (RFC 1928 section 6)
    std::size_t have_ = 0;
    std::size_t need_ = 2; // bytes until the field can be read
    std::optional<proxy_failure> failure_;
};

} // namespace portico::wire
