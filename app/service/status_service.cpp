#include "service/status_service.hpp"

#include "service/own_client.hpp"

#include "portico/wire/http_request.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <optional>
#include <utility>

namespace portico::app {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using http_state = wire::http_request::state;

constexpr std::chrono::seconds silence{1}; // then it is answered

std::string response(std::string_view status, std::string_view type, const std::string& body) {
    return "HTTP/1.1 " + std::string{status} + "\r\nContent-Type: " + std::string{type} +
           "\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\nCache-Control: no-store\r\nConnection: close\r\n" +
           (status.starts_with("405") ? "Allow: GET\r\n" : "") + "\r\n" + body;
}

std::string refusal(std::string_view status, const std::string& text) {
    return response(status, "text/plain", text + '\n');
}

std::string metrics(const status_answer& said) {
    return response("200 OK", "text/plain; version=0.0.4; charset=utf-8",
                    said(status_form::prometheus));
}

// nullopt: more has to come.
std::optional<std::string> answer_http(std::string_view question, bool any_path,
                                       const status_answer& said) {
    const auto asked = wire::read_http_request(question);
    switch (asked.is) {
    case http_state::incomplete:
        return std::nullopt;
    case http_state::get:
        return any_path || asked.path == "/metrics"
                   ? metrics(said)
                   : refusal("404 Not Found", "there is only /metrics");
    case http_state::other_method:
        return refusal("405 Method Not Allowed", "only GET is answered here");
    case http_state::malformed:
        return refusal("400 Bad Request", "this is no request of HTTP/1.1");
    case http_state::too_long:
        break;
    }
    return refusal("431 Request Header Fields Too Large", "no head has more than 8 KiB here");
}

bool is_http(std::string_view line) {
    return line.starts_with("GET ") || line.ends_with(" HTTP/1.0") || line.ends_with(" HTTP/1.1");
}

// nullopt: more has to come.
std::optional<std::string> answer_line(std::string_view question, const status_answer& said) {
    const auto end = question.find('\n');
    auto line = question.substr(0, end);
    if (end == std::string_view::npos && question.size() < wire::http_request::max_size) {
        return std::nullopt;
    }
    if (line.ends_with('\r')) {
        line.remove_suffix(1);
    }
    if (is_http(line)) {
        return answer_http(question, true, said);
    }
    return said(line == "json"      ? status_form::json
                : line == "metrics" ? status_form::prometheus
                                    : status_form::table);
}

// One client.
//
//   asking --question--> answered --all sent--> FIN --end, error, time--> over
class client final : public own_client {
public:
    client(const asio::any_io_executor& executor, status_speech how, status_answer said)
        : own_client{executor}, how_{how}, said_{std::move(said)}, quiet_{executor} {}

private:
    void begin() override { wait_for_question(); }
    void cancel() override { quiet_.cancel(); }
    void wait_for_question();
    void read();
    void handle_read(error_code wrong, std::size_t size);
    void handle_silence();
    void answer(std::string text);
    void handle_sent(error_code wrong);
    void finish_if_done();
    [[nodiscard]] std::shared_ptr<client> self() {
        return std::static_pointer_cast<client>(shared_from_this());
    }

    const status_speech how_;
    const status_answer said_;
    asio::steady_timer quiet_;
    std::array<char, 1024> part_{};
    std::string question_;
    std::string text_;
    bool is_answered_ = false;
    bool is_sent_ = false;
    bool has_ended_ = false; // it says no more
};

void client::wait_for_question() {
    if (how_ == status_speech::lines) {
        quiet_.expires_after(silence);
        quiet_.async_wait([self = self()](error_code stopped) {
            if (!stopped && !self->is_over()) {
                self->handle_silence();
            }
        });
    }
    read();
}

void client::read() {
    socket_.async_receive(asio::buffer(part_), [self = self()](error_code wrong, std::size_t size) {
        if (!self->is_over()) {
            self->handle_read(wrong, size);
        }
    });
}

void client::handle_read(error_code wrong, std::size_t size) {
    end_.received += size;
    if (is_answered_ && !wrong) {
        return read(); // else the answer would be lost with what has not been read
    }
    has_ended_ = wrong == asio::error::eof;
    if (is_answered_ || (wrong && !has_ended_)) {
        return has_ended_ ? finish_if_done() : finish();
    }
    question_.append(part_.data(), size);
    const bool lines = how_ == status_speech::lines;
    auto text = lines ? answer_line(question_, said_) : answer_http(question_, false, said_);
    if (has_ended_) {
        return lines ? handle_silence() : finish();
    }
    if (text) {
        answer(*std::move(text));
    }
    is_answered_ ? read() : wait_for_question();
}

// It says no more.
void client::handle_silence() {
    if (!is_answered_) {
        auto text = answer_line(question_ + '\n', said_);
        answer(text ? *std::move(text) : refusal("400 Bad Request", "the end is missing"));
    }
}

void client::answer(std::string text) {
    is_answered_ = true;
    quiet_.cancel();
    limit_time(); // what it waited for until here may have been us
    text_ = std::move(text);
    asio::async_write(socket_, asio::buffer(text_),
                      [self = self()](error_code wrong, std::size_t size) {
                          self->end_.sent += size;
                          if (!self->is_over()) {
                              self->handle_sent(wrong);
                          }
                      });
}

void client::handle_sent(error_code wrong) {
    is_sent_ = true;
    error_code ignored;
    socket_.shutdown(run::stream::shutdown_send, ignored);
    wrong ? finish() : finish_if_done();
}

// Closing it earlier could take the answer away from a client that has not read it.
void client::finish_if_done() {
    if (is_sent_ && has_ended_) {
        finish();
    }
}

} // namespace

std::unique_ptr<run::stream_service> make_status_service(asio::any_io_executor executor,
                                                         status_speech how, status_answer said) {
    return make_own_service(executor, [executor, how, said = std::move(said)] {
        return std::make_shared<client>(executor, how, said);
    });
}

} // namespace portico::app
