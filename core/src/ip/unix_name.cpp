#include "portico/ip/unix_name.hpp"

#include "ip/hashing.hpp"
#include "ip/reading.hpp"

#include <algorithm>

namespace portico::ip {
namespace {

using reading::wrong;

void append_byte(std::string& text, char byte, bool escape) {
    constexpr std::string_view digits = "0123456789abcdef";
    if (!escape && byte > ' ' && byte < '\x7f' && byte != ',' && byte != '\\') {
        text += byte;
        return;
    }
    const auto value = static_cast<unsigned char>(byte);
    text += "\\x";
    text += digits[value >> 4];
    text += digits[value & 0xfU];
}

// The byte that "\xNN" at `at` stands for; nullopt when there is none.
std::optional<char> escaped_byte(std::string_view text, std::size_t at) {
    if (at + 4 > text.size() || text.substr(at, 2) != "\\x") {
        return std::nullopt;
    }
    const auto high = reading::hex_digit(text[at + 2]);
    const auto low = reading::hex_digit(text[at + 3]);
    return high && low ? std::optional{static_cast<char>(*high * 16 + *low)} : std::nullopt;
}

// The bytes that the text from `at` on stands for, at most `most` of them.
text_result<std::string> unescape(std::string_view text, std::size_t at, std::size_t most,
                                  bool zero_allowed) {
    std::string bytes;
    while (at < text.size()) {
        const auto escaped = escaped_byte(text, at);
        const char byte = escaped.value_or(text[at]);
        const std::size_t width = escaped ? 4 : 1;
        if (bytes.size() == most) {
            return wrong(at, text.size() - at,
                         "the name is longer than " + std::to_string(most) + " bytes",
                         "the kernel has no room for more (sockaddr_un); use a shorter directory");
        }
        if (byte == '\0' && !zero_allowed) {
            return wrong(at, width, "a path cannot have a zero byte");
        }
        if (!escaped && (byte == '\x7f' || (byte >= '\0' && byte < ' '))) {
            return wrong(at, 1, "there is a control character in the name",
                         "write its value, as in \\x0a");
        }
        if (!escaped && byte == ',') {
            return wrong(at, 1, "a ',' separates addresses", "in a name write \\x2c");
        }
        bytes += byte;
        at += width;
    }
    return bytes;
}

text_result<unix_name> read_abstract(std::string_view text) {
    if (text.size() == 1) {
        return wrong(0, 1, "the abstract name after '@' is empty", "write it like unix:@name");
    }
    const auto bytes = unescape(text, 1, unix_name::max_abstract, true);
    if (!bytes) {
        return tl::unexpected{bytes.error()};
    }
    return *unix_name::abstract(*bytes);
}

} // namespace

std::optional<unix_name> unix_name::path(std::string_view text) noexcept {
    if (text.empty() || text.size() > max_path || text.find('\0') != std::string_view::npos) {
        return std::nullopt;
    }
    unix_name made;
    std::copy(text.begin(), text.end(), made.bytes_.begin());
    made.size_ = static_cast<std::uint8_t>(text.size());
    return made;
}

std::optional<unix_name> unix_name::abstract(std::string_view name) noexcept {
    if (name.empty() || name.size() > max_abstract) {
        return std::nullopt;
    }
    unix_name made;
    std::copy(name.begin(), name.end(), made.bytes_.begin());
    made.size_ = static_cast<std::uint8_t>(name.size());
    made.abstract_ = true;
    return made;
}

std::string to_text(const unix_name& which) {
    std::string text = which.is_abstract() ? "unix:@" : "unix:";
    const auto bytes = which.text();
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        const bool like_abstract = i == 0 && bytes[0] == '@';
        const bool like_url = i == 1 && bytes.starts_with("//");
        append_byte(text, bytes[i], !which.is_abstract() && (like_abstract || like_url));
    }
    return text;
}

text_result<unix_name> parse_unix_name(std::string_view text) {
    if (text.empty()) {
        return wrong(0, 1, "the UNIX socket has no name",
                     "write it like unix:/run/x.sock or unix:@name");
    }
    if (text.starts_with('@')) {
        return read_abstract(text);
    }
    std::size_t at = 0;
    if (text.starts_with("//")) {
        if (!text.starts_with("///")) {
            return wrong(0, 2, "a path begins with one '/', or with three in the URL form",
                         "write it like unix:///run/x.sock or unix:/run/x.sock");
        }
        at = 2;
    }
    const auto bytes = unescape(text, at, unix_name::max_path, false);
    if (!bytes) {
        return tl::unexpected{bytes.error()};
    }
    return *unix_name::path(*bytes);
}

} // namespace portico::ip

std::size_t
std::hash<portico::ip::unix_name>::operator()(const portico::ip::unix_name& which) const noexcept {
    return portico::ip::hashing{}.add(which.is_abstract() ? 1U : 0U).add(which.text()).value();
}
