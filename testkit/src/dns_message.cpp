#include "dns_message.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include <arpa/inet.h>

namespace portico::testkit {
namespace {

constexpr std::size_t header_size = 12; // RFC 1035 section 4.1.1

unsigned number_at(std::span<const std::byte> bytes, std::size_t at) {
    return (std::to_integer<unsigned>(bytes[at]) << 8) | std::to_integer<unsigned>(bytes[at + 1]);
}

void append(std::vector<std::byte>& to, unsigned number) {
    to.push_back(static_cast<std::byte>((number >> 8) & 0xff));
    to.push_back(static_cast<std::byte>(number & 0xff));
}

// RFC 1035 section 4.1.2: labels, each after its length, up to the empty one. A question comes
// first in a message, so its name is never compressed. Returns where the name ends.
std::optional<std::size_t> read_name(std::span<const std::byte> message, std::string& name) {
    std::size_t at = header_size;
    while (at < message.size()) {
        const auto size = std::to_integer<std::size_t>(message[at++]);
        if (size == 0) {
            return at;
        }
        if (size > 63 || at + size > message.size()) {
            return std::nullopt;
        }
        name += name.empty() ? "" : ".";
        for (const auto byte : message.subspan(at, size)) {
            name += static_cast<char>(std::tolower(std::to_integer<int>(byte)));
        }
        at += size;
    }
    return std::nullopt;
}

// RFC 1035 section 4.1.1, RCODE.
unsigned code_of(dns_answer::kind how) {
    switch (how) {
    case dns_answer::kind::server_failure:
        return 2;
    case dns_answer::kind::no_such_name:
        return 3;
    case dns_answer::kind::refused:
        return 5;
    case dns_answer::kind::addresses:
    case dns_answer::kind::silence:
        break;
    }
    return 0;
}

// RFC 1035 section 4.1.2, not compressed: RFC 2782 forbids it for a target.
void append_name(std::vector<std::byte>& to, const std::string& name) {
    for (std::size_t at = 0; name != "." && at < name.size();) {
        const auto dot = std::min(name.find('.', at), name.size());
        to.push_back(static_cast<std::byte>(dot - at));
        for (; at < dot; ++at) {
            to.push_back(static_cast<std::byte>(name[at]));
        }
        ++at;
    }
    to.push_back(std::byte{0});
}

// The address in network order, 4 or 16 bytes; empty when it cannot be read.
std::span<const std::byte> read_address(unsigned type, const std::string& text,
                                        std::array<std::byte, 16>& into) {
    const bool v6 = type == static_cast<unsigned>(dns_type::aaaa);
    const bool done = ::inet_pton(v6 ? AF_INET6 : AF_INET, text.c_str(), into.data()) == 1;
    return std::span{into}.first(done ? (v6 ? 16 : 4) : 0);
}

std::vector<std::vector<std::byte>> record_data(const dns_question& asked, const dns_answer& said) {
    std::vector<std::vector<std::byte>> made;
    if (said.how != dns_answer::kind::addresses) {
        return made;
    }
    if (asked.type == static_cast<unsigned>(dns_type::srv)) {
        for (const auto& each : said.services) {
            auto& data = made.emplace_back();
            append(data, each.priority);
            append(data, each.weight);
            append(data, each.port);
            append_name(data, each.target);
        }
        return made;
    }
    if (asked.type == static_cast<unsigned>(dns_type::ptr)) {
        for (const auto& each : said.names) {
            append_name(made.emplace_back(), each);
        }
        return made;
    }
    for (const auto& each : said.addresses) {
        std::array<std::byte, 16> address{};
        const auto data = read_address(asked.type, each, address);
        made.emplace_back(data.begin(), data.end());
    }
    return made;
}

} // namespace

std::optional<dns_question> read_question(std::span<const std::byte> message) {
    if (message.size() < header_size) {
        return std::nullopt;
    }
    const auto flags = number_at(message, 2);
    const bool query = (flags & 0xf800) == 0; // QR and OPCODE
    if (!query || number_at(message, 4) != 1) {
        return std::nullopt;
    }
    dns_question asked;
    asked.id = static_cast<std::uint16_t>(number_at(message, 0));
    asked.recursion_desired = (flags & 0x0100) != 0;
    const auto end = read_name(message, asked.name);
    if (!end || *end + 4 > message.size()) {
        return std::nullopt;
    }
    asked.type = static_cast<std::uint16_t>(number_at(message, *end));
    const auto section = message.subspan(header_size, *end + 4 - header_size);
    asked.bytes.assign(section.begin(), section.end());
    return asked;
}

std::vector<std::byte> make_reply(const dns_question& asked, const dns_answer& said) {
    constexpr unsigned response = 0x8000;
    constexpr unsigned recursion_available = 0x0080;
    constexpr unsigned name_of_the_question = 0xc00c; // RFC 1035 section 4.1.4
    constexpr unsigned internet = 1;
    const auto records = record_data(asked, said);
    std::vector<std::byte> reply;
    append(reply, asked.id);
    append(reply, response | (asked.recursion_desired ? 0x0100U : 0U) | recursion_available |
                      code_of(said.how));
    append(reply, 1);
    append(reply, static_cast<unsigned>(records.size()));
    append(reply, 0);
    append(reply, 0);
    reply.insert(reply.end(), asked.bytes.begin(), asked.bytes.end());
    for (const auto& data : records) {
        append(reply, name_of_the_question);
        append(reply, asked.type);
        append(reply, internet);
        append(reply, said.lifetime >> 16);
        append(reply, said.lifetime & 0xffff);
        append(reply, static_cast<unsigned>(data.size()));
        reply.insert(reply.end(), data.begin(), data.end());
    }
    return reply;
}

bool is_name(const std::string& text) {
    if (text == ".") {
        return true;
    }
    for (std::size_t at = 0; at <= text.size();) {
        const auto dot = std::min(text.find('.', at), text.size());
        if (dot == at || dot - at > 63) {
            return false;
        }
        at = dot + 1;
    }
    return text.size() <= 253;
}

bool is_address_of(dns_type type, const std::string& text) {
    std::array<std::byte, 16> address{};
    return !read_address(static_cast<unsigned>(type), text, address).empty();
}

} // namespace portico::testkit
