// From the accepted client to the admitted one: who it is (the PROXY protocol), and whether it may
// come in.

#include "portico/ip/canonical.hpp"
#include "relay/loop.hpp"

#include <algorithm>

namespace portico::run {
namespace {

bool is_trusted(const proxy_in& by, const ip::any_endpoint& peer) {
    const auto* at = std::get_if<ip::endpoint>(&peer);
    return at == nullptr || // a UNIX socket
           std::any_of(by.trusted.begin(), by.trusted.end(),
                       [&](const auto& each) { return each.contains(at->address); });
}

bool says_who(const wire::proxy_header& header) {
    return header.command == wire::proxy_command::proxy &&
           !std::holds_alternative<std::monostate>(header.source);
}

} // namespace

void relay_engine::loop::greet(connection& c) {
    const auto& headers = settings_->headers_in;
    if (!headers) {
        return admit(c);
    }
    if (!is_trusted(*headers, client_of(c))) {
        return turn_away(c, relay_end::untrusted, "it is not trusted to send a PROXY header");
    }
    c.joining = std::make_unique<joining_state>();
    c.stage = phase::header;
    if (!watch(c, relay::end::client, tag::client)) {
        return finish(c, relay_end::no_memory, true, true);
    }
    wheel_.set_at_latest(c, deadline::after(c.began, headers->patience));
}

// All that there is; what follows the header is the client's, and is kept.
void relay_engine::loop::read_header(connection& c) {
    auto& so_far = c.joining->from_client;
    for (;;) {
        const auto got = calls::recv(c.at(relay::end::client).socket, scratch_);
        if (got == -EAGAIN) {
            return;
        }
        if (got < 0) {
            c.failure = static_cast<int>(-got);
            return finish(c, relay_end::client_failed, true, true);
        }
        if (got == 0) {
            return turn_away(c, relay_end::bad_header, "it ended within the PROXY header");
        }
        const auto bytes = std::span{scratch_}.first(static_cast<std::size_t>(got));
        so_far.insert(so_far.end(), bytes.begin(), bytes.end());
        auto reading = wire::read_proxy_header(so_far, settings_->headers_in->max_v2);
        if (auto* done = std::get_if<wire::proxy_header_complete>(&reading)) {
            return handle_header(c, std::move(*done));
        }
        if (auto* no = std::get_if<wire::proxy_header_refused>(&reading)) {
            return refuse_header(c, no->why, std::move(no->text));
        }
    }
}

void relay_engine::loop::handle_header(connection& c, wire::proxy_header_complete got) {
    auto& so_far = c.joining->from_client;
    so_far.erase(so_far.begin(), so_far.begin() + static_cast<std::ptrdiff_t>(got.size));
    if (so_far.size() > buffers_.size()) {
        // Only with a buffer smaller than the longest header.
        return finish(c, relay_end::no_memory, true, true);
    }
    c.said = std::make_unique<wire::proxy_header>(std::move(got.header));
    c.client_readable = true; // there may be more
    admit(c);
}

void relay_engine::loop::refuse_header(connection& c, wire::proxy_header_refusal why,
                                       std::string text) {
    counters_->bad_headers[static_cast<std::size_t>(why)].add();
    turn_away(c, relay_end::bad_header, "PROXY header: " + std::move(text));
}

// A proxy that speaks for itself, to see whether we are there, is no client.
void relay_engine::loop::admit(connection& c) {
    const bool is_proxy = c.said && c.said->command == wire::proxy_command::local;
    if (!door_->asks_nothing() && !is_proxy) {
        if (auto no = door_->refuse(now_, client_of(c))) {
            return turn_away(c, no->why, std::move(no->text));
        }
        c.is_admitted = true;
    }
    if (!c.joining) {
        c.joining = std::make_unique<joining_state>();
        if (!watch(c, relay::end::client, tag::client)) {
            return finish(c, relay_end::no_memory, true, true);
        }
    }
    begin_joining(c);
}

void relay_engine::loop::turn_away(connection& c, relay_end why, std::string text) {
    if (tell_) {
        if (!c.joining) {
            c.joining = std::make_unique<joining_state>();
        }
        c.joining->story = std::move(text);
    }
    finish(c, why, true, true);
}

// Its canonical address.
ip::any_endpoint relay_engine::loop::client_of(const connection& c) const {
    return ip::canonical(c.said && says_who(*c.said) ? c.said->source : c.peer.endpoint());
}

std::vector<std::byte> relay_engine::loop::header_for(const connection& c) const {
    wire::proxy_header header;
    if (c.said) {
        header = *c.said;
    } else {
        const auto local = os::getsockname(c.at(relay::end::client).socket);
        header.command = wire::proxy_command::proxy;
        header.transport = wire::proxy_transport::stream;
        header.source = ip::canonical(c.peer.endpoint());
        header.destination = local ? ip::canonical(*local) : ip::any_endpoint{};
        if (header.source.index() != header.destination.index()) {
            header.source = {}; // of a UNIX client nothing is known
            header.destination = {};
        }
    }
    header.version = *settings_->headers_out;
    const auto checksum = header.tlvs.find(wire::tlv_type::crc32c) ? wire::proxy_checksum::crc32c
                                                                   : wire::proxy_checksum::none;
    std::vector<std::byte> bytes;
    if (!wire::append_proxy_header(header, checksum, bytes)) {
        header = {}; // it cannot be said: then nothing is
        header.version = *settings_->headers_out;
        static_cast<void>(wire::append_proxy_header(header, wire::proxy_checksum::none, bytes));
    }
    return bytes;
}

} // namespace portico::run
