// A program for each datagram.

#include "portico/run/datagram_program.hpp"

#include "portico/ip/canonical.hpp"
#include "portico/os/clock.hpp"
#include "portico/os/listening.hpp"
#include "portico/serve/environment.hpp"
#include "serve/answer_reader.hpp"
#include "serve/datagram_reader.hpp"
#include "serve/program_process.hpp"

#include <boost/asio/post.hpp>

#include <list>
#include <map>
#include <utility>

namespace portico::run {
namespace {

program_options prepared(program_options options) {
    options.settings.group_of_processes = os::apart_from_terminal();
    options.environment = serve::inheritable(options.environment);
    return options;
}

// A program, and the query that it is to answer.
struct answering {
    std::shared_ptr<program_process> process;
    std::shared_ptr<answer_reader> answer;
    os::datagram query;
    std::shared_ptr<os::fd> socket;
    query_end end;
};

} // namespace

struct datagram_program::state : std::enable_shared_from_this<datagram_program::state> {
    using source = datagram_reader::source;
    using place = std::list<answering>::iterator;

    state(asio::any_io_executor executor, datagram_program_options options,
          std::shared_ptr<admission> who, ended listening)
        : host{std::move(executor), prepared(std::move(options.program))},
          heard{options.broadcasts, options.multicasts}, door{std::move(who)}, tell{std::move(
                                                                                   listening)} {}

    void start(std::span<const bound_socket> sockets);
    void handle_query(const source& from, os::datagram& query, std::span<const std::byte> bytes);
    [[nodiscard]] std::optional<serve::drop> let_in(const source& from, os::datagram& query);
    void run(const source& from, const os::datagram& query, std::span<const std::byte> bytes,
             query_end end);
    [[nodiscard]] std::optional<std::error_code>
    start_program(answering& one, std::span<const std::byte> bytes, const place& where);
    void handle_end(place where, program_end how);
    void send_answer(answering& one);
    void leave(const ip::any_endpoint& client);
    void pause_if_full();
    void finish(const query_end& end);
    void stop_reading();

