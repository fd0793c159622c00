// The server's half of SOCKS 5 (RFC 1928) with user name and password (RFC 1929), without I/O.
#pragma once

#include "portico/base/error.hpp"
#include "portico/ip/endpoint.hpp"
#include "portico/wire/proxy.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace portico::wire {

// The values are those of RFC 1928 section 4. BIND is always refused.
enum class socks5_command : std::uint8_t { connect = 1, udp_associate = 3 };
[[nodiscard]] std::string_view to_text(socks5_command which) noexcept; // "CONNECT"

// The values are those of RFC 1928 section 6.
enum class socks5_reply : std::uint8_t {
    succeeded,
    general_failure,
    not_allowed,
    network_unreachable,
    host_unreachable,
    connection_refused,
    ttl_expired,
    command_not_supported,
    address_type_not_supported,
};
// "succeeded", "connection refused", ...
[[nodiscard]] std::string_view to_text(socks5_reply which) noexcept;
// What a client is told when its destination could not be opened because of `why`. A timeout is
// "TTL expired", as there is nothing nearer; a name without addresses is "host unreachable"; what
// is not the network's doing is "general failure". Never `succeeded`.
[[nodiscard]] socks5_reply socks5_reply_for(const error& why) noexcept;

// Why a client is turned away.
enum class socks5_refusal : std::uint8_t {
    not_socks5,           // it begins with another byte than 5
    no_acceptable_method, // none of its methods of authentication is offered
    bad_authentication,   // not of RFC 1929, or the user name is empty
    wrong_credentials,    // the caller said so
    bad_request,          // another version than 5, or the reserved byte is not 0
    bind,                 // the command BIND
    udp_not_offered,      // the command UDP ASSOCIATE
    unknown_command,
    unknown_address_type,
    bad_name,   // not a name to look up; see proxy_target::make()
    bad_port,   // CONNECT to port 0
    not_opened, // the caller said so
    cut_off,    // the client's bytes end before its request does
};
inline constexpr std::size_t socks5_refusals = 13;
// "not_socks5", ...
[[nodiscard]] std::string_view to_text(socks5_refusal why) noexcept;

struct socks5_refused {
    socks5_refusal why{};
    std::string text; // one sentence for a person, printable ASCII, without the password
};

// `to`: for UDP ASSOCIATE, where the client will send from, zeros when it does not know (RFC 1928
// section 7).
struct socks5_request {
    socks5_command command{};
    proxy_target to;
};

// What clients may do.
struct socks5_offer {
    bool no_authentication = true;
    bool password = false; // preferred when a client offers both
    bool udp = true;
};

// Serves one client:
//
//   greeting --+-- 0: none -------------------------------------------------+
//              +-- 2: password --> authentication --> asks_credentials --+  |
//                                                                        v  v
//            done <-- asks_request <-------------------------------------- request
//   (any of them: refused)
//
// How a driver works with it:
//
//   until is_done() or refusal():
//       send poll_output(), and tell handle_sent() how much of it went (also in parts)
//       if poll_credentials(): say handle_credentials(), at once or later
//       if poll_request(): open the destination, say handle_opened() or handle_not_opened()
//       read some bytes, and give them to handle_bytes(); at the end of input, handle_eof()
//   send what is left of poll_output(); then relay, or close
//
// A name in the request that is a literal address is given as that address, so that rules for
// addresses see it. Whether the destination is allowed is for the caller to say.
//
// Memory: under 1 KiB; of the client no more than one message is kept, and in all it takes no more
// than `most_bytes`. The password is forgotten once handle_credentials() was called. Threads: the
// caller serialises. Time: linear in the bytes.
class socks5_server {
public:
    static constexpr std::size_t most_bytes = 257 + 513 + 262;

    explicit socks5_server(const socks5_offer& offer) noexcept : offer_{offer} {}

    // To be sent before anything that is relayed; after a refusal, to be sent before closing.
    [[nodiscard]] std::span<const std::byte> poll_output() const noexcept;
    void handle_sent(std::size_t count) noexcept;

    // How many of the bytes were for it; they may come cut in any way. It takes none while it asks
    // for something, so what is left is to be given again after the answer; none after the request,
    // where the client's own bytes begin; and none after a refusal.
    std::size_t handle_bytes(std::span<const std::byte> in);
    // All bytes before the end were taken. After the request this is the relay's business.
    void handle_eof();

    // What the client says it is, while that is the question.
    [[nodiscard]] const credentials* poll_credentials() const noexcept;
    // Does nothing when it was not the question; so for the next two.
    void handle_credentials(bool are_good);

    // What the client wants, while that is the question.
    [[nodiscard]] const socks5_request* poll_request() const noexcept;
    // `bound`: for CONNECT, the local endpoint of the connection; for UDP ASSOCIATE, where the
    // client has to send its datagrams. Told without its zone, and as IPv4 if IPv4-mapped.
    void handle_opened(const ip::endpoint& bound);
    // Precondition: not `succeeded`.
    void handle_not_opened(socks5_reply why);

    // The client has been told yes, as soon as poll_output() is empty.
    [[nodiscard]] bool is_done() const noexcept { return step_ == step::done; }
    [[nodiscard]] const std::optional<socks5_refused>& refusal() const noexcept { return refusal_; }

private:
    enum class step : std::uint8_t {
        greeting,
        authentication,
        asks_credentials,
        request,
        asks_request,
        done,
        refused,
    };

    [[nodiscard]] bool takes_bytes() const noexcept;
    void handle_field();
    void handle_greeting();
    void handle_methods();
    void handle_authentication();
    void handle_request();
    void handle_whole_request();
    void expect(step next);
    void send(std::initializer_list<unsigned> bytes);
    void reply(socks5_reply what, const ip::endpoint& bound);
    void refuse_request(socks5_refusal why, socks5_reply what, std::string text);
    void refuse(socks5_refusal why, std::string text);
    [[nodiscard]] unsigned field(std::size_t at) const noexcept;
    [[nodiscard]] std::string_view field_text(std::size_t at, std::size_t count) const noexcept;

    socks5_offer offer_;
    step step_ = step::greeting;
    std::array<std::byte, 513> field_{}; // the longest message (RFC 1929 section 2)
    std::size_t have_ = 0;
    std::size_t need_ = 1; // bytes until the message can be looked at again
    std::vector<std::byte> output_;
    std::size_t sent_ = 0;
    std::optional<credentials> credentials_;
    std::optional<socks5_request> request_;
    std::optional<socks5_refused> refusal_;
};

} // namespace portico::wire
