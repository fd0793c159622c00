// For tests of tunnel clients: feeds a client what a proxy says, cut in any way.
#pragma once

#include "portico/wire/proxy_client.hpp"

#include <algorithm>
#include <string>
#include <string_view>

namespace portico::wire::test {

inline std::string text_of(std::span<const std::byte> bytes) {
    std::string made;
    for (const auto byte : bytes) {
        made += std::to_integer<char>(byte);
    }
    return made;
}

inline std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span{text});
}

// Takes all output, at most `at_once` bytes at a time.
template <tunnel_client T>
std::string take_output(T& client, std::size_t at_once = 4096) {
    std::string taken;
    while (!client.poll_output().empty()) {
        const auto part =
            client.poll_output().first(std::min(at_once, client.poll_output().size()));
        taken += text_of(part);
        client.handle_sent(part.size());
    }
    return taken;
}

// What the client left of `text` when it came in pieces of `at_once` bytes; its output is taken in
// between and appended to `said`.
template <tunnel_client T>
std::string feed(T& client, std::string_view text, std::size_t at_once, std::string& said) {
    said += take_output(client);
    while (!text.empty()) {
        const auto piece = text.substr(0, at_once);
        const auto used = client.handle_bytes(bytes_of(piece));
        text.remove_prefix(used);
        said += take_output(client);
        if (used < piece.size()) {
            break;
        }
    }
    return std::string{text};
}

} // namespace portico::wire::test
