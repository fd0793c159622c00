// A program for each connection.

#include "portico/run/program.hpp"
#include "portico/ip/canonical.hpp"
#include "portico/serve/environment.hpp"
#include "serve/program_process.hpp"

#include <list>
#include <unordered_map>
#include <utility>

namespace portico::run {
namespace {

// Whose connections TCPCONNNUM counts together.
std::optional<ip::address> counted_as(const ip::any_endpoint& peer) {
    const auto* at = std::get_if<ip::endpoint>(&peer);
    return at == nullptr ? std::nullopt : std::optional{ip::canonical(at->address)};
}

program_options prepared(program_options options) {
    options.settings.group_of_processes = os::apart_from_terminal();
    options.environment = serve::inheritable(options.environment);
    return options;
}

class connection_programs final : public program_service {
public:
    connection_programs(asio::any_io_executor executor, program_options options)
        : host_{std::move(executor), prepared(std::move(options))} {}
    connection_programs(const connection_programs&) = delete;
    connection_programs& operator=(const connection_programs&) = delete;
    ~connection_programs() override {
        for (const auto& each : running_) {
            each.process->abandon();
        }
    }

    void start(accepted connection, std::uint64_t number, ended done) override;
    void stop_now() override {
        for (const auto& each : running_) {
            each.process->stop();
        }
    }
    [[nodiscard]] const program_counters& counters() const noexcept override {
        return host_.counters;
    }

private:
    struct running {
        std::shared_ptr<program_process> process;
        connection_end end; // what is known of it from the beginning
        ended done;
    };
    using place = std::list<running>::iterator;

    [[nodiscard]] std::vector<serve::variable> variables_of(const accepted& connection);
    void handle_end(place where, program_end how);

    program_host host_;
    std::list<running> running_;
    std::unordered_map<ip::address, std::uint64_t> from_peer_; // no more than running_
};

std::vector<serve::variable> connection_programs::variables_of(const accepted& connection) {
    serve::connection_facts facts{connection.local, connection.peer, 1, {}};
    if (const auto who = counted_as(connection.peer)) {
        facts.from_peer = from_peer_[*who];
    }
    if (!std::holds_alternative<ip::endpoint>(connection.local)) {
        if (const auto who = os::peer_credentials(connection.socket.raw())) {
            facts.process = serve::peer_process{who->user, who->group, who->pid};
        }
    }
    return serve::variables_of(facts);
}

void connection_programs::start(accepted connection, std::uint64_t number, ended done) {
    const auto where = running_.emplace(running_.end());
    where->end.number = number;
    where->end.local = connection.local;
    where->end.peer = connection.peer;
    where->done = std::move(done);
    if (const auto who = counted_as(connection.peer)) {
        ++from_peer_[*who];
    }
    where->process = std::make_shared<program_process>(
        host_, number, [this, where](program_end how) { handle_end(where, std::move(how)); });
    const auto variables = variables_of(connection);
    where->process->start(std::move(connection.socket), variables);
}

void connection_programs::handle_end(place where, program_end how) {
    if (const auto who = counted_as(where->end.peer)) {
        const auto found = from_peer_.find(*who);
        if (--found->second == 0) {
            from_peer_.erase(found);
        }
    }
    auto end = std::move(where->end);
    const auto tell = std::move(where->done);
    running_.erase(where);
    end.lasted = how.lasted;
    end.exit_status = how.exit_status;
    end.why = how.why;
    end.detail = std::move(how.detail);
    tell(std::move(end));
}

} // namespace

std::unique_ptr<program_service> make_program_service(asio::any_io_executor executor,
                                                      program_options options) {
    return std::make_unique<connection_programs>(std::move(executor), std::move(options));
}

// Its pidfd, and its stderr.
std::size_t descriptors_of(const program_options& options) noexcept {
    return options.errors == error_output::log ? 2 : 1;
}

} // namespace portico::run
