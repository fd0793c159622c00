#include "portico/serve/name_cache.hpp"

#include <utility>

namespace portico::serve {

std::optional<std::string> name_cache::find(instant now, const ip::address& who) {
    const auto found = places_.find(who);
    if (found == places_.end()) {
        return std::nullopt;
    }
    const auto place = found->second;
    if (place->until.has_passed(now)) {
        places_.erase(found);
        order_.erase(place);
        return std::nullopt;
    }
    order_.splice(order_.begin(), order_, place);
    return place->name;
}

void name_cache::keep(instant now, const ip::address& who, std::string name) {
    const auto until = deadline::after(now, name.empty() ? how_.none : how_.known);
    if (const auto found = places_.find(who); found != places_.end()) {
        order_.erase(found->second);
        places_.erase(found);
    }
    if (how_.capacity == 0) {
        return;
    }
    if (order_.size() == how_.capacity) {
        places_.erase(order_.back().who);
        order_.pop_back();
    }
    order_.push_front({who, std::move(name), until});
    places_.emplace(who, order_.begin());
}

} // namespace portico::serve
