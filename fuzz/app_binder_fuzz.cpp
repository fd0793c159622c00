// Any bytes as a request to a binder, and as its reply: what is read is written as the same bytes
// again, but for those that mean nothing, and has an address of one of the two families.

#include "app/guard/binder_message.hpp"

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
    if (const auto read = app::parse_binder_request(bytes)) {
        demand(read->length == sizeof(sockaddr_in) || read->length == sizeof(sockaddr_in6));
        demand(app::parse_binder_request(app::to_bytes(*read)) == read);
        static_cast<void>(read->port());
    }
    if (const auto read = app::parse_binder_reply(bytes)) {
        demand(app::parse_binder_reply(app::to_bytes(*read)) == read);
        demand(bytes.size() == app::to_bytes(*read).size());
    }
    return 0;
}
