#include "portico/ip/any_endpoint.hpp"

namespace portico::ip {

std::string to_text(const any_endpoint& which) {
    if (const auto* at = std::get_if<endpoint>(&which)) {
        return to_text(*at);
    }
    const auto* name = std::get_if<unix_name>(&which);
    return name != nullptr ? to_text(*name) : std::string{};
}

} // namespace portico::ip
