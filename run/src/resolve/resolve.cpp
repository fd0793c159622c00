#include "portico/run/resolve.hpp"
#include "portico/os/clock.hpp"
#include "portico/os/socket.hpp"
#include "portico/run/resolve_name.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <array>
#include <cerrno>
#include <unistd.h>

namespace portico::run {
namespace {

// What the questions have of their own.
std::optional<result<os::lookup_answer>> known(const resolve_request& asked) {
    return os::answer_without_asking(asked.what.name, asked.what.family);
}
std::optional<result<os::service_answer>> known(const resolve_srv_request& /*asked*/) {
    return std::nullopt;
}
std::optional<result<std::string>> known(const resolve_name_request& /*asked*/) {
    return std::nullopt;
}
result<os::lookup> ask(const resolve_request& asked) {
    return os::start_lookup(asked.what, asked.how);
}
result<os::lookup> ask(const resolve_srv_request& asked) {
    return os::start_service_lookup(asked.name, asked.how);
}
result<os::lookup> ask(const resolve_name_request& asked) {
    return os::start_name_lookup(asked.who, asked.how);
}
result<os::lookup_answer> parse(std::string_view text, const resolve_request& asked) {
    return os::parse_lookup_answer(text, asked.what.family);
}
result<os::service_answer> parse(std::string_view text, const resolve_srv_request& /*asked*/) {
    return os::parse_service_answer(text);
}
result<std::string> parse(std::string_view text, const resolve_name_request& /*asked*/) {
    return os::parse_name_answer(text);
}

tl::unexpected<error> gave_up(int number) {
    return tl::unexpected{
        error{{number, std::system_category()}, operation::resolve, side::system, {}}};
}

// One lookup. Held by its handlers; whichever event comes first (the end of the answer, the
// deadline, a cancellation) takes `done_`, and the others find it empty.
template <class Request>
class resolving : public std::enable_shared_from_this<resolving<Request>> {
public:
    using answer = decltype(parse({}, std::declval<Request>()));

    resolving(const asio::any_io_executor& executor, Request request, completion<answer> done)
        : executor_{executor}, request_{std::move(request)}, done_{std::move(done)},
          pipe_{executor}, timer_{executor} {}
    resolving(const resolving&) = delete;
    resolving& operator=(const resolving&) = delete;
    ~resolving() { let_go(); }

    void start() {
        if (auto slot = done_.slot(); slot.is_connected()) {
            slot.assign([me = this->weak_from_this()](asio::cancellation_type) {
                if (const auto self = me.lock()) {
                    self->finish_soon(gave_up(ECANCELED));
                }
            });
        }
        if (auto found = known(request_)) {
            return finish_soon(*std::move(found));
        }
        if (request_.until.has_passed(os::now())) {
            return finish_soon(gave_up(ETIMEDOUT));
        }
        auto started = ask(request_);
        if (!started) {
            return finish_soon(tl::unexpected{started.error()});
        }
        lookup_ = *std::move(started);
        boost::system::error_code wrong;
        pipe_.assign(lookup_.answer(), wrong);
        if (wrong) {
            return finish_soon(gave_up(wrong.value()));
        }
        wait_for_deadline();
        wait_for_bytes();
    }

private:
    void wait_for_deadline() {
        if (request_.until.is_never()) {
            return;
        }
        timer_.expires_after(request_.until.remaining(os::now()));
        timer_.async_wait([self = this->shared_from_this()](boost::system::error_code wrong) {
            if (!wrong) {
                self->finish(gave_up(ETIMEDOUT));
            }
        });
    }

    void wait_for_bytes() {
        pipe_.async_wait(pipe_.wait_read,
                         [self = this->shared_from_this()](boost::system::error_code wrong) {
                             if (!wrong) {
                                 self->read();
                             }
                         });
    }

    void read() {
        while (done_) {
            std::array<std::byte, 4096> bytes;
            const auto size = os::read(lookup_.answer(), bytes);
            if (!size) {
                return size.error().value() == EAGAIN ? wait_for_bytes()
                                                      : finish(gave_up(size.error().value()));
            }
            text_.append(reinterpret_cast<const char*>(bytes.data()), *size);
            if (*size == 0 || text_.size() > os::max_lookup_answer) {
                return finish(parse(text_, request_));
            }
        }
    }

    // Completes after the current handler, or the call that started this, has returned.
    void finish_soon(answer found) {
        asio::post(executor_,
                   [self = this->shared_from_this(), found = std::move(found)]() mutable {
                       self->finish(std::move(found));
                   });
    }

    void finish(answer found) {
        if (!done_) {
            return;
        }
        let_go();
        auto done = std::move(done_);
        done(std::move(found));
    }

    // The descriptor belongs to lookup_, which closes it.
    void let_go() {
        if (pipe_.is_open()) {
            (void)pipe_.release();
        }
        timer_.cancel();
        lookup_.stop();
    }

    asio::any_io_executor executor_;
    Request request_;
    completion<answer> done_;
    os::lookup lookup_;
    asio::posix::stream_descriptor pipe_;
    asio::steady_timer timer_;
    std::string text_;
};

} // namespace

namespace detail {

void start_resolve(const asio::any_io_executor& executor, resolve_request request,
                   completion<result<os::lookup_answer>> done) {
    std::make_shared<resolving<resolve_request>>(executor, std::move(request), std::move(done))
        ->start();
}

void start_resolve(const asio::any_io_executor& executor, resolve_srv_request request,
                   completion<result<os::service_answer>> done) {
    std::make_shared<resolving<resolve_srv_request>>(executor, std::move(request), std::move(done))
        ->start();
}

void start_resolve(const asio::any_io_executor& executor, resolve_name_request request,
                   completion<result<std::string>> done) {
    std::make_shared<resolving<resolve_name_request>>(executor, std::move(request), std::move(done))
        ->start();
}

} // namespace detail
} // namespace portico::run
