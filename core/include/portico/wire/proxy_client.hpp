// One interface for the clients of all proxy protocols, and the text of --via.
#pragma once

#include "portico/ip/text_error.hpp"
#include "portico/wire/http_connect_client.hpp"
#include "portico/wire/socks5_client.hpp"

#include <concepts>

namespace portico::wire {

// How a driver works with any of them, after it has connected to the proxy:
//
//   until is_done() or failure():
//       send poll_output(), and tell handle_sent() how much of it went (also in parts)
//       read some bytes, and give them to handle_bytes(); at the end of input, handle_eof()
//
// handle_bytes() returns how many of the bytes were for it. It takes none after the end of the
// proxy's answer: the rest is the first of the tunnel, and the driver's to pass on. The peer's
// bytes may come cut in any way. A failure is final: then it takes nothing and has no output. The
// output may be empty while the client waits for an answer.
template <class T>
concept tunnel_client = requires(T client, const T& same, std::span<const std::byte> bytes,
                                 std::size_t count) {
    { same.poll_output() } -> std::same_as<std::span<const std::byte>>;
    client.handle_sent(count);
    { client.handle_bytes(bytes) } -> std::same_as<std::size_t>;
    client.handle_eof();
    { same.is_done() } -> std::same_as<bool>;
    { same.failure() } -> std::same_as<const std::optional<proxy_failure>&>;
};
static_assert(tunnel_client<socks5_client> && tunnel_client<http_connect_client>);

enum class proxy_protocol : std::uint8_t { socks5, http };
[[nodiscard]] std::string_view to_text(proxy_protocol which) noexcept; // "socks5" or "http"

// A proxy, as written in --via.
struct via {
    proxy_protocol protocol = proxy_protocol::socks5;
    std::string host; // a name or an address, without brackets
    std::uint16_t port = default_port;
    std::optional<credentials> who{};

    static constexpr std::uint16_t default_port = 1080; // for both protocols, as curl has it

    friend bool operator==(const via&, const via&) = default;
};

// Reads "socks5://[user[:password]@]host[:port][/]", or with the scheme socks5h or http. socks5 and
// socks5h are the same here: names are always resolved by the proxy. User name and password are
// percent-decoded (RFC 3986 section 2.1); an IPv6 address stands in brackets, its zone as in an
// endpoint. Diagnostics never quote the password. Time: linear.
[[nodiscard]] ip::text_result<via> parse_via(std::string_view text);
// The text without the credentials, fit for logs: "socks5://proxy.example:1080".
[[nodiscard]] std::string to_text(const via& which);

// The client for whichever protocol; a tunnel_client itself.
class proxy_client {
public:
    [[nodiscard]] static proxy_result<proxy_client> make(const via& through,
                                                         const proxy_target& target);

    [[nodiscard]] std::span<const std::byte> poll_output() const noexcept;
    void handle_sent(std::size_t count) noexcept;
    std::size_t handle_bytes(std::span<const std::byte> bytes);
    void handle_eof();

    [[nodiscard]] bool is_done() const noexcept;
    [[nodiscard]] const std::optional<proxy_failure>& failure() const noexcept;

private:
    using any_client = std::variant<socks5_client, http_connect_client>;
    explicit proxy_client(any_client client) : client_{std::move(client)} {}

    any_client client_;
};
static_assert(tunnel_client<proxy_client>);

} // namespace portico::wire
