// Service names for ports, also where /etc/services is missing (RFC 6335).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace portico::ip {

enum class transport : std::uint8_t { tcp, udp };

// "tcp" or "udp".
[[nodiscard]] std::string_view to_text(transport which) noexcept;

// Names and aliases with their ports. Lookups fall back on the built-in table: the common services
// of the IANA registry, so that "http" works in a container without /etc/services.
class service_table {
public:
    // Only the built-in table.
    service_table() = default;
    // The text of an /etc/services file (services(5)) over the built-in table. Lines that cannot be
    // read are passed over; of several lines for one name the first counts, as in getservbyname(3).
    // Time: n log n in the text.
    [[nodiscard]] static service_table from_text(std::string_view text);

    // Names match without regard to case.
    [[nodiscard]] std::optional<std::uint16_t> port(std::string_view name, transport over) const;

private:
    std::map<std::pair<std::string, transport>, std::uint16_t> ports_;
};

} // namespace portico::ip
