// Any bytes as XDR values: what decodes encodes to the same bytes, nothing after the value changes
// it, and what does not decode is told with a place in the bytes.

#include "../core/src/xdr/sample_types.hpp"
#include "portico/xdr/decode.hpp"
#include "portico/xdr/encode.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>

using namespace portico;
using namespace portico::xdr;

namespace {

void demand(bool holds) {
    if (!holds) {
        std::abort();
    }
}

void look_at(const codec_error& no, std::size_t size) {
    demand(no.at <= size && !to_text(no.what).empty());
    demand(no.what != fault::no_room && no.what != fault::no_memory);
    for (const char c : to_text(no)) {
        demand(c >= ' ' && c < '\x7f');
    }
}

template <class T>
void read_as(std::span<const std::byte> all) {
    T value{};
    const auto size = decode_first(all, value);
    if (!size) {
        look_at(size.error(), all.size());
        // What is cut off has its beginning right: it is cut off in any shorter beginning as well.
        if (size.error().what == fault::cut_off && !all.empty()) {
            T shorter{};
            const auto again = decode_first(all.first(all.size() / 2), shorter);
            demand(!again && again.error().what == fault::cut_off);
        }
        return;
    }
    demand(*size <= all.size() && *size % 4 == 0);
    const auto taken = all.first(*size);
    demand(encoded_size(value) == *size);
    const auto written = encode(value);
    demand(written && std::ranges::equal(*written, taken));
    demand(decode(taken, value).has_value());
    const auto whole = decode(all, value);
    demand(whole.has_value() == (*size == all.size()));
    demand(whole || whole.error().what == fault::trailing_bytes);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const auto all = std::as_bytes(std::span{data + 1, size - 1});
    switch (data[0] % 8) {
    case 0:
        read_as<samples::everything>(all);
        break;
    case 1:
        read_as<samples::numbers>(all);
        break;
    case 2:
        read_as<samples::texts>(all);
        break;
    case 3:
        read_as<samples::arrays>(all);
        break;
    case 4:
        read_as<std::vector<samples::unions>>(all);
        break;
    case 5:
        read_as<std::unique_ptr<samples::tree>>(all);
        break;
    case 6:
        read_as<list<std::optional<std::vector<std::string>>>>(all);
        break;
    default:
        read_as<std::vector<samples::everything>>(all);
        break;
    }
    return 0;
}
