// Any bytes as a SOCKS 5 client's, cut in any way: the server ends the same way as when they come
// in one piece, takes nothing after the request, asks only for what can be dialled, and says
// nothing that is not printable. Our own client, asked for the same, is served.

#include "portico/wire/socks5_client.hpp"
#include "portico/wire/socks5_server.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

using namespace portico;
using namespace portico::wire;

namespace {

void demand(bool holds) {
    if (!holds) {
        std::abort();
    }
}

struct choice {
    socks5_offer offer;
    bool accepts = true; // credentials
    socks5_reply opens = socks5_reply::succeeded;

    explicit choice(std::uint8_t bits)
        : offer{.no_authentication = (bits & 1U) != 0,
                .password = (bits & 2U) != 0,
                .udp = (bits & 4U) != 0},
          accepts{(bits & 8U) != 0}, opens{static_cast<socks5_reply>((bits >> 4U) % 9U)} {}
};

struct ending {
    bool done = false;
    std::size_t taken = 0;
    std::string said;
    std::string refusal;
    std::optional<credentials> who;
    std::optional<proxy_target> wants;
    bool is_connect = false;

    friend bool operator==(const ending&, const ending&) = default;
};

void take_output(socks5_server& server, std::size_t at_once, ending& into) {
    while (!server.poll_output().empty()) {
        const auto part = server.poll_output();
        const auto count = std::min(part.size(), at_once);
        for (const auto byte : part.first(count)) {
            into.said += std::to_integer<char>(byte);
        }
        server.handle_sent(count);
    }
}

const ip::endpoint bound{ip::address::v4(192, 0, 2, 9), 4000};

// Whether there was a question.
bool answer(socks5_server& server, const choice& how, ending& into) {
    if (const auto* who = server.poll_credentials()) {
        demand(!who->user.empty() && who->user.size() <= 255 && who->password.size() <= 255);
        into.who = *who;
        server.handle_credentials(how.accepts);
        return true;
    }
    if (const auto* wants = server.poll_request()) {
        into.wants = wants->to;
        into.is_connect = wants->command == socks5_command::connect;
        demand(how.offer.udp || into.is_connect);
        if (how.opens == socks5_reply::succeeded) {
            server.handle_opened(bound);
        } else {
            server.handle_not_opened(how.opens);
        }
        return true;
    }
    return false;
}

// `cuts`: sizes of the pieces, one after the other, over and over; empty: one piece.
ending play(std::span<const std::byte> client, std::span<const std::uint8_t> cuts,
            const choice& how) {
    socks5_server server{how.offer};
    ending made;
    for (std::size_t turn = 0; made.taken < client.size(); ++turn) {
        const auto rest = client.subspan(made.taken);
        const std::size_t wanted = cuts.empty() ? rest.size() : cuts[turn % cuts.size()] % 8 + 1U;
        const auto piece = rest.first(std::min(wanted, rest.size()));
        const auto used = server.handle_bytes(piece);
        demand(used <= piece.size());
        made.taken += used;
        const bool was_asked = answer(server, how, made);
        take_output(server, 3, made);
        if (used < piece.size() && !was_asked) {
            demand(server.is_done() || server.refusal());
            break;
        }
    }
    server.handle_eof();
    demand(server.is_done() != server.refusal().has_value());
    take_output(server, 3, made);
    demand(server.handle_bytes(client) == 0 && server.poll_output().empty());
    demand(!server.poll_credentials() && !server.poll_request());
    made.done = server.is_done();
    if (server.refusal()) {
        made.refusal = std::string{to_text(server.refusal()->why)} + ": " + server.refusal()->text;
    }
    return made;
}

void serve_our_client(const ending& like, const choice& how) {
    auto client = socks5_client::make(*like.wants, like.who).value();
    socks5_server server{how.offer};
    ending made;
    for (int turn = 0; turn < 6; ++turn) {
        const auto output = client.poll_output();
        client.handle_sent(server.handle_bytes(output));
        answer(server, how, made);
        const auto said = server.poll_output();
        server.handle_sent(client.handle_bytes(said));
    }
    demand(client.is_done() && server.is_done());
    demand(made.wants == like.wants && made.who == like.who);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) {
        return 0;
    }
    const choice how{data[0]};
    const std::span all{data + 2, size - 2};
    const auto cuts = all.first(std::min<std::size_t>(data[1] % 8U, all.size()));
    const auto client = std::as_bytes(all.subspan(cuts.size()));

    const auto whole = play(client, {}, how);
    demand(whole == play(client, cuts, how));
    demand(whole.taken <= socks5_server::most_bytes && whole.said.size() <= 2 + 2 + 10);
    demand(whole.refusal.size() < 500);
    for (const char c : whole.refusal) {
        demand(c >= ' ' && c < '\x7f');
    }
    if (whole.wants) {
        if (const auto* name = std::get_if<std::string>(&whole.wants->host())) {
            demand(proxy_target::make(*name, whole.wants->port()).value() == *whole.wants);
        }
        demand(!whole.is_connect || whole.wants->port() != 0);
    }
    if (whole.done) {
        // What was taken is the whole request, so it is served alone.
        demand(play(client.first(whole.taken), {}, how) == whole);
        demand(!play(client.first(whole.taken - 1), {}, how).done);
        if (whole.is_connect) {
            serve_our_client(whole, how);
        }
    }
    return 0;
}
