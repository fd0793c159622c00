#include "portico/os/resolve.hpp"

#include <algorithm>
#include <charconv>
#include <netdb.h>

namespace portico::os {
namespace {

constexpr std::size_t max_addresses = 512;

tl::unexpected<error> unresolved(std::error_code code, side who) {
    return tl::unexpected{error{code, operation::resolve, who, {}}};
}

tl::unexpected<error> bad_answer() {
    return unresolved(lookup_errc::bad_answer, side::portico);
}

template <class Number>
std::optional<Number> number_from(std::string_view text) {
    Number value{};
    const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), value);
    return wrong == std::errc{} && end == text.data() + text.size() ? std::optional{value}
                                                                    : std::nullopt;
}

// Takes the first line off `text`; nullopt when there is no whole line left.
std::optional<std::string_view> take_line(std::string_view& text) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) {
        return std::nullopt;
    }
    const auto line = text.substr(0, end);
    text.remove_prefix(end + 1);
    return line;
}

bool take_word(std::string_view& line, std::string_view word) {
    if (!line.starts_with(word)) {
        return false;
    }
    line.remove_prefix(word.size());
    return true;
}

tl::unexpected<error> failure_of(int code, int number) {
    switch (code) {
    case EAI_NONAME:
        return unresolved(errc::name_not_found, side::caller);
    case EAI_NODATA:
    case EAI_ADDRFAMILY:
        return unresolved(errc::no_address, side::peer);
    case EAI_SYSTEM:
        // Without an errno it is still a failure: std::error_code{0} would say the opposite.
        return number != 0 ? unresolved({number, std::system_category()}, side::system)
                           : unresolved({code, lookup_category()}, side::system);
    default:
        return unresolved({code, lookup_category()}, side::system);
    }
}

result<lookup_answer> parse_failure(std::string_view line, std::string_view rest) {
    const auto space = line.find(' ');
    const auto code = number_from<int>(line.substr(0, space));
    const auto number =
        number_from<int>(space == std::string_view::npos ? "" : line.substr(space + 1));
    if (!code || *code >= 0 || !number || *number < 0 || rest != "end\n") {
        return bad_answer();
    }
    return failure_of(*code, *number);
}

// Adds what one line says; false when it says nothing that is understood.
bool add_line(lookup_answer& answer, std::string_view line, ip::family family) {
    if (take_word(line, "dropped ")) {
        const auto count = number_from<std::uint32_t>(line);
        answer.dropped += count.value_or(0);
        return count.has_value();
    }
    if (!take_word(line, "address ") || answer.addresses.size() == max_addresses) {
        return false;
    }
    const auto found = ip::parse_address(line);
    if (!found || found->family() != family) {
        return false;
    }
    if (std::find(answer.addresses.begin(), answer.addresses.end(), *found) ==
        answer.addresses.end()) {
        answer.addresses.push_back(*found);
    }
    return true;
}

// RFC 6761 section 6.3: with or without the root's dot, in any case.
bool is_localhost(std::string_view name) {
    constexpr std::string_view localhost = "localhost";
    if (name.ends_with('.')) {
        name.remove_suffix(1);
    }
    if (name.size() < localhost.size()) {
        return false;
    }
    const auto tail = name.substr(name.size() - localhost.size());
    const bool same = std::equal(tail.begin(), tail.end(), localhost.begin(), [](char a, char b) {
        return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
    });
    return same && (name.size() == localhost.size() || name[name.size() - tail.size() - 1] == '.');
}

} // namespace

std::optional<result<lookup_answer>> answer_without_asking(std::string_view name,
                                                           ip::family family) {
    if (is_localhost(name)) {
        return lookup_answer{{ip::address::loopback(family)}, 0};
    }
    const auto literal = ip::parse_address(name);
    if (!literal) {
        return std::nullopt;
    }
    if (literal->family() != family) {
        return unresolved(errc::no_address, side::caller);
    }
    return lookup_answer{{*literal}, 0};
}

result<lookup_answer> parse_lookup_answer(std::string_view text, ip::family family) {
    if (text.size() > max_lookup_answer || take_line(text) != "portico-resolve 1") {
        return bad_answer();
    }
    lookup_answer answer;
    while (auto line = take_line(text)) {
        if (*line == "end") {
            if (!text.empty()) {
                return bad_answer();
            }
            return answer.addresses.empty() ? unresolved(errc::no_address, side::peer)
                                            : result<lookup_answer>{std::move(answer)};
        }
        if (answer.addresses.empty() && take_word(*line, "failed ")) {
            return parse_failure(*line, text);
        }
        if (!add_line(answer, *line, family)) {
            return bad_answer();
        }
    }
    return bad_answer();
}

} // namespace portico::os
