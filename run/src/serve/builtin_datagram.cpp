// The built-in services over datagrams: one query, at most one answer.

#include "portico/ip/canonical.hpp"
#include "portico/os/clock.hpp"
#include "portico/run/builtin.hpp"
#include "serve/datagram_reader.hpp"

#include <array>
#include <string>
#include <utility>

namespace portico::run {

struct datagram_service::state {
    using source = datagram_reader::source;

    state(serve::builtin which, const datagram_options& options, heard listening)
        : kind{which}, tell{std::move(listening)}, lengths{options.seed},
          bound{options.amplification_rate, options.amplification_burst, os::now()},
          access{options.access}, answers{options.broadcasts, options.multicasts} {}

    void handle_query(const source& from, os::datagram& query, std::span<const std::byte> bytes);
    void respond(const source& from, os::datagram& query, std::span<const std::byte> bytes,
                 datagram_end& end);
    std::span<const std::byte> answer_to(std::span<const std::byte> query, const datagram_end& end);

    serve::builtin kind;
    heard tell;
    serve::chargen_lengths lengths;
    serve::amplification_bound bound;
    const admit::access access;
    const heard_groups answers;
    datagram_counters counts; // but for failed_reads
    std::string text;         // of daytime and hello
    std::array<std::byte, 4> seconds{};
    std::shared_ptr<datagram_reader> reader;
};

void datagram_service::state::handle_query(const source& from, os::datagram& query,
                                           std::span<const std::byte> bytes) {
    ++counts.received;
    datagram_end end;
    end.local = asked_endpoint(query, from.at);
    end.peer = query.from;
    end.interface = query.interface;
    end.received = query.size;
    if (!access.allows(ip::canonical(query.from))) {
        end.why = serve::drop::denied;
    } else if (kind != serve::builtin::discard) {
        respond(from, query, bytes, end);
    }
    if (end.why) {
        counts.dropped.count(*end.why);
    }
    if (tell) {
        tell(end);
    }
}

// One who asked many gets an answer from each of them: all of it is more than what came.
void datagram_service::state::respond(const source& from, os::datagram& query,
                                      std::span<const std::byte> bytes, datagram_end& end) {
    end.why = serve::refuse(query.from, is_unheard(query, answers), port_of(from.at));
    if (end.why) {
        return;
    }
    if (const auto ours = choose_answer_address(query); ours && query.to_group) {
        end.local = ip::endpoint{*ours, port_of(from.at)};
    }
    const auto answer = answer_to(bytes, end);
    if (!bound.allow(query.to_group ? 0 : query.size, answer.size(), os::now())) {
        end.why = serve::drop::amplification;
        return;
    }
    const auto sent = os::send_reply(from.raw, query, answer);
    if (!sent) {
        end.why = serve::drop::not_sent;
        end.failed = error{sent.error(), operation::send, side::system, query.from};
        return;
    }
    end.sent = *sent;
    ++counts.answered;
}

std::span<const std::byte> datagram_service::state::answer_to(std::span<const std::byte> query,
                                                              const datagram_end& end) {
    switch (kind) {
    case serve::builtin::echo:
        return query;
    case serve::builtin::chargen:
        return std::as_bytes(std::span{serve::chargen_turn()}).first(lengths.next());
    case serve::builtin::daytime:
        text = serve::daytime_line(os::unix_time());
        return std::as_bytes(std::span{text});
    case serve::builtin::time:
        seconds = serve::time_bytes(os::unix_time());
        return seconds;
    case serve::builtin::hello:
        text = serve::hello_line(end.peer, end.local);
        return std::as_bytes(std::span{text});
    case serve::builtin::discard:
        break;
    }
    return {};
}

datagram_service::datagram_service(asio::any_io_executor executor,
                                   std::span<const bound_socket> sockets, serve::builtin kind,
                                   datagram_options options, heard tell)
    : state_{std::make_shared<state>(kind, options, std::move(tell))} {
    // Whom a query is told to may let go of us.
    state_->reader = std::make_shared<datagram_reader>(
        std::move(executor), [weak = std::weak_ptr{state_}](const auto& from, os::datagram& query,
                                                            std::span<std::byte> bytes) {
            if (const auto self = weak.lock()) {
                self->handle_query(from, query, bytes);
            }
        });
    state_->reader->start(sockets);
}

datagram_service::~datagram_service() {
    stop();
}

datagram_counters datagram_service::counters() const noexcept {
    auto counts = state_->counts;
    counts.failed_reads = state_->reader->failed_reads();
    return counts;
}

void datagram_service::stop() {
    state_->reader->stop();
}

} // namespace portico::run
