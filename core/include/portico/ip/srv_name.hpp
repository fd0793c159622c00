// The name under which a domain says where a service of it is.
#pragma once

#include "portico/ip/service.hpp"
#include "portico/ip/text_error.hpp"

#include <string>
#include <string_view>

namespace portico::ip {

// "_imap._tcp.example.org" (RFC 2782): a service, a protocol, a domain.
struct srv_name {
    std::string text; // whole, as written, without a final dot
    transport over = transport::tcp;

    friend bool operator==(const srv_name&, const srv_name&) = default;
};

// Reads one. Labels have letters, digits, '-' and '_', 1 to 63 of them; the whole has at most 253.
// The second is "_tcp" or "_udp".
[[nodiscard]] text_result<srv_name> parse_srv_name(std::string_view text);

} // namespace portico::ip
