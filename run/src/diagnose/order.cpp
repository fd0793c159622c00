// The order in which a program tries the addresses of a name.

#include "dial/sources.hpp"
#include "portico/run/diagnose.hpp"

namespace portico::run {

std::vector<ip::address> in_dial_order(const std::vector<ip::address>& all, std::uint16_t port) {
    source_finder sources{std::nullopt};
    std::vector<ip::destination> places;
    for (const auto& each : all) {
        places.push_back({each, sources.find({each, port})});
    }
    ip::sort_destinations(places);
    std::vector<ip::address> sorted;
    for (const auto& each : places) {
        sorted.push_back(each.address);
    }
    return sorted;
}

} // namespace portico::run
