// The answers of the built-in services.

#include "portico/serve/builtin.hpp"
#include "portico/ip/canonical.hpp"

#include <algorithm>

namespace portico::serve {
namespace {

constexpr std::array<std::string_view, 7> weekdays{"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                   "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> months{"January",   "February", "March",    "April",
                                                  "May",       "June",     "July",     "August",
                                                  "September", "October",  "November", "December"};

constexpr std::size_t line_width = 72;
constexpr std::size_t printable = 95; // ' ' to '~'
constexpr std::size_t line_size = line_width + 2;

constexpr auto make_turn() {
    std::array<char, printable * line_size> made{};
    for (std::size_t line = 0; line < printable; ++line) {
        for (std::size_t i = 0; i < line_width; ++i) {
            made[line * line_size + i] = static_cast<char>(' ' + (line + i) % printable);
        }
        made[line * line_size + line_width] = '\r';
        made[line * line_size + line_width + 1] = '\n';
    }
    return made;
}

constexpr auto turn = make_turn();

std::string two_digits(long long value) {
    return {static_cast<char>('0' + value / 10), static_cast<char>('0' + value % 10)};
}

ip::any_endpoint canonical_of(const ip::any_endpoint& which) {
    const auto* at = std::get_if<ip::endpoint>(&which);
    return at == nullptr ? which : ip::any_endpoint{ip::canonical(*at)};
}

std::string name_of(const ip::any_endpoint& which) {
    const auto* file = std::get_if<ip::unix_name>(&which);
    const bool unnamed =
        std::holds_alternative<std::monostate>(which) || (file != nullptr && file->empty());
    return unnamed ? "an unnamed socket" : ip::to_text(which);
}

} // namespace

std::string_view to_text(builtin which) noexcept {
    switch (which) {
    case builtin::echo:
        return "echo";
    case builtin::discard:
        return "discard";
    case builtin::chargen:
        return "chargen";
    case builtin::daytime:
        return "daytime";
    case builtin::time:
        return "time";
    case builtin::hello:
        return "hello";
    }
    return "?";
}

std::string daytime_line(std::chrono::seconds since_1970) {
    using namespace std::chrono;
    constexpr sys_seconds first = sys_days{year::min() / January / 1};
    constexpr sys_seconds last = sys_days{year::max() / December / 31} + hours{24} - seconds{1};
    const auto when = std::clamp(sys_seconds{since_1970}, first, last);
    const auto midnight = floor<days>(when);
    const year_month_day date{midnight};
    const hh_mm_ss clock{when - midnight};
    return std::string{weekdays[weekday{midnight}.c_encoding()]} + ", " +
           std::string{months[static_cast<unsigned>(date.month()) - 1]} + ' ' +
           std::to_string(static_cast<unsigned>(date.day())) + ", " +
           std::to_string(static_cast<int>(date.year())) + ' ' + two_digits(clock.hours().count()) +
           ':' + two_digits(clock.minutes().count()) + ':' + two_digits(clock.seconds().count()) +
           "-UTC\r\n";
}

std::array<std::byte, 4> time_bytes(std::chrono::seconds since_1970) noexcept {
    constexpr std::uint64_t from_1900_to_1970 = 2'208'988'800;
    const auto value = static_cast<std::uint32_t>(static_cast<std::uint64_t>(since_1970.count()) +
                                                  from_1900_to_1970);
    return {std::byte(value >> 24), std::byte(value >> 16 & 0xff), std::byte(value >> 8 & 0xff),
            std::byte(value & 0xff)};
}

std::string hello_line(const ip::any_endpoint& peer, const ip::any_endpoint& local) {
    const auto from = canonical_of(peer);
    const auto to = canonical_of(local);
    const auto* at = std::get_if<ip::endpoint>(&to);
    return "hello from portico: you are " + name_of(from) + ", this is " + name_of(to) + ", over " +
           (at == nullptr ? "UNIX" : std::string{ip::to_text(at->address.family())}) + '\n';
}

std::string_view chargen_turn() noexcept {
    return {turn.data(), turn.size()};
}

// A Weyl sequence with the finalizer of SplitMix64; <random> is not for core. The remainder's bias
// is one part in 2^54.
std::size_t chargen_lengths::next() noexcept {
    state_ += 0x9e3779b97f4a7c15;
    std::uint64_t mixed = state_;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    return static_cast<std::size_t>((mixed ^ mixed >> 31) % (longest + 1));
}

} // namespace portico::serve
