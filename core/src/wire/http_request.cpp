#include "portico/wire/http_request.hpp"

#include <algorithm>

namespace portico::wire {
namespace {

using state = http_request::state;

// RFC 9110 section 5.6.2.
bool is_token(std::string_view text) {
    constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
    return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               marks.find(c) != std::string_view::npos;
    });
}

bool is_visible(char c) {
    return c > ' ' && c < '\x7f';
}

// Method, one space, target, one space, version.
http_request read_first_line(std::string_view line) {
    const auto first = std::min(line.find(' '), line.size());
    const auto last = line.rfind(' ');
    if (last == std::string_view::npos || last <= first) {
        return {state::malformed, {}};
    }
    const auto method = line.substr(0, first);
    const auto target = line.substr(first + 1, last - first - 1);
    const auto version = line.substr(last + 1);
    const bool is_good = is_token(method) &&
                         std::all_of(target.begin(), target.end(), is_visible) &&
                         (version == "HTTP/1.0" || version == "HTTP/1.1");
    if (!is_good) {
        return {state::malformed, {}};
    }
    if (method != "GET") {
        return {state::other_method, {}}; // its target may be of another form
    }
    return target.starts_with('/') ? http_request{state::get, target.substr(0, target.find('?'))}
                                   : http_request{state::malformed, {}};
}

// RFC 9112 section 5; folded lines (section 5.2) are of the past.
bool is_field(std::string_view line) {
    const auto colon = std::min(line.find(':'), line.size());
    const auto value = line.substr(colon);
    return !value.empty() && is_token(line.substr(0, colon)) &&
           std::all_of(value.begin(), value.end(), [](char c) {
               return c == '\t' || (static_cast<unsigned char>(c) >= ' ' && c != '\x7f');
           });
}

} // namespace

http_request read_http_request(std::string_view text) noexcept {
    http_request made;
    const auto head = text.substr(0, http_request::max_size);
    for (std::size_t at = 0; at < head.size();) {
        const auto end = head.find('\n', at);
        if (end == std::string_view::npos) {
            break;
        }
        auto line = head.substr(at, end - at);
        if (line.ends_with('\r')) {
            line.remove_suffix(1);
        }
        if (at == 0) {
            made = read_first_line(line);
        } else if (line.empty()) {
            return made;
        } else if (!is_field(line)) {
            made = {state::malformed, {}};
        }
        if (made.is == state::malformed) {
            return made;
        }
        at = end + 1;
    }
    return {text.size() >= http_request::max_size ? state::too_long : state::incomplete, {}};
}

} // namespace portico::wire
