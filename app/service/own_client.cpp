#include "service/own_client.hpp"

#include "portico/os/clock.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <sys/socket.h>
#include <utility>

namespace portico::app {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr std::chrono::seconds patience{5};

class own_clients final : public run::stream_service {
public:
    own_clients(asio::any_io_executor executor, std::function<std::shared_ptr<own_client>()> make)
        : executor_{std::move(executor)}, make_{std::move(make)} {}
    own_clients(const own_clients&) = delete;
    own_clients& operator=(const own_clients&) = delete;
    ~own_clients() override {
        for (const auto& each : all_) {
            each->close();
        }
    }

    void start(run::accepted from, std::uint64_t number, ended done) override {
        if (all_.size() >= most_own_clients) {
            end_oldest();
        }
        make_()->start(std::move(from), number, std::move(done), all_);
    }
    void stop_now() override {
        for (const auto& each : std::exchange(all_, {})) {
            each->close();
            asio::post(executor_, [each] { each->tell(); });
        }
    }

private:
    void end_oldest() {
        const auto oldest = std::find_if(all_.begin(), all_.end(),
                                         [](const auto& each) { return each->has_limit(); });
        if (oldest != all_.end()) {
            asio::post(executor_, [each = *oldest] { each->finish(); });
        }
    }

    const asio::any_io_executor executor_;
    const std::function<std::shared_ptr<own_client>()> make_;
    own_client::list all_;
};

} // namespace

own_client::own_client(const asio::any_io_executor& executor)
    : socket_{executor}, whole_{executor} {}

void own_client::start(run::accepted from, std::uint64_t number, run::stream_service::ended done,
                       list& all) {
    all_ = &all;
    where_ = all.insert(all.end(), shared_from_this());
    done_ = std::move(done);
    began_ = os::now();
    end_.number = number;
    end_.local = from.local;
    end_.peer = from.peer;
    const auto* at = std::get_if<ip::endpoint>(&from.local);
    const int family = at == nullptr ? AF_UNIX : at->address.is_v6() ? AF_INET6 : AF_INET;
    error_code wrong;
    socket_.assign({family, 0}, from.socket.raw(), wrong);
    if (wrong) {
        end_.why = error{wrong, operation::accept, side::system, end_.peer};
        return limit_time(duration::zero());
    }
    static_cast<void>(std::move(from.socket).release());
    limit_time();
    begin();
}

void own_client::limit_time() {
    limit_time(patience);
}

void own_client::unlimit_time() {
    has_limit_ = false;
    whole_.cancel();
}

void own_client::limit_time(duration span) {
    has_limit_ = true;
    whole_.expires_after(span);
    whole_.async_wait([self = shared_from_this()](error_code stopped) {
        if (!stopped) {
            self->finish();
        }
    });
}

void own_client::close() {
    is_over_ = true;
    error_code ignored;
    socket_.close(ignored);
    whole_.cancel();
    cancel();
    end_.lasted = os::now() - began_;
}

void own_client::finish() {
    if (!is_over_) {
        const auto self = shared_from_this();
        close();
        all_->erase(where_);
        tell();
    }
}

std::unique_ptr<run::stream_service>
make_own_service(asio::any_io_executor executor,
                 std::function<std::shared_ptr<own_client>()> make) {
    return std::make_unique<own_clients>(std::move(executor), std::move(make));
}

} // namespace portico::app
