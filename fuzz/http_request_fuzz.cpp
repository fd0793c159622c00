// Any bytes as an HTTP request: however much of it is there, what is said of it does not change any
// more once it is said, a path is one, and what is beyond the head does not count.

#include "portico/wire/http_request.hpp"

#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace portico;

namespace {

void demand(bool holds) {
    if (!holds) {
        std::abort();
    }
}

using state = wire::http_request::state;

void check(std::string_view text) {
    const auto whole = wire::read_http_request(text);
    if (whole.is == state::get) {
        demand(whole.path.starts_with('/') && whole.path.find('?') == std::string_view::npos);
        demand(whole.path.data() >= text.data() &&
               whole.path.data() + whole.path.size() <= text.data() + text.size());
    } else {
        demand(whole.path.empty());
    }
    demand(whole.is != state::incomplete || text.size() < wire::http_request::max_size);
    for (std::size_t size = 0; size < text.size() && size < 1024; ++size) {
        const auto part = wire::read_http_request(text.substr(0, size));
        demand(part.is == state::incomplete || part.is == whole.is);
        demand(part.is == state::incomplete || part.path == whole.path);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    check({reinterpret_cast<const char*>(data), size});
    return 0;
}
