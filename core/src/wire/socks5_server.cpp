// Read first: RFC 1928 sections 3 to 6, RFC 1929 section 2.
#include "portico/wire/socks5_server.hpp"

#include "portico/ip/canonical.hpp"
#include "wire/socks5_format.hpp"

#include <algorithm>
#include <utility>

namespace portico::wire {
namespace {

using namespace std::string_literals;
using why = socks5_refusal;

constexpr std::size_t request_head = 3; // before the type of the address

// What else it could be that begins like that.
std::string_view guess(unsigned first) noexcept {
    if (first == 4) {
        return "; it speaks SOCKS 4, and only SOCKS 5 is served";
    }
    if (first == 0x16) {
        return "; it seems to speak TLS";
    }
    const auto text = static_cast<char>(first);
    return std::string_view{"GHPCDOT"}.find(text) != std::string_view::npos
               ? "; it seems to take this for an HTTP proxy"
               : "";
}

} // namespace

std::string_view to_text(socks5_command which) noexcept {
    return which == socks5_command::connect ? "CONNECT" : "UDP ASSOCIATE";
}

std::string_view to_text(socks5_reply which) noexcept {
    static constexpr std::array<std::string_view, 9> texts{
        "succeeded",           "general failure",       "not allowed",
        "network unreachable", "host unreachable",      "connection refused",
        "TTL expired",         "command not supported", "address type not supported",
    };
    return texts[static_cast<std::size_t>(which)];
}

std::string_view to_text(socks5_refusal why) noexcept {
    static constexpr std::array<std::string_view, socks5_refusals> texts{
        "not_socks5",
        "no_acceptable_method",
        "bad_authentication",
        "wrong_credentials",
        "bad_request",
        "bind",
        "udp_not_offered",
        "unknown_command",
        "unknown_address_type",
        "bad_name",
        "bad_port",
        "not_opened",
        "cut_off",
    };
    return texts[static_cast<std::size_t>(why)];
}

socks5_reply socks5_reply_for(const error& why) noexcept {
    static constexpr std::pair<std::errc, socks5_reply> replies[]{
        {std::errc::permission_denied, socks5_reply::not_allowed},
        {std::errc::operation_not_permitted, socks5_reply::not_allowed},
        {std::errc::network_unreachable, socks5_reply::network_unreachable},
        {std::errc::network_down, socks5_reply::network_unreachable},
        {std::errc::host_unreachable, socks5_reply::host_unreachable},
        {std::errc::connection_refused, socks5_reply::connection_refused},
        {std::errc::timed_out, socks5_reply::ttl_expired},
        {std::errc::operation_not_supported, socks5_reply::command_not_supported},
        {std::errc::address_family_not_supported, socks5_reply::address_type_not_supported},
    };
    if (why.code == errc::name_not_found || why.code == errc::no_address) {
        return socks5_reply::host_unreachable;
    }
    for (const auto& [code, reply] : replies) {
        if (why.code == code) {
            return reply;
        }
    }
    return socks5_reply::general_failure;
}

std::span<const std::byte> socks5_server::poll_output() const noexcept {
    return std::span{output_}.subspan(sent_);
}

void socks5_server::handle_sent(std::size_t count) noexcept {
    sent_ += std::min(count, output_.size() - sent_);
}

bool socks5_server::takes_bytes() const noexcept {
    return step_ == step::greeting || step_ == step::authentication || step_ == step::request;
}

std::size_t socks5_server::handle_bytes(std::span<const std::byte> in) {
    std::size_t used = 0;
    while (used < in.size() && takes_bytes()) {
        const auto count = std::min(need_ - have_, in.size() - used);
        std::copy_n(in.begin() + static_cast<std::ptrdiff_t>(used), count,
                    field_.begin() + static_cast<std::ptrdiff_t>(have_));
        used += count;
        have_ += count;
        if (have_ == need_) {
            handle_field();
        }
    }
    return used;
}

void socks5_server::handle_eof() {
    if (takes_bytes()) {
        refuse(why::cut_off, step_ == step::greeting && have_ == 0
                                 ? "the client closed the connection without a word"
                                 : "the client closed the connection before its request was whole");
    }
}

// Either need_ is more afterwards, or the next step has begun.
void socks5_server::handle_field() {
    switch (step_) {
    case step::greeting:
        return handle_greeting();
    case step::authentication:
        return handle_authentication();
    case step::request:
        return handle_request();
    case step::asks_credentials:
    case step::asks_request:
    case step::done:
    case step::refused:
        break;
    }
}

// RFC 1928 section 3.
void socks5_server::handle_greeting() {
    if (field(0) != socks5::version) {
        return refuse(why::not_socks5, "the client does not speak SOCKS 5: it begins with byte " +
                                           std::to_string(field(0)) + std::string{guess(field(0))});
    }
    need_ = have_ == 1 ? 2 : 2 + field(1);
    if (have_ == need_) {
        handle_methods();
    }
}

void socks5_server::handle_methods() {
    const auto methods = field_text(2, field(1));
    const auto has = [methods](unsigned which) {
        return methods.find(static_cast<char>(which)) != std::string_view::npos;
    };
    if (offer_.password && has(socks5::method_password)) {
        send({socks5::version, socks5::method_password});
        return expect(step::authentication);
    }
    if (offer_.no_authentication && has(socks5::method_none)) {
        send({socks5::version, socks5::method_none});
        return expect(step::request);
    }
    send({socks5::version, socks5::method_no_acceptable});
    refuse(why::no_acceptable_method,
           offer_.password && !offer_.no_authentication
               ? "the client does not offer a user name and password"
               : "the client offers no method of authentication that is accepted here");
}

// RFC 1929 section 2. An empty password is accepted as it is, which the RFC does not foresee and
// clients send.
void socks5_server::handle_authentication() {
    const auto refuse_it = [this](std::string text) {
        send({socks5::authentication_version, 1});
        refuse(why::bad_authentication, std::move(text));
    };
    if (field(0) != socks5::authentication_version) {
        return refuse_it("the client's authentication is of version " + std::to_string(field(0)) +
                         " and not 1");
    }
    if (have_ == 1) {
        need_ = 2;
        return;
    }
    const std::size_t user_size = field(1);
    if (user_size == 0) {
        return refuse_it("the client's user name is empty");
    }
    if (have_ < 3 + user_size) {
        need_ = 3 + user_size;
        return;
    }
    const std::size_t password_size = field(2 + user_size);
    need_ = 3 + user_size + password_size;
    if (have_ == need_) {
        credentials_ = credentials{std::string{field_text(2, user_size)},
                                   std::string{field_text(3 + user_size, password_size)}};
        expect(step::asks_credentials);
    }
}

const credentials* socks5_server::poll_credentials() const noexcept {
    return step_ == step::asks_credentials ? &*credentials_ : nullptr;
}

void socks5_server::handle_credentials(bool are_good) {
    if (step_ != step::asks_credentials) {
        return;
    }
    const auto user = sanitised(credentials_->user, 64);
    std::fill(credentials_->password.begin(), credentials_->password.end(), '\0');
    credentials_.reset();
    send({socks5::authentication_version, are_good ? 0U : 1U});
    if (!are_good) {
        return refuse(why::wrong_credentials,
                      "the user name '" + user + "' and its password are not accepted");
    }
    expect(step::request);
}

// RFC 1928 section 4. It is read to its end before it is refused, if that can be told: closing with
// bytes unread would reset the connection, and the client might never see why.
void socks5_server::handle_request() {
    if (have_ <= request_head) {
        need_ = request_head + 1;
        if (field(0) != socks5::version) {
            refuse_request(why::bad_request, socks5_reply::general_failure,
                           "the client's request is of version " + std::to_string(field(0)) +
                               " and not 5");
        }
        return;
    }
    const auto so_far = std::span{field_}.first(have_).subspan(request_head);
    const auto size = socks5::address_size(so_far);
    if (!size) {
        return refuse_request(why::unknown_address_type, socks5_reply::address_type_not_supported,
                              "the client's request has an address of unknown type " +
                                  std::to_string(field(request_head)));
    }
    need_ = request_head + *size;
    if (have_ == need_) {
        handle_whole_request();
    }
}

void socks5_server::handle_whole_request() {
    const auto code = field(1);
    if (code == socks5::command_bind) {
        return refuse_request(why::bind, socks5_reply::command_not_supported,
                              "the client asks for BIND, which is not served");
    }
    if (code == socks5::command_udp_associate && !offer_.udp) {
        return refuse_request(why::udp_not_offered, socks5_reply::command_not_supported,
                              "the client asks for UDP ASSOCIATE, which is not offered");
    }
    if (code != socks5::command_connect && code != socks5::command_udp_associate) {
        return refuse_request(why::unknown_command, socks5_reply::command_not_supported,
                              "the client asks for the unknown command " + std::to_string(code));
    }
    if (field(2) != 0) {
        return refuse_request(why::bad_request, socks5_reply::general_failure,
                              "the reserved byte of the client's request is " +
                                  std::to_string(field(2)) + " and not 0");
    }
    const auto to = socks5::read_address(std::span{field_}.first(have_).subspan(request_head));
    const auto command = static_cast<socks5_command>(code);
    if (command == socks5_command::connect && to.port == 0) {
        return refuse_request(why::bad_port, socks5_reply::general_failure,
                              "the client asks for port 0, which nothing can be connected to");
    }
    if (const auto* literal = std::get_if<ip::address>(&to.host)) {
        request_ = socks5_request{command, proxy_target::make({*literal, to.port})};
    } else if (auto named = proxy_target::make(std::get<std::string_view>(to.host), to.port)) {
        request_ = socks5_request{command, *std::move(named)};
    } else {
        return refuse_request(why::bad_name, socks5_reply::general_failure,
                              "the client asks for '" +
                                  sanitised(std::get<std::string_view>(to.host), max_name) +
                                  "', which is not the name of a host");
    }
    expect(step::asks_request);
}

const socks5_request* socks5_server::poll_request() const noexcept {
    return step_ == step::asks_request ? &*request_ : nullptr;
}

void socks5_server::handle_opened(const ip::endpoint& bound) {
    if (step_ == step::asks_request) {
        reply(socks5_reply::succeeded, ip::canonical(bound));
        expect(step::done);
    }
}

void socks5_server::handle_not_opened(socks5_reply why) {
    if (step_ == step::asks_request) {
        refuse_request(socks5_refusal::not_opened, why,
                       request_->to.text() + " was not opened: " + std::string{to_text(why)});
    }
}

void socks5_server::expect(step next) {
    std::fill_n(field_.begin(), have_, std::byte{}); // there may have been a password in it
    step_ = next;
    have_ = 0;
    need_ = 1;
}

void socks5_server::send(std::initializer_list<unsigned> bytes) {
    for (const auto each : bytes) {
        put(output_, each);
    }
}

// RFC 1928 section 6.
void socks5_server::reply(socks5_reply what, const ip::endpoint& bound) {
    send({socks5::version, static_cast<unsigned>(what), 0});
    socks5::put_address(output_, bound);
}

void socks5_server::refuse_request(socks5_refusal why, socks5_reply what, std::string text) {
    reply(what, {});
    refuse(why, std::move(text));
}

void socks5_server::refuse(socks5_refusal why, std::string text) {
    expect(step::refused);
    refusal_ = socks5_refused{why, std::move(text)};
}

unsigned socks5_server::field(std::size_t at) const noexcept {
    return byte_at(field_, at);
}

std::string_view socks5_server::field_text(std::size_t at, std::size_t count) const noexcept {
    return std::string_view{reinterpret_cast<const char*>(field_.data()), field_.size()}.substr(
        at, count);
}

} // namespace portico::wire
