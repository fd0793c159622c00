#include "portico/race/race.hpp"

namespace portico::race {

void interleave(std::span<ip::destination> sorted, ip::family first, std::size_t lead_left) {
    std::vector<ip::destination> lead;
    std::vector<ip::destination> other;
    for (const auto& place : sorted) {
        (place.address.family() == first ? lead : other).push_back(place);
    }
    std::size_t from_lead = 0;
    std::size_t from_other = 0;
    bool turn_of_lead = true;
    for (auto& place : sorted) {
        const bool lead_is_out = from_lead == lead.size();
        const bool other_is_out = from_other == other.size();
        if (other_is_out || (turn_of_lead && !lead_is_out)) {
            place = lead[from_lead++];
            turn_of_lead = from_lead < lead_left;
        } else {
            place = other[from_other++];
            turn_of_lead = true;
        }
    }
}

} // namespace portico::race
