// Targets that say who they are, and a client that listens.
#pragma once

#include "portico/os/socket.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <string>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace portico {

// Says its name, one byte, to whoever comes, and then sends back what it gets. A thread of its own.
class named_server {
public:
    named_server(char name, const std::string& address, std::uint16_t port = 0)
        : name_{name}, stop_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {
        const ip::endpoint at{ip::parse_address(address).value(), port};
        listener_ = os::socket(at, ip::transport::tcp).value();
        EXPECT_TRUE(os::set_reuse_address(listener_, true));
        EXPECT_TRUE(os::bind(listener_, at) && os::listen(listener_, 1000)) << address;
        at_ = std::get<ip::endpoint>(os::getsockname(listener_.raw()).value());
        thread_ = std::thread{[this] { serve(); }};
    }
    named_server(const named_server&) = delete;
    named_server& operator=(const named_server&) = delete;
    ~named_server() {
        const std::uint64_t one = 1;
        static_cast<void>(!::write(stop_.raw(), &one, sizeof one));
        thread_.join();
    }

    [[nodiscard]] std::uint16_t port() const { return at_.port; }
    [[nodiscard]] std::string text() const { return ip::to_text(at_); }
    [[nodiscard]] unsigned accepted() const { return accepted_; }

private:
    void serve() {
        std::vector<os::fd> clients;
        for (;;) {
            std::vector<pollfd> watched{{stop_.raw(), POLLIN, 0}, {listener_.raw(), POLLIN, 0}};
            for (const auto& each : clients) {
                watched.push_back({each.raw(), POLLIN, 0});
            }
            ::poll(watched.data(), watched.size(), -1);
            if (watched[0].revents != 0) {
                return;
            }
            for (std::size_t i = clients.size(); i-- > 0;) {
                if (watched[i + 2].revents != 0 && !answer(clients[i])) {
                    clients.erase(clients.begin() + static_cast<std::ptrdiff_t>(i));
                }
            }
            if (watched[1].revents != 0) {
                while (auto got = os::accept4(listener_.raw())) {
                    ++accepted_;
                    static_cast<void>(::send(got->socket.raw(), &name_, 1, MSG_NOSIGNAL));
                    clients.push_back(std::move(got->socket));
                }
            }
        }
    }
    static bool answer(const os::fd& client) {
        std::array<char, 4096> bytes{};
        const auto size = ::recv(client.raw(), bytes.data(), bytes.size(), 0);
        return size > 0 && ::send(client.raw(), bytes.data(), static_cast<std::size_t>(size),
                                  MSG_NOSIGNAL) == size;
    }

    char name_;
    os::fd stop_;
    os::fd listener_;
    ip::endpoint at_;
    std::atomic<unsigned> accepted_{0};
    std::thread thread_;
};

// A client of a relay before such servers.
class named_client {
public:
    // Who answers; '-' when the connection fails.
    explicit named_client(const ip::endpoint& relay)
        : socket_{os::socket(relay, ip::transport::tcp).value()} {
        ::fcntl(socket_.raw(), F_SETFL, 0);
        if (!os::connect(socket_, relay) || ::recv(socket_.raw(), &who_, 1, 0) != 1) {
            who_ = '-';
        }
    }
    [[nodiscard]] char who() const { return who_; }
    // Whether a byte goes there and comes back.
    [[nodiscard]] bool works() const {
        char byte = '?';
        return ::send(socket_.raw(), "x", 1, MSG_NOSIGNAL) == 1 &&
               ::recv(socket_.raw(), &byte, 1, 0) == 1 && byte == 'x';
    }

private:
    os::fd socket_;
    char who_ = '-';
};

} // namespace portico
