#include "portico/ip/address.hpp"

#include "ip/hashing.hpp"
#include "ip/reading.hpp"

namespace portico::ip {
namespace {

using reading::wrong;

constexpr std::string_view v4_example = "an IPv4 address is four numbers like 192.0.2.1";
constexpr std::string_view v6_example = "an IPv6 address is like 2001:db8::1";

text_result<address::v4_bytes> read_v4(std::string_view text) {
    address::v4_bytes bytes{};
    std::size_t at = 0;
    for (std::size_t part = 0; part < bytes.size(); ++part) {
        const auto dot = std::min(text.find('.', at), text.size());
        const auto value =
            reading::read_number(text.substr(at, dot - at), 255, "a part of an IPv4 address");
        if (!value) {
            auto why = value.error();
            why.what = dot == at ? "a number is missing" : why.what;
            why.hint = why.hint.empty() ? std::string{v4_example} : why.hint;
            return reading::shifted(std::move(why), at);
        }
        bytes[part] = static_cast<std::uint8_t>(*value);
        if (part == 3 && dot != text.size()) {
            return wrong(dot, text.size() - dot, "an IPv4 address ends after four numbers",
                         std::string{v4_example});
        }
        if (part < 3 && dot == text.size()) {
            return wrong(dot, 1,
                         "an IPv4 address has four numbers, here are " + std::to_string(part + 1),
                         std::string{v4_example});
        }
        at = dot + 1;
    }
    return bytes;
}

text_result<std::uint16_t> read_group(std::string_view text) {
    unsigned value = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto digit = reading::hex_digit(text[i]);
        if (!digit) {
            return wrong(i, 1, reading::name_of(text[i]) + " is not a hexadecimal digit",
                         std::string{v6_example});
        }
        if (i == 4) {
            return wrong(4, text.size() - 4, "a group has at most four hexadecimal digits",
                         std::string{v6_example});
        }
        value = value * 16 + *digit;
    }
    return static_cast<std::uint16_t>(value);
}

// Reads the groups of an IPv6 address from left to right (RFC 4291 section 2.2).
class v6_reader {
public:
    explicit v6_reader(std::string_view text) noexcept : text_{text} {}

    text_result<address::v6_bytes> read() {
        if (auto begun = start(); !begun) {
            return tl::unexpected{std::move(begun.error())};
        }
        while (at_ < text_.size()) {
            auto step = text_[at_] == ':' ? third_colon() : piece();
            step = step && at_ < text_.size() ? separator() : std::move(step);
            if (!step) {
                return tl::unexpected{std::move(step.error())};
            }
        }
        return finish();
    }

private:
    using outcome = text_result<std::monostate>;

    outcome start() {
        if (text_.starts_with("::")) {
            gap_ = 0;
            gap_at_ = 0;
            at_ = 2;
        } else if (text_.starts_with(':')) {
            return wrong(0, 1, "an IPv6 address does not begin with a single ':'",
                         "'::' stands for groups of zeros, as in ::1");
        }
        return {};
    }

    [[nodiscard]] outcome third_colon() const {
        return wrong(at_, 1, "three ':' in a row", "'::' stands for any number of zero groups");
    }

    // One group, or the dotted quad at the end.
    outcome piece() {
        const auto end = std::min(text_.find(':', at_), text_.size());
        const auto part = text_.substr(at_, end - at_);
        if (part.find('.') != std::string_view::npos) {
            return quad(part, end);
        }
        const auto value = read_group(part);
        if (!value) {
            return reading::shifted(value.error(), at_);
        }
        if (count_ == 8) {
            return wrong(at_, text_.size() - at_, "an IPv6 address ends after eight groups",
                         std::string{v6_example});
        }
        groups_[count_++] = *value;
        at_ = end;
        return {};
    }

    outcome quad(std::string_view part, std::size_t end) {
        if (end != text_.size()) {
            return wrong(end, 1, "a dotted quad is the end of an address",
                         "as in ::ffff:192.0.2.1");
        }
        if (count_ > 6) {
            return wrong(at_, part.size(), "a dotted quad takes the place of the last two groups",
                         "as in ::ffff:192.0.2.1");
        }
        const auto bytes = read_v4(part);
        if (!bytes) {
            return reading::shifted(bytes.error(), at_);
        }
        const auto& b = *bytes;
        groups_[count_++] = static_cast<std::uint16_t>(b[0] << 8 | b[1]);
        groups_[count_++] = static_cast<std::uint16_t>(b[2] << 8 | b[3]);
        at_ = end;
        return {};
    }

    // The ':' after a group, or the "::".
    outcome separator() {
        if (at_ + 1 == text_.size()) {
            return wrong(at_, 1, "an IPv6 address does not end with a single ':'",
                         "'::' stands for groups of zeros, as in 2001:db8::");
        }
        ++at_;
        if (text_[at_] != ':') {
            return {};
        }
        if (gap_) {
            return wrong(at_ - 1, 2, "a second '::'", "write the zero groups of one of them");
        }
        gap_ = count_;
        gap_at_ = at_ - 1;
        ++at_;
        return {};
    }

    [[nodiscard]] text_result<address::v6_bytes> finish() const {
        if (!gap_ && count_ < 8) {
            return wrong(text_.size(), 1,
                         "an IPv6 address has eight groups, here are " + std::to_string(count_),
                         "'::' stands for one run of zero groups");
        }
        if (gap_ && count_ == 8) {
            return wrong(gap_at_, 2,
                         "'::' stands for at least one group, and here are eight others",
                         "write ':'");
        }
        address::v6_bytes bytes{};
        const std::size_t skipped = 8 - count_;
        for (std::size_t i = 0; i < count_; ++i) {
            const std::size_t place = gap_ && i >= *gap_ ? i + skipped : i;
            bytes[2 * place] = static_cast<std::uint8_t>(groups_[i] >> 8);
            bytes[2 * place + 1] = static_cast<std::uint8_t>(groups_[i] & 0xff);
        }
        return bytes;
    }

