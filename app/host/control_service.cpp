#include "host/control_service.hpp"

#include "service/own_client.hpp"

#include "portico/os/spawn.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>

#include <unistd.h>
#include <utility>

namespace portico::app {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr std::size_t longest_order = 4096 + 16;

constexpr int user_mistake = 100;

bool may_order(int socket) {
    const auto who = os::peer_credentials(socket);
    return who && (who->user == 0 || who->user == ::geteuid());
}

//   asking --order--> waiting --outcome--> answering --all sent, error, time--> over
class client final : public own_client {
public:
    client(const asio::any_io_executor& executor, control_obey obey)
        : own_client{executor}, obey_{std::move(obey)} {}

private:
    void begin() override;
    void read();
    void handle_order(error_code wrong, std::size_t size);
    void answer(const control_outcome& outcome);
    [[nodiscard]] std::shared_ptr<client> self() {
        return std::static_pointer_cast<client>(shared_from_this());
    }

    const control_obey obey_;
    std::string order_;
    std::string text_;
};

void client::begin() {
    if (may_order(socket_.native_handle())) {
        return read();
    }
    answer({user_mistake, "only root and the user of this process may order it\n"});
}

void client::read() {
    asio::async_read_until(socket_, asio::dynamic_buffer(order_, longest_order), '\n',
                           [self = self()](error_code wrong, std::size_t size) {
                               if (!self->is_over()) {
                                   self->handle_order(wrong, size);
                               }
                           });
}

void client::handle_order(error_code wrong, std::size_t size) {
    end_.received += order_.size();
    const auto order =
        wrong ? std::nullopt : parse_order(std::string_view{order_}.substr(0, size - 1));
    if (!order) {
        return answer({user_mistake, "this is no order; there are: reload, handover, and handover "
                                     "/path/of/program, in one line\n"});
    }
    unlimit_time(); // how long it takes is not the client's doing
    obey_(*order, [weak = std::weak_ptr{self()}](const control_outcome& outcome) {
        if (const auto self = weak.lock(); self && !self->is_over()) {
            self->answer(outcome);
        }
    });
}

void client::answer(const control_outcome& outcome) {
    limit_time();
    text_ = std::to_string(outcome.exit_code) + '\n' + outcome.text;
    asio::async_write(socket_, asio::buffer(text_), [self = self()](error_code, std::size_t size) {
        self->end_.sent += size;
        self->finish();
    });
}

} // namespace

std::optional<control_order> parse_order(std::string_view line) {
    constexpr std::string_view handover = "handover";
    if (line == "reload") {
        return control_order{};
    }
    if (!line.starts_with(handover)) {
        return std::nullopt;
    }
    line.remove_prefix(handover.size());
    const bool names_program = line.starts_with(" /") && line.find('\0') == std::string_view::npos;
    if (!line.empty() && !names_program) {
        return std::nullopt;
    }
    return control_order{control_order::kind::handover,
                         std::string{line.empty() ? line : line.substr(1)}};
}

std::string to_text(const control_order& which) {
    if (which.what == control_order::kind::reload) {
        return "reload";
    }
    return which.program.empty() ? "handover" : "handover " + which.program;
}

std::unique_ptr<run::stream_service> make_control_service(asio::any_io_executor executor,
                                                          control_obey obey) {
    return make_own_service(executor, [executor, obey = std::move(obey)] {
        return std::make_shared<client>(executor, obey);
    });
}

} // namespace portico::app
