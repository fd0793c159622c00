// Any bytes as a datagram of a SOCKS 5 client: what is read is written again as it was, a header
// that is cut off is none, and a name that is handed on is one.

#include "portico/ip/canonical.hpp"
#include "portico/wire/proxy.hpp"
#include "portico/wire/socks5_datagram.hpp"

#include <algorithm>
#include <cstdlib>
#include <string>

using namespace portico;
using namespace portico::wire;

namespace {

void demand(bool holds) {
    if (!holds) {
        std::abort();
    }
}

std::vector<std::byte> written(const socks5_datagram& what) {
    std::vector<std::byte> made;
    std::visit([&](const auto& remote) { write_socks5_datagram_head(remote, made); }, what.remote);
    return made;
}

void check_name(const socks5_name& which) {
    const auto target = proxy_target::make(which.name, which.port);
    demand(target && std::holds_alternative<std::string>(target->host()));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto whole = std::as_bytes(std::span{data, size});
    const auto got = read_socks5_datagram(whole);
    if (!got) {
        demand(!to_text(got.error()).empty());
        return 0;
    }
    demand(got->data.size() < size && got->data.data() + got->data.size() == whole.data() + size);
    const auto head = whole.first(size - got->data.size());
    for (std::size_t part = 0; part < head.size(); ++part) {
        const auto cut = read_socks5_datagram(head.first(part));
        demand(!cut && cut.error() == socks5_datagram_drop::too_short);
    }
    const auto* name = std::get_if<socks5_name>(&got->remote);
    if (name != nullptr) {
        check_name(*name);
    }
    const auto again = written(*got);
    const bool is_the_same = std::equal(again.begin(), again.end(), head.begin(), head.end());
    const bool was_literal = name == nullptr && std::to_integer<unsigned>(head[3]) == 3;
    const auto* where = std::get_if<ip::endpoint>(&got->remote);
    const bool was_mapped = where != nullptr && where->address.is_v4_mapped();
    demand(is_the_same || was_literal || was_mapped);
    const auto back = read_socks5_datagram(again);
    demand(back && back->data.empty());
    if (where != nullptr) {
        demand(std::get<ip::endpoint>(back->remote) == ip::canonical(*where));
        demand(where->port != 0 && where->address.zone().empty());
    } else {
        demand(back->remote == got->remote);
    }
    return 0;
}
