#include "portico/testkit/dns_server.hpp"

#include "dns_message.hpp"
#include "portico/os/clock.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace portico::testkit {
namespace {

constexpr std::size_t max_addresses = 16; // so that a reply fits into 512 bytes with any name

[[noreturn]] void fail(const std::string& what) {
    throw std::runtime_error{"dns server: " + what + ": " + std::strerror(errno)};
}

void check_services(const std::string& name, const dns_answer& said) {
    for (const auto& each : said.services) {
        if (!is_name(each.target)) {
            throw std::runtime_error{"dns server: '" + each.target + "' is no target for SRV " +
                                     name};
        }
    }
    // The header, the question and what surrounds it, as long as they will be.
    dns_question asked;
    asked.type = static_cast<std::uint16_t>(dns_type::srv);
    asked.bytes.resize(name.size() + 6);
    if (make_reply(asked, said).size() > 512) { // RFC 1035 section 4.2.1
        throw std::runtime_error{"dns server: the SRV records of " + name +
                                 " are longer than 512 bytes"};
    }
}

void check(const dns_script& script) {
    for (const auto& [question, said] : script) {
        if (question.second == dns_type::srv) {
            check_services(question.first, said);
            continue;
        }
        for (const auto& name : said.names) {
            if (!is_name(name)) {
                throw std::runtime_error{"dns server: '" + name + "' is no name for PTR " +
                                         question.first};
            }
        }
        if (said.addresses.size() > max_addresses) {
            throw std::runtime_error{"dns server: more than 16 addresses for " + question.first};
        }
        for (const auto& text : said.addresses) {
            if (!is_address_of(question.second, text)) {
                throw std::runtime_error{"dns server: '" + text + "' is no address for " +
                                         (question.second == dns_type::a ? "A " : "AAAA ") +
                                         question.first};
            }
        }
    }
}

std::uint16_t bind_to(int s, const std::string& address, std::uint16_t port) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    if (::inet_pton(AF_INET, address.c_str(), &at.sin_addr) != 1) {
        throw std::runtime_error{"dns server: '" + address + "' is no IPv4 address"};
    }
    socklen_t size = sizeof at;
    auto* const any = reinterpret_cast<sockaddr*>(&at);
    if (::bind(s, any, size) != 0 || ::getsockname(s, any, &size) != 0) {
        fail("bind to " + address + ":" + std::to_string(port));
    }
    return ntohs(at.sin_port);
}

dns_answer look_up(const dns_script& script, const dns_question& asked) {
    const auto said = script.find({asked.name, static_cast<dns_type>(asked.type)});
    if (said != script.end()) {
        return said->second;
    }
    const bool exists = std::any_of(script.begin(), script.end(), [&](const auto& each) {
        return each.first.first == asked.name;
    });
    return {.how = exists ? dns_answer::kind::addresses : dns_answer::kind::no_such_name};
}

struct waiting_reply {
    instant when;
    sockaddr_in to{};
    std::vector<std::byte> bytes;
};

// Milliseconds to the first of them, rounded up; -1 when there is none.
int time_to_first(const std::vector<waiting_reply>& waiting) {
    const auto first = std::min_element(waiting.begin(), waiting.end(),
                                        [](auto& a, auto& b) { return a.when < b.when; });
    if (first == waiting.end()) {
        return -1;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(first->when - os::now());
    return static_cast<int>(std::max<std::int64_t>(left.count(), 0));
}

void send_due(int s, std::vector<waiting_reply>& waiting) {
    const auto now = os::now();
    std::erase_if(waiting, [&](const waiting_reply& each) {
        if (each.when > now) {
            return false;
        }
        // A resolver that has gone is a lost packet, no failure.
        static_cast<void>(::sendto(s, each.bytes.data(), each.bytes.size(), MSG_NOSIGNAL,
                                   reinterpret_cast<const sockaddr*>(&each.to), sizeof each.to));
        return true;
    });
}

} // namespace

dns_server::dns_server(dns_script script, std::uint16_t port, const std::string& address)
    : socket_{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)},
      stop_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)}, script_{std::move(script)} {
    check(script_);
    if (!socket_ || !stop_) {
        fail("socket");
    }
    port_ = bind_to(socket_.raw(), address, port);
    thread_ = std::thread{[this] { serve(); }};
}

dns_server::~dns_server() {
    const std::uint64_t one = 1;
    static_cast<void>(!::write(stop_.raw(), &one, sizeof one));
    thread_.join();
}

std::vector<std::pair<std::string, dns_type>> dns_server::asked() const {
    const std::lock_guard guard{lock_};
    return asked_;
}

void dns_server::say(const std::pair<std::string, dns_type>& question, dns_answer answer) {
    check({{question, answer}});
    const std::lock_guard guard{lock_};
    script_[question] = std::move(answer);
}

void dns_server::serve() {
    std::vector<waiting_reply> waiting;
    std::array<std::byte, 1500> message{};
    for (;;) {
        std::array<pollfd, 2> watched{pollfd{socket_.raw(), POLLIN, 0},
                                      pollfd{stop_.raw(), POLLIN, 0}};
        ::poll(watched.data(), watched.size(), time_to_first(waiting));
        if (watched[1].revents != 0) {
            return;
        }
        send_due(socket_.raw(), waiting);
        waiting_reply reply;
        socklen_t size = sizeof reply.to;
        const auto got = ::recvfrom(socket_.raw(), message.data(), message.size(), 0,
                                    reinterpret_cast<sockaddr*>(&reply.to), &size);
        if (got <= 0) {
            continue;
        }
        const auto asked = read_question(std::span{message}.first(static_cast<std::size_t>(got)));
        if (!asked) {
            continue;
        }
        dns_answer said;
        {
            const std::lock_guard guard{lock_};
            said = look_up(script_, *asked);
            if (asked_.size() == max_asked) {
                asked_.erase(asked_.begin());
            }
            asked_.emplace_back(asked->name, static_cast<dns_type>(asked->type));
        }
        if (said.how != dns_answer::kind::silence && waiting.size() < max_waiting) {
            reply.when = os::now() + said.delay;
            reply.bytes = make_reply(*asked, said);
            waiting.push_back(std::move(reply));
        }
    }
}

} // namespace portico::testkit
