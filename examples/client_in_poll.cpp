// modern_client without Asio: core/race and the socket calls in a plain poll(2) loop, as any other
// event loop would drive them. client_in_poll HOST PORT, with a numeric port.
#include <portico/os/clock.hpp>
#include <portico/os/resolve.hpp>
#include <portico/os/socket.hpp>
#include <portico/race/race.hpp>
#include <portico/race/timeline.hpp>

#include <cerrno>
#include <cstdlib>
#include <iostream>
#include <map>
#include <poll.h>

using namespace portico;

namespace {

// A question to the resolver: a process whose answer comes through a pipe.
struct question {
    os::lookup running;
    std::string text;
};

class client {
public:
    client(const race::config& how, std::string host)
        : race_{how, os::now()}, host_{std::move(host)}, port_{how.port} {}

    os::fd run() {
        ask(ip::family::v6);
        ask(ip::family::v4);
        while (!race_.is_decided()) {
            wait();
            race_.handle_deadline(os::now());
            obey();
        }
        std::cerr << race::draw(race_.story(), host_);
        const auto winner = race_.story().winner;
        return winner ? std::move(attempts_.at(*winner)) : os::fd{};
    }

private:
    void ask(ip::family which) {
        if (auto known = os::answer_without_asking(host_, which)) {
            return answer(which, *known);
        }
        auto started = os::start_lookup({host_, which});
        if (!started) {
            return race_.handle_resolve_failed(os::now(), which, started.error());
        }
        questions_[which] = {std::move(*started), {}};
    }

    void answer(ip::family which, const result<os::lookup_answer>& got) {
        if (!got) {
            return race_.handle_resolve_failed(os::now(), which, got.error());
        }
        std::vector<ip::destination> places;
        for (const auto& each : got->addresses) {
            const auto from = os::source_address({each, port_});
            places.push_back({each, from ? std::optional{ip::source{*from}} : std::nullopt});
        }
        race_.handle_addresses(os::now(), which, places);
        obey();
    }

    // What the machine wants done, until it wants nothing more.
    void obey() {
        while (const auto todo = race_.poll_action()) {
            if (const auto* begin = std::get_if<race::start>(&*todo)) {
                start(*begin);
            } else {
                attempts_.erase(std::get<race::abandon>(*todo).id);
            }
        }
    }

    void start(const race::start& what) {
        auto made = os::socket(what.to, ip::transport::tcp);
        const auto done = made ? os::connect(*made, what.to) : tl::unexpected{made.error()};
        if (made) {
            attempts_[what.id] = std::move(*made);
        }
        if (done) {
            race_.handle_connected(os::now(), what.id);
        } else if (done.error().value() != EINPROGRESS) {
            fail(what.id, done.error());
        }
    }

    void fail(race::attempt_id id, std::error_code why) {
        attempts_.erase(id);
        race_.handle_failed(os::now(), id, {why, operation::connect, side::peer, {}});
    }

    // Until something happens, or the machine wants to be told the time.
    void wait() {
        std::vector<pollfd> watched;
        for (const auto& [which, each] : questions_) {
            watched.push_back({each.running.answer(), POLLIN, 0});
        }
        for (const auto& [id, socket] : attempts_) {
            watched.push_back({socket.raw(), POLLOUT, 0});
        }
        const auto next = race_.poll_deadline();
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(next.remaining(os::now()));
        ::poll(watched.data(), watched.size(),
               next.is_never() ? -1 : static_cast<int>(left.count()));
        for (const auto& each : watched) {
            if (each.revents != 0) {
                handle(each.fd);
            }
        }
    }

    void handle(int ready) {
        for (auto& [which, each] : questions_) {
            if (each.running.answer() == ready) {
                return read(which, each);
            }
        }
        for (const auto& [id, socket] : attempts_) {
            if (socket.raw() == ready) {
                const auto how = os::so_error(ready);
                return how ? race_.handle_connected(os::now(), id) : fail(id, how.error());
            }
        }
    }

    void read(ip::family which, question& of) {
        std::array<std::byte, 4096> bytes;
        const auto size = os::read(of.running.answer(), bytes);
        of.text.append(reinterpret_cast<const char*>(bytes.data()), size.value_or(0));
        if (size.value_or(0) == 0 || of.text.size() > os::max_lookup_answer) {
            const auto got = os::parse_lookup_answer(of.text, which);
            questions_.erase(which);
            answer(which, got);
        }
    }

    race::race race_;
    std::string host_;
    std::uint16_t port_;
    std::map<ip::family, question> questions_;
    std::map<race::attempt_id, os::fd> attempts_;
};

} // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::cerr << "usage: client_in_poll HOST PORT\n";
        return 100;
    }
    race::config how;
    how.port = static_cast<std::uint16_t>(std::atoi(argv[2]));
    const auto server = client{how, argv[1]}.run();
    if (!server) {
        return 111;
    }
    const std::string_view line = "hello\n";
    if (!os::send(server.raw(), std::as_bytes(std::span{line}))) {
        return 111;
    }
    std::array<std::byte, 4096> bytes;
    pollfd watched{server.raw(), POLLIN, 0};
    ::poll(&watched, 1, -1);
    const auto size = os::recv(server.raw(), bytes);
    std::cout << std::string_view{reinterpret_cast<const char*>(bytes.data()), size.value_or(0)};
    return size ? 0 : 111;
}
