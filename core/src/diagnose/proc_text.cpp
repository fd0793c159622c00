#include "portico/diagnose/proc_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace portico::diagnose {
namespace {

std::string_view take_until(std::string_view& text, char end) noexcept {
    const auto part = text.substr(0, text.find(end));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    return part;
}

std::string printable(std::string_view text) {
    std::string made;
    for (const char each : text) {
        made += each >= ' ' && each <= '~' ? each : '?';
    }
    return made;
}

// What follows `name` on its line.
std::string_view line_after(std::string_view text, std::string_view name) noexcept {
    while (!text.empty()) {
        auto line = take_until(text, '\n');
        if (line.starts_with(name)) {
            return line.substr(name.size());
        }
    }
    return {};
}

// The number in front, behind blanks; takes it off.
template <class Number>
std::optional<Number> take_number(std::string_view& text) noexcept {
    text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
    Number value{};
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (code != std::errc{}) {
        return std::nullopt;
    }
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return value;
}

bool is_id(std::string_view text) noexcept {
    return text.size() >= 12 && text.find_first_not_of("0123456789abcdef") == text.npos;
}

// "docker-<id>.scope" of systemd's driver: its beginning, and whose it is.
struct scope_prefix {
    std::string_view begin;
    std::string_view who;
};
constexpr std::array scopes = std::to_array<scope_prefix>({
    {"docker-", "docker"},
    {"libpod-", "podman"},
    {"cri-containerd-", "containerd"},
    {"crio-", "cri-o"},
});

std::string named(std::string_view who, std::string_view id) {
    return std::string{who} + " " + std::string{id.substr(0, 12)};
}

std::string container_of_part(std::string_view part, std::string_view parent) {
    auto stem = part;
    if (stem.ends_with(".scope")) {
        stem.remove_suffix(6);
    }
    for (const auto& [begin, who] : scopes) {
        if (stem.starts_with(begin) && is_id(stem.substr(begin.size()))) {
            return named(who, stem.substr(begin.size()));
        }
    }
    if (parent == "docker" && is_id(part)) {
        return named("docker", part);
    }
    if ((parent.starts_with("kubepods") || parent.starts_with("pod")) && is_id(part)) {
        return named("kubernetes", part);
    }
    constexpr std::string_view lxc = "lxc.payload.";
    if (part.starts_with(lxc)) {
        return "lxc " + printable(part.substr(lxc.size()));
    }
    return parent == "lxc" && !part.empty() ? "lxc " + printable(part) : std::string{};
}

bool is_unit(std::string_view part) noexcept {
    return part.ends_with(".service") || part.ends_with(".scope") || part.ends_with(".socket");
}

} // namespace

// "123 (a name) S 1 ...": the name may have any characters in it, ") " as well.
void read_stat(std::string_view text, process& into) {
    const auto open = text.find('(');
    const auto close = text.rfind(')');
    if (open == text.npos || close == text.npos || close < open) {
        return;
    }
    into.name = printable(text.substr(open + 1, close - open - 1));
    if (close + 2 < text.size()) {
        into.state = text[close + 2];
    }
}

std::string command_of(std::string_view text) {
    constexpr std::size_t most = 512;
    while (text.ends_with('\0')) {
        text.remove_suffix(1);
    }
    std::string made{text.substr(0, most)};
    std::replace(made.begin(), made.end(), '\0', ' ');
    return printable(made);
}

void read_cgroups(std::string_view text, process& into) {
    while (!text.empty()) {
        auto line = take_until(text, '\n');
        const auto number = take_until(line, ':');
        const auto controllers = take_until(line, ':');
        const bool systemd = number == "0" || controllers == "name=systemd";
        std::string_view parent;
        while (!line.empty()) {
            const auto part = take_until(line, '/');
            if (auto found = container_of_part(part, parent); !found.empty()) {
                into.container = std::move(found);
            }
            if (systemd && is_unit(part)) {
                // Units of a user's own systemd are below the unit that runs that one.
                into.of_user |= into.unit.starts_with("user@");
                into.unit = printable(part);
            }
            parent = part;
        }
    }
}

std::optional<std::uint32_t> effective_uid(std::string_view text) noexcept {
    auto line = line_after(text, "Uid:");
    const auto real = take_number<std::uint32_t>(line);
    return real ? take_number<std::uint32_t>(line) : std::nullopt;
}

std::optional<std::uint64_t> descriptor_limit(std::string_view text) noexcept {
    auto line = line_after(text, "Max open files");
    return take_number<std::uint64_t>(line);
}

std::optional<port_range> parse_port_range(std::string_view text) noexcept {
    const auto first = take_number<std::uint16_t>(text);
    const auto last = take_number<std::uint16_t>(text);
    return first && last ? std::optional{port_range{*first, *last}} : std::nullopt;
}

std::vector<port_range> parse_port_list(std::string_view text) {
    std::vector<port_range> all;
    while (!text.empty()) {
        auto part = take_until(text, ',');
        const auto first = take_number<std::uint16_t>(part);
        if (!first) {
            break;
        }
        auto last = first;
        if (part.starts_with('-')) {
            part.remove_prefix(1);
            last = take_number<std::uint16_t>(part);
        }
        if (!last) {
            break;
        }
        all.push_back({*first, *last});
    }
    return all;
}

std::vector<ip::address> addresses_in_hosts(std::string_view text, std::string_view name) {
    const auto same = [](std::string_view a, std::string_view b) {
        const auto lower = [](char c) {
            return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        };
        return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                          [&](char x, char y) { return lower(x) == lower(y); });
    };
    std::vector<ip::address> all;
    while (!text.empty()) {
        auto line = take_until(text, '\n');
        line = line.substr(0, line.find('#'));
        std::optional<ip::address> address;
        bool first = true;
        bool named = false;
        while (true) {
            line.remove_prefix(std::min(line.size(), line.find_first_not_of(" \t\r")));
            const auto word = line.substr(0, line.find_first_of(" \t\r"));
            if (word.empty()) {
                break;
            }
            line.remove_prefix(word.size());
            if (std::exchange(first, false)) {
                if (const auto read = ip::parse_address(word)) {
                    address = *read;
                }
            } else {
                named |= same(word, name);
            }
        }
        if (named && address && std::find(all.begin(), all.end(), *address) == all.end()) {
            all.push_back(*address);
        }
    }
    return all;
}

} // namespace portico::diagnose
