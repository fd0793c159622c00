#include "portico/os/resolve.hpp"
#include "portico/os/resolve_name.hpp"

#include <algorithm>
#include <charconv>
#include <netdb.h>
#include <utility>

namespace portico::os {
namespace {

constexpr std::size_t max_addresses = 512;
constexpr std::size_t max_services = 128;
constexpr std::size_t max_host_name = 253;

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

tl::unexpected<error> parse_failure(std::string_view line, std::string_view rest) {
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

// Takes a number and the space behind it.
std::optional<std::uint16_t> take_number(std::string_view& line) {
    const auto space = line.find(' ');
    const auto found = number_from<std::uint16_t>(line.substr(0, space));
    line.remove_prefix(space == std::string_view::npos ? line.size() : space + 1);
    return found;
}

// Of what portico-resolve lets through; '.' only between other characters.
bool is_host_name(std::string_view name) {
    const auto is_fine = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.';
    };
    return !name.empty() && name.size() <= max_host_name &&
           std::all_of(name.begin(), name.end(), is_fine) && name.front() != '.' &&
           name.back() != '.' && name.find("..") == std::string_view::npos;
}

// What the lines about a service have said so far.
struct service_reading {
    service_answer answer;
    std::optional<std::uint32_t> lifetime;
    std::size_t lines = 0;
    bool says_none = false;
};

bool add_service(service_reading& reading, std::string_view line) {
    service_record made;
    const auto priority = take_number(line);
    const auto weight = take_number(line);
    const auto port = take_number(line);
    if (!priority || !weight || !port || ++reading.lines > max_services) {
        return false;
    }
    if (line == ".") {
        reading.says_none = true;
        return true;
    }
    if (!is_host_name(line)) {
        return false;
    }
    reading.answer.records.push_back({*priority, *weight, *port, std::string{line}});
    return true;
}

// False when the line says nothing that is understood.
bool add_line(service_reading& reading, std::string_view line) {
    if (take_word(line, "service ")) {
        return add_service(reading, line);
    }
    if (take_word(line, "dropped ")) {
        const auto count = number_from<std::uint32_t>(line);
        reading.answer.dropped += count.value_or(0);
        return count.has_value();
    }
    if (!take_word(line, "lifetime ") || reading.lifetime) {
        return false;
    }
    reading.lifetime = number_from<std::uint32_t>(line);
    return reading.lifetime && *reading.lifetime <= INT32_MAX; // RFC 2181 section 8
}

result<service_answer> conclude(service_reading reading) {
    if (reading.answer.records.empty()) {
        return reading.says_none ? unresolved(lookup_errc::no_service, side::peer)
                                 : unresolved(errc::no_address, side::peer);
    }
    if (!reading.lifetime) {
        return bad_answer();
    }
    reading.answer.lifetime = std::chrono::seconds{*reading.lifetime};
    return std::move(reading.answer);
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

result<service_answer> parse_service_answer(std::string_view text) {
    if (text.size() > max_lookup_answer || take_line(text) != "portico-resolve 1") {
        return bad_answer();
    }
    service_reading reading;
    bool is_first = true;
    while (auto line = take_line(text)) {
        if (*line == "end") {
            return text.empty() ? conclude(std::move(reading)) : bad_answer();
        }
        if (std::exchange(is_first, false) && take_word(*line, "failed ")) {
            return parse_failure(*line, text);
        }
        if (!add_line(reading, *line)) {
            return bad_answer();
        }
    }
    return bad_answer();
}

result<std::string> parse_name_answer(std::string_view text) {
    if (text.size() > max_lookup_answer || take_line(text) != "portico-resolve 1") {
        return bad_answer();
    }
    auto line = take_line(text);
    if (!line) {
        return bad_answer();
    }
    if (take_word(*line, "failed ")) {
        return parse_failure(*line, text);
    }
    if (!take_word(*line, "name ") || !is_host_name(*line) || text != "end\n") {
        return bad_answer();
    }
    return std::string{*line};
}

} // namespace portico::os