    std::string_view text_;
    std::size_t at_ = 0;
    std::array<std::uint16_t, 8> groups_{};
    std::size_t count_ = 0;
    std::optional<std::size_t> gap_; // groups before the "::"
    std::size_t gap_at_ = 0;
};

// What is not an address at all, said before the digits are looked at.
std::optional<tl::unexpected<text_error>> refuse(std::string_view text, std::string_view value) {
    if (text.empty()) {
        return wrong(0, 1, "the address is empty", "write it like 192.0.2.1 or 2001:db8::1");
    }
    if (const auto bracket = text.find_first_of("[]"); bracket != std::string_view::npos) {
        return wrong(bracket, 1, "brackets are not part of an address",
                     "they belong around it when a port follows");
    }
    if (const auto slash = value.find('/'); slash != std::string_view::npos) {
        return wrong(slash, text.size() - slash, "a prefix length is not part of an address");
    }
    const auto colon = value.find(':');
    if (colon != std::string_view::npos && value.find('.') < colon) {
        return wrong(colon, text.size() - colon, "a port is not part of an address");
    }
    return std::nullopt;
}

struct zero_run {
    std::size_t first = 8;
    std::size_t length = 0;
};

// RFC 5952 section 4.2: the longest run of at least two zero groups, the first of equal ones.
zero_run longest_zeros(const std::array<unsigned, 8>& groups, std::size_t count) {
    zero_run best;
    for (std::size_t i = 0; i < count;) {
        std::size_t end = i;
        while (end < count && groups[end] == 0) {
            ++end;
        }
        if (end - i >= 2 && end - i > best.length) {
            best = {i, end - i};
        }
        i = end == i ? i + 1 : end;
    }
    return best;
}

void append_hex(std::string& text, unsigned group) {
    constexpr std::string_view digits = "0123456789abcdef";
    bool begun = false;
    for (int shift = 12; shift >= 0; shift -= 4) {
        const unsigned digit = group >> shift & 0xfU;
        begun = begun || digit != 0 || shift == 0;
        if (begun) {
            text += digits[digit];
        }
    }
}

void append_quad(std::string& text, const std::uint8_t* bytes) {
    for (std::size_t i = 0; i < 4; ++i) {
        text += i == 0 ? "" : ".";
        text += std::to_string(bytes[i]);
    }
}

void append_v6(std::string& text, const address& which) {
    const auto bytes = which.to_v6();
    std::array<unsigned, 8> groups{};
    for (std::size_t i = 0; i < groups.size(); ++i) {
        groups[i] = static_cast<unsigned>(bytes[2 * i] << 8 | bytes[2 * i + 1]);
    }
    // RFC 5952 section 5: the known prefix ::ffff:0:0/96 is followed by a dotted quad.
    const bool mapped = which.is_v4_mapped();
    const std::size_t count = mapped ? 6 : 8;
    const auto run = longest_zeros(groups, count);
    for (std::size_t i = 0; i < count;) {
        if (i == run.first) {
            text += "::";
            i += run.length;
            continue;
        }
        text += i == 0 || text.ends_with(':') ? "" : ":";
        append_hex(text, groups[i++]);
    }
    if (mapped) {
        text += ':';
        append_quad(text, bytes.data() + 12);
    }
}

} // namespace

std::string_view to_text(family which) noexcept {
    return which == family::v4 ? "IPv4" : "IPv6";
}

text_result<address> parse_address(std::string_view text) {
    const auto percent = text.find('%');
    const auto value = text.substr(0, percent);
    if (auto refused = refuse(text, value)) {
        return std::move(*refused);
    }
    if (value.find(':') == std::string_view::npos) {
        const auto bytes = read_v4(value);
        if (!bytes) {
            return tl::unexpected{bytes.error()};
        }
        if (percent != std::string_view::npos) {
            return wrong(percent, text.size() - percent, "an IPv4 address has no zone",
                         "leave out what begins with '%'");
        }
        return address::v4(*bytes);
    }
    const auto bytes = v6_reader{value}.read();
    if (!bytes) {
        return tl::unexpected{bytes.error()};
    }
    if (percent == std::string_view::npos) {
        return address::v6(*bytes);
    }
    const auto where = reading::read_zone(text.substr(percent + 1), percent + 1);
    if (!where) {
        return tl::unexpected{where.error()};
    }
    return address::v6(*bytes, *where);
}

std::string to_text(const address& which) {
    std::string text;
    if (which.is_v4()) {
        const auto bytes = which.to_v4();
        append_quad(text, bytes.data());
    } else {
        append_v6(text, which);
    }
    if (const auto zone = which.zone().text(); !zone.empty()) {
        text += zone.starts_with("25") && !reading::all_digits(zone) ? "%25" : "%";
        text += zone;
    }
    return text;
}

} // namespace portico::ip

std::size_t
std::hash<portico::ip::zone>::operator()(const portico::ip::zone& which) const noexcept {
    return portico::ip::hashing{}.add(which.text()).value();
}

std::size_t
std::hash<portico::ip::address>::operator()(const portico::ip::address& which) const noexcept {
    return portico::ip::hashing{}
        .add(static_cast<std::uint64_t>(which.family()))
        .add(which.to_v6())
        .add(which.zone().text())
        .value();
}