    program_host host;
    const heard_groups heard;
    std::shared_ptr<admission> door;
    ended tell;
    std::size_t at_door = 0;                        // our number there
    datagram_counters counts;                       // but for failed_reads
    std::map<int, std::shared_ptr<os::fd>> sockets; // second descriptors, by the listener's numbers
    std::list<answering> programs;
    std::shared_ptr<datagram_reader> reader;
    std::uint64_t number = 0;
    bool stopped = false;
};

void datagram_program::state::start(std::span<const bound_socket> open) {
    at_door = door->join([weak = weak_from_this()] {
        if (const auto self = weak.lock()) {
            asio::post(self->host.executor, [self] { self->pause_if_full(); });
        }
    });
    for (const auto& each : open) {
        auto copy = each.over == ip::transport::udp ? os::dup(each.descriptor) : os::fd{};
        sockets[each.descriptor.raw()] =
            std::make_shared<os::fd>(copy ? *std::move(copy) : os::fd{});
    }
    reader = std::make_shared<datagram_reader>(
        host.executor, [weak = weak_from_this()](const auto& from, os::datagram& query,
                                                 std::span<std::byte> bytes) {
            if (const auto self = weak.lock()) {
                self->handle_query(from, query, bytes);
            }
        });
    reader->start(open);
}

void datagram_program::state::handle_query(const source& from, os::datagram& query,
                                           std::span<const std::byte> bytes) {
    ++counts.received;
    query_end end;
    end.query.local = asked_endpoint(query, from.at);
    end.query.peer = query.from;
    end.query.interface = query.interface;
    end.query.received = query.size;
    end.query.why = let_in(from, query);
    if (end.query.why) {
        return finish(end);
    }
    run(from, query, bytes, std::move(end));
    pause_if_full();
}

// nullopt: a place is taken.
std::optional<serve::drop> datagram_program::state::let_in(const source& from,
                                                           os::datagram& query) {
    if (const auto no = serve::refuse_source(query.from, is_unheard(query, heard))) {
        return no;
    }
    const auto ours = choose_answer_address(query);
    if (ours && query.from == ip::any_endpoint{ip::endpoint{*ours, port_of(from.at)}}) {
        return serve::drop::own_port;
    }
    if (door->take_place(at_door) != admission::room::taken) {
        return serve::drop::full;
    }
    if (const auto no = door->refuse(os::now(), ip::canonical(query.from))) {
        door->give_back(at_door);
        return no->why == relay_end::denied ? serve::drop::denied : serve::drop::limited;
    }
    return std::nullopt;
}

void datagram_program::state::run(const source& from, const os::datagram& query,
                                  std::span<const std::byte> bytes, query_end end) {
    const auto where = programs.emplace(programs.end());
    where->query = query;
    where->socket = sockets.at(from.raw);
    where->end = std::move(end);
    where->end.number = ++number;
    if (const auto why = start_program(*where, bytes, where)) {
        auto told = std::move(where->end);
        programs.erase(where);
        told.why = error{*why, operation::spawn, side::system, {}};
        told.detail = "no file or pipe for a program";
        ++host.counters.not_started;
        leave(told.query.peer);
        finish(told);
    }
}

// An error: of what a program needs; that of the start itself comes as its end.
std::optional<std::error_code>
datagram_program::state::start_program(answering& one, std::span<const std::byte> bytes,
                                       const place& where) {
    const auto in = os::memory_file(bytes);
    if (!in) {
        return in.error();
    }
    auto out = os::pipe2();
    if (!out) {
        return out.error();
    }
    serve::query_facts facts;
    facts.asked = one.end.query.local;
    facts.peer = one.query.from;
    facts.answer_from = one.query.to_group ? one.query.answer_from : one.query.to;
    facts.interface = os::interface_name(one.query.interface);
    facts.interface_index = one.query.interface;
    one.answer =
        std::make_shared<answer_reader>(host.executor, std::move(out->read), longest_answer);
    one.process = std::make_shared<program_process>(
        host, one.end.number, [weak = weak_from_this(), where](program_end how) {
            if (const auto self = weak.lock()) {
                self->handle_end(where, std::move(how));
            }
        });
    one.process->start_between(in->raw(), out->write.raw(), serve::variables_of_query(facts));
    one.answer->start();
    return std::nullopt;
}

void datagram_program::state::handle_end(place where, program_end how) {
    auto& one = *where;
    one.answer->finish();
    one.end.lasted = how.lasted;
    one.end.exit_status = how.exit_status;
    one.end.why = how.why;
    one.end.detail = std::move(how.detail);
    const bool by_signal = how.exit_status.value_or(128) >= 128;
    if (!how.why && !by_signal) {
        send_answer(one);
    }
    const auto end = std::move(one.end);
    programs.erase(where);
    leave(end.query.peer);
    pause_if_full();
    const auto self = shared_from_this(); // whom it is told to may let go of us
    finish(end);
}

void datagram_program::state::send_answer(answering& one) {
    const auto& text = one.answer->text();
    if (one.answer->is_too_long()) {
        one.end.query.why = serve::drop::too_long;
        return;
    }
    if (text.empty()) {
        return;
    }
    const auto sent = os::send_reply(one.socket->raw(), one.query, std::as_bytes(std::span{text}));
    if (!sent) {
        one.end.query.why = serve::drop::not_sent;
        one.end.query.failed = error{sent.error(), operation::send, side::system, one.query.from};
        return;
    }
    one.end.query.sent = *sent;
    ++counts.answered;
}

void datagram_program::state::leave(const ip::any_endpoint& client) {
    if (!door->asks_nothing()) {
        door->forget(ip::canonical(client));
    }
    door->give_back(at_door);
}

// Where the door says `refuse` instead, it has room as long as it is asked here.
void datagram_program::state::pause_if_full() {
    if (!stopped) {
        reader->pause(!door->has_room(at_door));
    }
}

void datagram_program::state::finish(const query_end& end) {
    if (end.query.why) {
        counts.dropped.count(*end.query.why);
    }
    if (tell) {
        tell(end);
    }
}

void datagram_program::state::stop_reading() {
    if (!std::exchange(stopped, true)) {
        reader->stop();
        sockets.clear(); // those that are to answer yet have theirs
    }
}

datagram_program::datagram_program(asio::any_io_executor executor, datagram_program_options options,
                                   std::shared_ptr<admission> door,
                                   std::span<const bound_socket> sockets, ended tell)
    : state_{std::make_shared<state>(std::move(executor), std::move(options), std::move(door),
                                     std::move(tell))} {
    state_->start(sockets);
}

datagram_program::~datagram_program() {
    state_->stop_reading();
    state_->door->leave(state_->at_door);
    for (const auto& each : state_->programs) {
        each.process->abandon();
        each.answer->finish();
    }
}

void datagram_program::drain() {
    state_->stop_reading();
}

void datagram_program::stop_now() {
    state_->stop_reading();
    for (const auto& each : state_->programs) {
        each.process->stop();
    }
}

std::size_t datagram_program::running() const noexcept {
    return state_->programs.size();
}

const program_counters& datagram_program::programs() const noexcept {
    return state_->host.counters;
}

datagram_counters datagram_program::counters() const noexcept {
    auto counts = state_->counts;
    counts.failed_reads = state_->reader->failed_reads();
    return counts;
}

} // namespace portico::run
