// Messages of netlink(7) and their attributes, bounds checked: any bytes are safe.
#pragma once

#include "portico/ip/address.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <linux/netlink.h>
#include <optional>
#include <span>
#include <string>

namespace portico::os {

using bytes_view = std::span<const std::byte>;

// Where what follows so many bytes begins; attributes are aligned in the same way.
[[nodiscard]] constexpr std::size_t netlink_aligned(std::size_t size) noexcept {
    return (size + NLMSG_ALIGNTO - 1) & ~std::size_t{NLMSG_ALIGNTO - 1};
}

// The first bytes as a value; nullopt when there are too few.
template <class T>
[[nodiscard]] std::optional<T> leading(bytes_view bytes) noexcept {
    T value{};
    if (bytes.size() < sizeof value) {
        return std::nullopt;
    }
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
}

[[nodiscard]] inline bytes_view after(bytes_view bytes, std::size_t size) noexcept {
    return bytes.subspan(std::min(bytes.size(), netlink_aligned(size)));
}

// Calls `see(type, payload)` for each attribute. False when a length points out of the bytes.
template <class See>
bool each_attribute(bytes_view bytes, See see) {
    while (bytes.size() >= sizeof(nlattr)) {
        const auto header = *leading<nlattr>(bytes);
        if (header.nla_len < sizeof header || header.nla_len > bytes.size()) {
            return false;
        }
        const auto whole = bytes.first(header.nla_len);
        see(header.nla_type & NLA_TYPE_MASK, whole.subspan(netlink_aligned(sizeof header)));
        bytes = after(bytes, header.nla_len);
    }
    return true;
}

// Up to the first zero.
[[nodiscard]] inline std::string netlink_text(bytes_view bytes) {
    const auto end = std::find(bytes.begin(), bytes.end(), std::byte{0});
    std::string text;
    std::transform(bytes.begin(), end, std::back_inserter(text),
                   [](std::byte each) { return static_cast<char>(each); });
    return text;
}

// The address in an attribute, as many bytes as the family has; nullopt when there are too few.
[[nodiscard]] inline std::optional<ip::address> netlink_address(bytes_view bytes, bool v6) {
    if (!v6) {
        const auto raw = leading<ip::address::v4_bytes>(bytes);
        return raw ? std::optional{ip::address::v4(*raw)} : std::nullopt;
    }
    const auto raw = leading<ip::address::v6_bytes>(bytes);
    return raw ? std::optional{ip::address::v6(*raw)} : std::nullopt;
}

// How one buffer of messages went.
struct netlink_state {
    bool done = false;        // NLMSG_DONE: the dump is complete
    bool interrupted = false; // NLM_F_DUMP_INTR: things changed during the dump, do it again
    bool malformed = false;   // a length pointed out of the buffer; what came before is kept
    int error = 0;            // errno of an NLMSG_ERROR or of NLMSG_DONE, 0 for none
};

// The number behind NLMSG_ERROR or NLMSG_DONE as an errno.
[[nodiscard]] inline int netlink_errno(bytes_view body, int otherwise) noexcept {
    return -std::clamp(leading<int>(body).value_or(otherwise), -4095, 0);
}

// Calls `see(header, body)` for each message of this sequence (0: of any) that is no NLMSG_DONE or
// NLMSG_ERROR; it says whether the message could be read.
template <class See>
[[nodiscard]] netlink_state each_message(bytes_view bytes, std::uint32_t sequence, See see) {
    netlink_state state;
    while (!bytes.empty() && !state.done && state.error == 0) {
        const auto header = leading<nlmsghdr>(bytes);
        if (!header || header->nlmsg_len < sizeof *header || header->nlmsg_len > bytes.size()) {
            state.malformed = true;
            break;
        }
        if (sequence == 0 || header->nlmsg_seq == sequence) {
            state.interrupted |= (header->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
            const auto body =
                bytes.first(header->nlmsg_len).subspan(netlink_aligned(sizeof *header));
            bool read = true;
            if (header->nlmsg_type == NLMSG_DONE) {
                state.done = true;
                state.error = netlink_errno(body, 0);
            } else if (header->nlmsg_type == NLMSG_ERROR) {
                state.error = netlink_errno(body, -EPROTO);
                read = body.size() >= sizeof(int);
            } else {
                read = see(*header, body);
            }
            if (!read) {
                state.malformed = true;
                break;
            }
        }
        bytes = after(bytes, header->nlmsg_len);
    }
    return state;
}

} // namespace portico::os
