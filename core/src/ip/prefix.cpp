#include "portico/ip/prefix.hpp"

#include "ip/hashing.hpp"
#include "ip/reading.hpp"

namespace portico::ip {

using reading::wrong;

text_result<prefix> parse_prefix(std::string_view text) {
    const auto slash = text.find('/');
    const auto base_text = text.substr(0, slash);
    if (const auto percent = base_text.find('%'); percent != std::string_view::npos) {
        return wrong(percent, base_text.size() - percent, "an address block has no zone",
                     "leave out what begins with '%'");
    }
    const auto base = parse_address(base_text);
    if (!base) {
        return tl::unexpected{base.error()};
    }
    const unsigned bits = base->is_v4() ? 32 : 128;
    unsigned length = bits;
    if (slash != std::string_view::npos) {
        const auto number = reading::read_number(text.substr(slash + 1), bits, "the prefix length");
        if (!number) {
            auto why = number.error();
            if (why.hint.empty()) {
                why.hint = "write a number from 0 to " + std::to_string(bits) + " after '/'";
            }
            return reading::shifted(std::move(why), slash + 1);
        }
        length = *number;
    }
    const auto made = prefix::make(*base, length);
    if (made->base() != *base) {
        return wrong(0, base_text.size(),
                     "the address has bits set after the first " + std::to_string(length),
                     "write " + to_text(*made));
    }
    return *made;
}

std::string to_text(const prefix& which) {
    return to_text(which.base()) + '/' + std::to_string(which.length());
}

} // namespace portico::ip

std::size_t
std::hash<portico::ip::prefix>::operator()(const portico::ip::prefix& which) const noexcept {
    return portico::ip::hashing{}
        .add(static_cast<std::uint64_t>(which.base().family()))
        .add(which.base().to_v6())
        .add(which.length())
        .value();
}
