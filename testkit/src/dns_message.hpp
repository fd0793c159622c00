// The few DNS messages that the scripted server knows (RFC 1035 section 4).
#pragma once

#include "portico/testkit/dns_server.hpp"

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace portico::testkit {

struct dns_question {
    std::uint16_t id = 0;
    bool recursion_desired = false;
    std::string name;             // lower case, without a final dot
    std::uint16_t type = 0;       // as asked, known or not
    std::vector<std::byte> bytes; // the question section as it came, to be repeated in the reply
};

// nullopt when this is no query with one question.
[[nodiscard]] std::optional<dns_question> read_question(std::span<const std::byte> message);

// The reply. Precondition: the answer is not silence, and its addresses and names can be
// read.
[[nodiscard]] std::vector<std::byte> make_reply(const dns_question& asked, const dns_answer& said);

// Whether the text can be a name: labels of 1 to 63 bytes, 253 at most; or "." alone.
[[nodiscard]] bool is_name(const std::string& text);

// Whether the text is an address that an answer of this type may have.
[[nodiscard]] bool is_address_of(dns_type type, const std::string& text);

} // namespace portico::testkit
