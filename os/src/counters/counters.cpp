#include "portico/os/counters.hpp"

#include "fd/text_file.hpp"

#include <algorithm>
#include <charconv>

namespace portico::os {
namespace {

// Takes the first line off.
std::string_view next_line(std::string_view& text) noexcept {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    return line;
}

// Takes the first word off; empty when there is none left.
std::string_view next_word(std::string_view& line) noexcept {
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    const auto word = line.substr(0, line.find(' '));
    line.remove_prefix(word.size());
    return word;
}

// What stands in `numbers` where `name` stands in `names`.
std::optional<std::uint64_t> number_under(std::string_view name, std::string_view names,
                                          std::string_view numbers) noexcept {
    std::string_view found;
    for (;;) {
        const auto here = next_word(names);
        const auto number = next_word(numbers);
        if (here.empty() != number.empty()) {
            return std::nullopt;
        }
        if (here.empty()) {
            break;
        }
        if (here == name) {
            found = number;
        }
    }
    std::uint64_t value = 0;
    const auto* last = found.data() + found.size();
    const auto [end, code] = std::from_chars(found.data(), last, value);
    return code == std::errc{} && end == last ? std::optional{value} : std::nullopt;
}

std::optional<std::uint64_t> counter(std::string_view text, std::string_view group,
                                     std::string_view name) noexcept {
    while (!text.empty()) {
        auto names = next_line(text);
        auto numbers = next_line(text);
        const auto of_names = next_word(names);
        if (of_names != next_word(numbers)) {
            return std::nullopt;
        }
        if (of_names == group) {
            return number_under(name, names, numbers);
        }
    }
    return std::nullopt;
}

std::optional<std::uint64_t> grown(std::optional<std::uint64_t> before,
                                   std::optional<std::uint64_t> after) noexcept {
    return before && after && *before <= *after ? std::optional{*after - *before} : std::nullopt;
}

} // namespace

tcp_counters difference(const tcp_counters& before, const tcp_counters& after) noexcept {
    return {grown(before.listen_overflows, after.listen_overflows),
            grown(before.listen_drops, after.listen_drops),
            grown(before.request_drops, after.request_drops),
            grown(before.resets_sent, after.resets_sent),
            grown(before.cookies_sent, after.cookies_sent),
            grown(before.request_cookies, after.request_cookies),
            grown(before.reverse_path, after.reverse_path)};
}

tcp_counters parse_tcp_counters(std::string_view netstat, std::string_view snmp) noexcept {
    return {counter(netstat, "TcpExt:", "ListenOverflows"),
            counter(netstat, "TcpExt:", "ListenDrops"),
            counter(netstat, "TcpExt:", "TCPReqQFullDrop"),
            counter(snmp, "Tcp:", "OutRsts"),
            counter(netstat, "TcpExt:", "SyncookiesSent"),
            counter(netstat, "TcpExt:", "TCPReqQFullDoCookies"),
            counter(netstat, "TcpExt:", "IPReversePathFilter")};
}

sys_result<tcp_counters> read_tcp_counters() {
    const auto netstat = read_text("/proc/thread-self/net/netstat");
    if (!netstat) {
        return tl::unexpected{netstat.error()};
    }
    const auto snmp = read_text("/proc/thread-self/net/snmp");
    if (!snmp) {
        return tl::unexpected{snmp.error()};
    }
    return parse_tcp_counters(*netstat, *snmp);
}

} // namespace portico::os
