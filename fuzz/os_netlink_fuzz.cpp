// Any bytes as messages of rtnetlink(7): the parser stays inside them, and what it reads makes
// snapshots whose differences lead from one to the other.

#include "portico/os/netlink.hpp"

#include <cstdint>
#include <cstdlib>

using namespace portico;

namespace {

void demand(bool holds) {
    if (!holds) {
        std::abort();
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto bytes = std::as_bytes(std::span{data, size});
    const auto reply = os::parse_netlink(bytes);
    const auto half = os::parse_netlink(bytes.first(size / 2));
    demand(half.changes.size() <= reply.changes.size() || reply.malformed);

    os::snapshot before;
    for (const auto& each : half.changes) {
        before.apply(each);
    }
    os::snapshot after;
    for (const auto& each : reply.changes) {
        after.apply(each);
        demand(!std::holds_alternative<os::link_set>(each) || !after.apply(each));
    }
    demand(os::difference(after, after).empty());
    for (const auto& each : os::difference(before, after)) {
        before.apply(each);
    }
    demand(os::difference(before, after).empty());
    return 0;
}
