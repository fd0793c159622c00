// Any bytes as the files of proc(5) that are read for a handover: counters, and the status of a
// process. What is read has to stand there.

#include "portico/os/counters.hpp"
#include "portico/os/pidfd.hpp"

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

using namespace portico;

namespace {

void demand(bool holds) {
    if (!holds) {
        std::abort();
    }
}

void read_counters(std::string_view netstat, std::string_view snmp) {
    const auto read = os::parse_tcp_counters(netstat, snmp);
    const auto nothing = os::difference(read, read);
    demand(nothing.listen_drops.value_or(0) == 0 && nothing.resets_sent.value_or(0) == 0);
    demand(nothing.listen_drops.has_value() == read.listen_drops.has_value());
    // Names each counter, so that a new one does not compile until it is written here, too.
    const auto& [overflows, drops, request_drops, resets, cookies, request_cookies, reverse_path] =
        read;
    std::string names;
    std::string numbers;
    const auto write = [&](const char* name, const std::optional<std::uint64_t>& value) {
        if (value) {
            names += ' ';
            names += name;
            numbers += ' ' + std::to_string(*value);
        }
    };
    write("TCPReqQFullDrop", request_drops);
    write("ListenDrops", drops);
    write("ListenOverflows", overflows);
    write("SyncookiesSent", cookies);
    write("TCPReqQFullDoCookies", request_cookies);
    write("IPReversePathFilter", reverse_path);
    const auto again = os::parse_tcp_counters(
        "TcpExt:" + names + "\nTcpExt:" + numbers + '\n',
        resets ? "Tcp: OutRsts\nTcp: " + std::to_string(*resets) + '\n' : std::string{});
    demand(again == read);
}

void read_status(std::string_view text) {
    const auto read = os::parse_process_status(text);
    if (!read) {
        return;
    }
    const auto known = os::why_not_taken({.theirs = read});
    demand(!known.why.empty() && !known.hint.empty());
    demand(text.find(std::to_string(read->users[0])) != std::string_view::npos);
    demand(text.find(std::to_string(read->groups[2])) != std::string_view::npos);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    const auto cut = text.find('\0');
    read_counters(text.substr(0, cut), cut == std::string_view::npos ? text : text.substr(cut + 1));
    read_counters(text, text);
    read_status(text);
    return 0;
}
