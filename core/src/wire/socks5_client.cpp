// Read first: RFC 1928 sections 3 to 6, RFC 1929 section 2.
#include "portico/wire/socks5_client.hpp"

#include "wire/socks5_format.hpp"

#include <algorithm>

namespace portico::wire {
namespace {

using namespace socks5;

// RFC 1928 section 4.
octets connect_request(const proxy_target& target) {
    octets made;
    put(made, version);
    put(made, command_connect);
    put(made, 0U);
    if (const auto* name = std::get_if<std::string>(&target.host())) {
        put_address(made, *name, target.port());
    } else {
        put_address(made, {std::get<ip::address>(target.host()), target.port()});
    }
    return made;
}

// RFC 1929 section 2.
octets authentication_request(const credentials& who) {
    octets made;
    put(made, authentication_version);
    put(made, static_cast<unsigned>(who.user.size()));
    put(made, who.user);
    put(made, static_cast<unsigned>(who.password.size()));
    put(made, who.password);
    return made;
}

// RFC 1928 section 6.
std::string reply_text(unsigned code) {
    static constexpr std::array<std::string_view, 9> texts{
        "succeeded",
        "general failure of the SOCKS server",
        "the connection is not allowed by its rules",
        "network unreachable",
        "host unreachable",
        "connection refused",
        "time to live expired",
        "it does not support CONNECT",
        "it does not support this type of address",
    };
    const auto number = " (reply code " + std::to_string(code) + ")";
    return (code < texts.size() ? std::string{texts[code]} : "unknown failure") + number;
}

} // namespace

proxy_result<socks5_client> socks5_client::make(const proxy_target& target,
                                                const std::optional<credentials>& who) {
    socks5_client made;
    if (who) {
        if (who->user.empty()) {
            return refuse("the user name for the proxy is empty");
        }
        if (who->user.size() > max_credential || who->password.size() > max_credential) {
            return refuse("SOCKS takes user names and passwords of at most 255 bytes");
        }
        made.authentication_ = authentication_request(*who);
    }
    made.request_ = connect_request(target);
    octets greeting;
    put(greeting, version);
    put(greeting, who ? 2U : 1U);
    put(greeting, method_none);
    if (who) {
        put(greeting, method_password);
    }
    made.send(std::move(greeting));
    return made;
}

std::span<const std::byte> socks5_client::poll_output() const noexcept {
    return std::span{output_}.subspan(sent_);
}

void socks5_client::handle_sent(std::size_t count) noexcept {
    sent_ += std::min(count, output_.size() - sent_);
}

std::size_t socks5_client::handle_bytes(std::span<const std::byte> in) {
    std::size_t used = 0;
    while (used < in.size() && step_ != step::done && step_ != step::failed) {
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

void socks5_client::handle_eof() {
    if (step_ == step::done || step_ == step::failed) {
        return;
    }
    fail(errc::proxy_protocol, side::peer,
         step_ == step::method ? "the proxy closed the connection without an answer; is it a SOCKS "
                                 "5 proxy?"
                               : "the proxy closed the connection in the middle of its answer");
}

void socks5_client::handle_field() {
    switch (step_) {
    case step::method:
        handle_method();
        break;
    case step::authentication:
        handle_authentication();
        break;
    case step::reply_code:
        handle_reply_code();
        break;
    case step::reply_head:
        handle_reply_head();
        break;
    case step::reply_rest:
        // BND.ADDR and BND.PORT say nothing that a client of CONNECT could use.
        step_ = step::done;
        break;
    case step::done:
    case step::failed:
        break;
    }
}

// RFC 1928 section 3.
void socks5_client::handle_method() {
    if (field(0) != version) {
        const bool http = field(0) == 'H';
        return fail(errc::proxy_protocol, side::peer,
                    "the proxy does not speak SOCKS 5: its answer begins with byte " +
                        std::to_string(field(0)) +
                        (http ? "; it seems to be an HTTP proxy, try http://" : ""));
    }
    switch (field(1)) {
    case method_none:
        send(std::move(request_));
        return expect(step::reply_code, 2);
    case method_password:
        if (!authentication_.empty()) {
            send(std::move(authentication_));
            return expect(step::authentication, 2);
        }
        break;
    case method_no_acceptable:
        return fail(errc::proxy_refused, side::caller,
                    authentication_.empty()
                        ? "the proxy wants to know who asks: write socks5://user:password@host"
                        : "the proxy accepts neither user name and password nor none");
    default:
        break;
    }
    fail(errc::proxy_protocol, side::peer,
         "the proxy chose authentication method " + std::to_string(field(1)) +
             ", which was not offered");
}

// RFC 1929 section 2. The version in the answer is not looked at: proxies put 5 there as well as 1.
void socks5_client::handle_authentication() {
    if (field(1) != 0) {
        return fail(errc::proxy_refused, side::caller,
                    "the proxy did not accept the user name and password (status " +
                        std::to_string(field(1)) + ")");
    }
    send(std::move(request_));
    expect(step::reply_code, 2);
}

// RFC 1928 section 6. A refusal is told by its second byte; some proxies send no more than that.
void socks5_client::handle_reply_code() {
    if (field(0) != version) {
        return fail(errc::proxy_protocol, side::peer,
                    "the proxy's reply begins with byte " + std::to_string(field(0)) +
                        " and not with version 5");
    }
    if (field(1) != 0) {
        return fail(errc::proxy_refused, side::peer, "the proxy answered: " + reply_text(field(1)));
    }
    // The shortest reply has 10 bytes, so reading the first of the address is within it.
    need_ = 5;
    step_ = step::reply_head;
}

void socks5_client::handle_reply_head() {
    step_ = step::reply_rest;
    switch (field(3)) {
    case address_v4:
        need_ = 4 + 4 + 2;
        return;
    case address_v6:
        need_ = 4 + 16 + 2;
        return;
    case address_name:
        need_ = 4 + 1 + field(4) + 2;
        return;
    default:
        fail(errc::proxy_protocol, side::peer,
             "the proxy's reply has an address of unknown type " + std::to_string(field(3)));
    }
}

void socks5_client::send(std::vector<std::byte> more) {
    output_.erase(output_.begin(), output_.begin() + static_cast<std::ptrdiff_t>(sent_));
    sent_ = 0;
    output_.insert(output_.end(), more.begin(), more.end());
}

void socks5_client::expect(step next, std::size_t count) {
    step_ = next;
    have_ = 0;
    need_ = count;
}

void socks5_client::fail(errc code, side who, std::string text) {
    step_ = step::failed;
    output_.clear();
    sent_ = 0;
    failure_ = failed(code, who, std::move(text));
}

unsigned socks5_client::field(std::size_t at) const noexcept {
    return std::to_integer<unsigned>(field_[at]);
}

} // namespace portico::wire
