#include "status_socket.hpp"

#include "portico/ip/listen_address.hpp"
#include "portico/os/clock.hpp"

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <string_view>

namespace portico::app {
namespace {

namespace asio = boost::asio;
using asio::local::stream_protocol;
using boost::system::error_code;

constexpr std::chrono::seconds patience{5};   // with one client
constexpr std::chrono::seconds silence{1};    // then it is answered
constexpr std::size_t max_question = 8 << 10; // bytes

std::string_view first_line(std::string_view text) {
    const auto line = text.substr(0, text.find('\n'));
    return line.ends_with('\r') ? line.substr(0, line.size() - 1) : line;
}

bool is_http(std::string_view line) {
    return line.ends_with(" HTTP/1.0") || line.ends_with(" HTTP/1.1");
}

// Whether nothing more has to come.
bool is_complete(std::string_view text) {
    if (text.find('\n') == std::string_view::npos) {
        return false;
    }
    const auto line = first_line(text);
    if (!is_http(line) && !line.starts_with("GET ")) {
        return true;
    }
    return text.find("\r\n\r\n") != std::string_view::npos ||
           text.find("\n\n") != std::string_view::npos;
}

std::string response(std::string_view status, std::string_view type, const std::string& body) {
    return "HTTP/1.0 " + std::string{status} + "\r\nContent-Type: " + std::string{type} +
           "\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\nCache-Control: no-store\r\nConnection: close\r\n" +
           (status.starts_with("405") ? "Allow: GET\r\n" : "") + "\r\n" + body;
}

std::string answer_to(std::string_view question, const status_socket::answer& said) {
    const auto line = first_line(question);
    if (line.starts_with("GET ")) {
        return response("200 OK", "text/plain; version=0.0.4; charset=utf-8",
                        said(status_form::prometheus));
    }
    if (is_http(line)) {
        return response("405 Method Not Allowed", "text/plain", "only GET is answered here\n");
    }
    return said(line == "json"      ? status_form::json
                : line == "metrics" ? status_form::prometheus
                                    : status_form::table);
}

} // namespace

tl::expected<ip::unix_name, std::string> parse_status_name(std::string_view text) {
    const auto read = ip::parse_listen_address(text);
    if (!read) {
        return tl::unexpected{"where to tell the status is unix:/path\n" +
                              ip::explain(text, read.error())};
    }
    const auto* name = std::get_if<ip::unix_name>(&read->where);
    if (name == nullptr) {
        return tl::unexpected{std::string{text} +
                              ": the status is told at a UNIX socket only; write unix:/path"};
    }
    if (name->is_abstract()) {
        return tl::unexpected{std::string{text} + ": everybody on this host could read it, as an "
                                                  "abstract name has no mode; write unix:/path"};
    }
    return *name;
}

// ---- one client ----

class status_socket::client : public std::enable_shared_from_this<client> {
public:
    client(asio::io_context& context, os::fd socket, std::function<void()> left)
        : socket_{context, stream_protocol{}, std::move(socket).release()}, whole_{context},
          quiet_{context}, left_{std::move(left)} {}
    client(const client&) = delete;
    client& operator=(const client&) = delete;
    ~client() { left_(); }

    void start(const answer& said) {
        said_ = said;
        whole_.expires_after(patience);
        whole_.async_wait([weak = weak_from_this()](error_code wrong) {
            if (const auto self = weak.lock(); self && !wrong) {
                self->close();
            }
        });
        read();
    }

private:
    void read() {
        quiet_.expires_after(silence);
        quiet_.async_wait([weak = weak_from_this()](error_code wrong) {
            if (const auto self = weak.lock(); self && !wrong && !self->is_answered_) {
                self->answer_now();
            }
        });
        socket_.async_read_some(asio::buffer(part_),
                                [self = shared_from_this()](error_code wrong, std::size_t size) {
                                    self->handle_read(wrong, size);
                                });
    }

    void handle_read(error_code wrong, std::size_t size) {
        if (is_answered_) {
            if (!wrong) {
                discard(); // else the answer would be lost with what it has not read
            }
            return;
        }
        question_.append(part_.data(), size);
        if (wrong || is_complete(question_) || question_.size() >= max_question) {
            answer_now();
            if (!wrong) {
                discard();
            }
            return;
        }
        read();
    }

    void discard() {
        socket_.async_read_some(asio::buffer(part_),
                                [self = shared_from_this()](error_code wrong, std::size_t) {
                                    if (!wrong) {
                                        self->discard();
                                    }
                                });
    }

    void answer_now() {
        is_answered_ = true;
        quiet_.cancel();
        text_ = answer_to(question_, said_);
        asio::async_write(socket_, asio::buffer(text_),
                          [self = shared_from_this()](error_code wrong, std::size_t) {
                              error_code ignored;
                              self->socket_.shutdown(stream_protocol::socket::shutdown_send,
                                                     ignored);
                              if (wrong) {
                                  self->close();
                              }
                          });
    }

    void close() {
        error_code ignored;
        socket_.close(ignored);
        quiet_.cancel();
        whole_.cancel();
    }

    stream_protocol::socket socket_;
    asio::steady_timer whole_;
    asio::steady_timer quiet_;
    std::function<void()> left_;
    answer said_;
    std::array<char, 1024> part_{};
    std::string question_;
    std::string text_;
    bool is_answered_ = false;
};

// ---- all of them ----

status_socket::status_socket(asio::io_context& context, event_log& log, answer said)
    : context_{context}, log_{log}, said_{std::move(said)}, self_{std::make_shared<status_socket*>(
                                                                this)} {}

status_socket::~status_socket() = default;

void status_socket::open(const ip::unix_name& where,
                         std::function<void(const run::listen_report&)> done) {
    done_ = std::move(done);
    plan::wish wish;
    wish.where.where = where;
    wish.where.text = ip::to_text(where);
    wish.needed = plan::need::required;
    wish.unix_mode = 0600;
    run::async_listen(context_.get_executor(), {std::move(wish)},
                      deadline::after(os::now(), patience),
                      [weak = std::weak_ptr{self_}](run::listen_outcome outcome) {
                          if (const auto self = weak.lock()) {
                              (*self)->handle_open(std::move(outcome));
                          }
                      });
}

void status_socket::handle_open(run::listen_outcome outcome) {
    listener_ = std::move(outcome.sockets);
    if (listener_) {
        for (const auto& each : outcome.report.attempts) {
            for (const auto& remark : each.remarks) {
                log_.write(severity::warning, "remark",
                           {{"network.local.address", ip::to_text(each.at)}, {"remark", remark}});
            }
        }
        accept_next();
    }
    std::exchange(done_, nullptr)(outcome.report);
}

void status_socket::accept_next() {
    if (is_accepting_ || clients_ == max_clients) {
        return;
    }
    is_accepting_ = true;
    listener_->async_accept([weak = std::weak_ptr{self_}](result<run::accepted> got) {
        if (const auto self = weak.lock()) {
            (*self)->handle_accepted(std::move(got));
        }
    });
}

void status_socket::handle_accepted(result<run::accepted> got) {
    is_accepting_ = false;
    if (!got) {
        return; // it is closed
    }
    ++clients_;
    const auto left = [weak = std::weak_ptr{self_}] {
        if (const auto self = weak.lock()) {
            (*self)->handle_left();
        }
    };
    std::make_shared<client>(context_, std::move(got->socket), left)->start(said_);
    accept_next();
}

void status_socket::handle_left() {
    --clients_;
    accept_next();
}

} // namespace portico::app
