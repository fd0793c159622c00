// Read first: RFC 9110 section 9.3.6, RFC 9112 sections 3.2.3, 4 and 5, RFC 7617 section 2.
#include "portico/wire/http_connect_client.hpp"

#include "wire/names.hpp"

#include <algorithm>

namespace portico::wire {
namespace {

constexpr std::size_t shown_line = 200; // of a status line in a message

// RFC 4648 section 4.
std::string base64(std::string_view text) {
    static constexpr std::string_view digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const auto byte = [text](std::size_t at) {
        return at < text.size() ? static_cast<unsigned char>(text[at]) : 0U;
    };
    std::string made;
    for (std::size_t i = 0; i < text.size(); i += 3) {
        const unsigned group = byte(i) << 16U | byte(i + 1) << 8U | byte(i + 2);
        made += digits[group >> 18U];
        made += digits[group >> 12U & 63U];
        made += i + 1 < text.size() ? digits[group >> 6U & 63U] : '=';
        made += i + 2 < text.size() ? digits[group & 63U] : '=';
    }
    return made;
}

// "HTTP/1.1 200 whatever" (RFC 9112 section 4); nullopt when it is not a status line of HTTP/1.
std::optional<unsigned> status_of(std::string_view line) {
    const auto digit = [line](std::size_t at) { return line[at] >= '0' && line[at] <= '9'; };
    if (line.size() < 12 || !line.starts_with("HTTP/1.") || !digit(7) || line[8] != ' ' ||
        !digit(9) || !digit(10) || !digit(11) || (line.size() > 12 && line[12] != ' ')) {
        return std::nullopt;
    }
    const auto value = [line](std::size_t at) { return static_cast<unsigned>(line[at] - '0'); };
    return value(9) * 100 + value(10) * 10 + value(11);
}

} // namespace

proxy_result<http_connect_client> http_connect_client::make(const proxy_target& target,
                                                            const std::optional<credentials>& who) {
    http_connect_client made;
    const auto where = target.text();
    made.output_ = "CONNECT " + where + " HTTP/1.1\r\nHost: " + where + "\r\n";
    if (who) {
        if (who->user.empty() || who->user.find(':') != std::string::npos) {
            return refuse("a user name for an HTTP proxy is not empty and has no ':'");
        }
        if (has_control(who->user) || has_control(who->password)) {
            return refuse("user name and password for an HTTP proxy have no control characters");
        }
        made.authorized_ = true;
        made.output_ +=
            "Proxy-Authorization: Basic " + base64(who->user + ':' + who->password) + "\r\n";
    }
    made.output_ += "\r\n";
    return made;
}

std::span<const std::byte> http_connect_client::poll_output() const noexcept {
    return std::as_bytes(std::span{output_}).subspan(sent_);
}

void http_connect_client::handle_sent(std::size_t count) noexcept {
    sent_ += std::min(count, output_.size() - sent_);
}

std::size_t http_connect_client::handle_bytes(std::span<const std::byte> bytes) {
    std::size_t used = 0;
    while (used < bytes.size() && !done_ && !failure_) {
        const auto c = std::to_integer<char>(bytes[used++]);
        if (++head_size_ > max_head) {
            fail(errc::proxy_protocol, side::peer,
                 "the proxy's answer has more than 16 KiB before its end");
        } else if (c == '\n') {
            handle_line();
        } else {
            line_ += c;
        }
    }
    return used;
}

void http_connect_client::handle_eof() {
    if (done_ || failure_) {
        return;
    }
    fail(errc::proxy_protocol, side::peer,
         head_size_ == 0 ? "the proxy closed the connection without an answer"
                         : "the proxy closed the connection in the middle of its answer");
}

// A line may end in LF alone (RFC 9112 section 2.2).
void http_connect_client::handle_line() {
    if (!line_.empty() && line_.back() == '\r') {
        line_.pop_back();
    }
    if (!in_fields_) {
        handle_status_line();
    } else if (line_.empty()) {
        in_fields_ = false;
        done_ = status_ >= 200;
    }
    line_.clear();
}

void http_connect_client::handle_status_line() {
    const auto status = status_of(line_);
    if (!status) {
        const bool socks = !line_.empty() && (line_[0] == 5 || line_[0] == 0);
        return fail(errc::proxy_protocol, side::peer,
                    "the proxy does not speak HTTP/1: it answered '" +
                        sanitised(line_, shown_line) + "'" +
                        (socks ? "; it seems to be a SOCKS proxy, try socks5://" : ""));
    }
    // Nothing was asked to be switched, so 101 is no interim answer (RFC 9110 section 15.2.2).
    const bool interim = *status >= 100 && *status < 200 && *status != 101;
    const bool opened = *status >= 200 && *status < 300;
    if (!interim && !opened) {
        std::string text = "the proxy answered: " + sanitised(line_, shown_line);
        if (*status == 407) {
            text += authorized_ ? " (it did not accept the user name and password)"
                                : " (write http://user:password@host)";
        }
        return fail(errc::proxy_refused, *status == 407 ? side::caller : side::peer,
                    std::move(text));
    }
    status_ = *status;
    in_fields_ = true;
}

void http_connect_client::fail(errc code, side who, std::string text) {
    output_.clear();
    sent_ = 0;
    line_ = {};
    failure_ = failed(code, who, std::move(text));
}

} // namespace portico::wire
