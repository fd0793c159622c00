// Any bytes as a SOCKS 5 proxy's answer, cut in any way: the client ends the same way as when they
// come in one piece, takes nothing after the answer, and says nothing that is not printable.

#include "portico/wire/socks5_client.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>

using namespace portico;

namespace {

void demand(bool holds) {
    if (!holds) {
        std::abort();
    }
}

struct ending {
    bool done = false;
    std::size_t taken = 0;
    std::string said;
    std::string failure;

    friend bool operator==(const ending&, const ending&) = default;
};

void take_output(wire::socks5_client& client, std::size_t at_once, ending& into) {
    while (!client.poll_output().empty()) {
        const auto part = client.poll_output();
        const auto count = std::min(part.size(), at_once);
        for (const auto byte : part.first(count)) {
            into.said += std::to_integer<char>(byte);
        }
        client.handle_sent(count);
    }
}

// `cuts`: sizes of the pieces, one after the other, over and over; empty: one piece.
ending play(std::span<const std::byte> answer, std::span<const std::uint8_t> cuts, bool with_user) {
    const auto target = wire::proxy_target::make("example.org", 80);
    const auto who = with_user ? std::optional{wire::credentials{"jane", "secret"}} : std::nullopt;
    auto client = wire::socks5_client::make(target.value(), who).value();
    ending made;
    take_output(client, 3, made);
    for (std::size_t turn = 0; made.taken < answer.size(); ++turn) {
        const auto rest = answer.subspan(made.taken);
        const std::size_t wanted = cuts.empty() ? rest.size() : cuts[turn % cuts.size()] % 8 + 1U;
        const auto piece = rest.first(std::min(wanted, rest.size()));
        const auto used = client.handle_bytes(piece);
        demand(used <= piece.size());
        made.taken += used;
        take_output(client, 3, made);
        if (used < piece.size()) {
            demand(client.is_done() || client.failure());
            break;
        }
    }
    client.handle_eof();
    demand(client.is_done() != client.failure().has_value());
    if (client.failure()) {
        made.said.clear(); // a failure takes back what was not yet sent, so it hangs on the cuts
    }
    demand(client.handle_bytes(answer) == 0 && client.poll_output().empty());
    made.done = client.is_done();
    made.failure = client.failure() ? client.failure()->text : "";
    return made;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) {
        return 0;
    }
    const bool with_user = (data[0] & 1U) != 0;
    const std::span all{data + 2, size - 2};
    const auto cuts = all.first(std::min<std::size_t>(data[1] % 8U, all.size()));
    const auto answer = std::as_bytes(all.subspan(cuts.size()));

    const auto whole = play(answer, {}, with_user);
    demand(whole == play(answer, cuts, with_user));
    demand(whole.said.size() < 600 && whole.failure.size() < 200);
    demand(whole.taken <= 2 + 2 + 262);
    demand(whole.failure.find("secret") == std::string::npos);
    for (const char c : whole.failure) {
        demand(c >= ' ' && c < '\x7f');
    }
    if (whole.done) {
        // What was taken is the whole answer, so it opens the tunnel alone.
        auto alone = play(answer.first(whole.taken), {}, with_user);
        demand(alone == whole);
        demand(!play(answer.first(whole.taken - 1), {}, with_user).done);
    }
    return 0;
}
