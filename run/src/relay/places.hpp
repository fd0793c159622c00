// Where a target is now: its name resolved, with the way to each address.
#pragma once

#include "dial/target.hpp"
#include "portico/run/relay_targets.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace portico::run {

namespace asio = boost::asio;

// The addresses of one family are good enough when the other question failed.
struct found_places {
    std::vector<target_place> places;
    std::string why_none; // for a person, when there is none
};

// Asks for all addresses of a target, of the families that it may have; `done` is called on the
// executor, not within this call, ten seconds later at most. `from`: the local address of the
// connections.
void find_places(const asio::any_io_executor& executor, const dial_target& target,
                 std::optional<ip::address> from, std::function<void(found_places)> done);

// Whether its places are the same forever.
[[nodiscard]] bool is_settled(const dial_target& target);

} // namespace portico::run
