// Any bytes as an HTTP proxy's answer, cut in any way: the client ends the same way as when they
// come in one piece, takes nothing after the answer, and says nothing that is not printable. The
// same bytes as the text of --via, which reads back what it shows.

#include "portico/wire/http_connect_client.hpp"
#include "portico/wire/proxy_client.hpp"

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
    std::string failure;

    friend bool operator==(const ending&, const ending&) = default;
};

// `cuts`: sizes of the pieces, one after the other, over and over; empty: one piece.
ending play(std::span<const std::byte> answer, std::span<const std::uint8_t> cuts) {
    const auto target = wire::proxy_target::make("example.org", 80);
    auto client = wire::http_connect_client::make(target.value(), std::nullopt).value();
    client.handle_sent(client.poll_output().size());
    ending made;
    for (std::size_t turn = 0; made.taken < answer.size(); ++turn) {
        const auto rest = answer.subspan(made.taken);
        const std::size_t wanted = cuts.empty() ? rest.size() : cuts[turn % cuts.size()] % 32 + 1U;
        const auto piece = rest.first(std::min(wanted, rest.size()));
        const auto used = client.handle_bytes(piece);
        demand(used <= piece.size());
        made.taken += used;
        if (used < piece.size()) {
            demand(client.is_done() || client.failure());
            break;
        }
    }
    client.handle_eof();
    demand(client.is_done() != client.failure().has_value());
    demand(client.handle_bytes(answer) == 0 && client.poll_output().empty());
    made.done = client.is_done();
    made.failure = client.failure() ? client.failure()->text : "";
    return made;
}

void check_answer(std::span<const std::byte> answer, std::span<const std::uint8_t> cuts) {
    const auto whole = play(answer, {});
    demand(whole == play(answer, cuts));
    demand(whole.taken <= wire::http_connect_client::max_head + 1);
    demand(whole.failure.size() < 400);
    for (const char c : whole.failure) {
        demand(c >= ' ' && c < '\x7f');
    }
    if (whole.done) {
        demand(std::to_integer<char>(answer[whole.taken - 1]) == '\n');
        demand(play(answer.first(whole.taken), {}) == whole);
        demand(!play(answer.first(whole.taken - 1), {}).done);
    }
}

void check_via(std::string_view text) {
    const auto made = wire::parse_via(text);
    if (!made) {
        demand(made.error().at <= text.size() && made.error().length >= 1);
        demand(!made.error().what.empty());
        demand(!ip::explain(text, made.error()).empty());
        return;
    }
    auto shown = *made;
    shown.who.reset();
    const auto again = wire::parse_via(wire::to_text(*made));
    demand(again.has_value() && *again == shown);
    const auto client = wire::proxy_client::make(*made, wire::proxy_target::make("a", 1).value());
    demand(client.has_value() || made->who.has_value());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 1) {
        return 0;
    }
    const std::span all{data + 1, size - 1};
    const auto cuts = all.first(std::min<std::size_t>(data[0] % 8U, all.size()));
    const auto answer = std::as_bytes(all.subspan(cuts.size()));
    check_answer(answer, cuts);
    std::string text;
    for (const auto byte : answer) {
        text += std::to_integer<char>(byte);
    }
    check_via(text);
    return 0;
}
