#include "portico/wire/proxy_client.hpp"

namespace portico::wire {

proxy_result<proxy_client> proxy_client::make(const via& through, const proxy_target& target) {
    const auto wrapped = [](auto client) { return proxy_client{std::move(client)}; };
    return through.protocol == proxy_protocol::socks5
               ? socks5_client::make(target, through.who).map(wrapped)
               : http_connect_client::make(target, through.who).map(wrapped);
}

std::span<const std::byte> proxy_client::poll_output() const noexcept {
    return std::visit([](const auto& client) { return client.poll_output(); }, client_);
}

void proxy_client::handle_sent(std::size_t count) noexcept {
    std::visit([count](auto& client) { client.handle_sent(count); }, client_);
}

std::size_t proxy_client::handle_bytes(std::span<const std::byte> bytes) {
    return std::visit([bytes](auto& client) { return client.handle_bytes(bytes); }, client_);
}

void proxy_client::handle_eof() {
    std::visit([](auto& client) { client.handle_eof(); }, client_);
}

bool proxy_client::is_done() const noexcept {
    return std::visit([](const auto& client) { return client.is_done(); }, client_);
}

const std::optional<proxy_failure>& proxy_client::failure() const noexcept {
    return std::visit(
        [](const auto& client) -> const auto& { return client.failure(); }, client_);
}

} // namespace portico::wire
