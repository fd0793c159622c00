// A struct with an enum, floats and strings, sent over a socket as XDR (RFC 4506) and read at the
// other end, which could be on any machine and in any language. Sends two of them, and then one
// that was damaged on the way.
#include <portico/os/socket.hpp>
#include <portico/xdr/decode.hpp>
#include <portico/xdr/encode.hpp>

#include <array>
#include <cstdio>
#include <sys/socket.h>

using namespace portico;

namespace {

// [types]
enum class unit { celsius = 1, kelvin = 2 };
constexpr auto xdr_enumerators(unit) {
    return std::array{unit::celsius, unit::kelvin};
}

struct reading {
    xdr::bounded<std::string, 32> sensor;
    std::int64_t time;
    unit in;
    float value;
    std::vector<double> history;
    std::optional<std::string> note;
};
// [types]

// [receive]
constexpr std::size_t most = 4096; // with so many bytes kept, no more are received

// The next reading of a stream; `kept` has what was received and not read yet.
xdr::codec_result<reading> receive(int socket, std::vector<std::byte>& kept) {
    for (;;) {
        reading made;
        const auto size = xdr::decode_first(kept, made);
        if (size) {
            kept.erase(kept.begin(), kept.begin() + static_cast<std::ptrdiff_t>(*size));
            return made;
        }
        const bool is_right_so_far = size.error().what == xdr::fault::cut_off;
        std::array<std::byte, 512> more;
        const auto got =
            is_right_so_far && kept.size() < most ? os::recv(socket, more).value_or(0) : 0;
        if (got == 0) {
            return tl::unexpected{size.error()};
        }
        kept.insert(kept.end(), more.begin(), more.begin() + static_cast<std::ptrdiff_t>(got));
    }
}
// [receive]

void show(const std::vector<std::byte>& bytes) {
    std::printf("%zu bytes:", bytes.size());
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        std::printf("%s%02x",
                    i % 32 == 0  ? "\n  "
                    : i % 4 == 0 ? " "
                                 : "",
                    std::to_integer<unsigned>(bytes[i]));
    }
    std::printf("\n");
}

void show(const reading& what) {
    std::printf("%s: %.2f %s, %zu before, %s\n", what.sensor.c_str(),
                static_cast<double>(what.value), what.in == unit::celsius ? "C" : "K",
                what.history.size(), what.note.value_or("no note").c_str());
}

} // namespace

int main() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) != 0) {
        std::perror("socketpair");
        return 111;
    }
    // [send]
    std::vector<std::byte> bytes;
    const reading outside{"outside", 1500000000, unit::celsius, -3.5F, {-3.25, -4}, "windy"};
    if (const auto done = xdr::append(outside, bytes); !done) {
        std::printf("cannot be sent: %s\n", xdr::to_text(done.error()).c_str());
        return 100;
    }
    // [send]
    show(bytes);
    const auto one = bytes;
    bytes.insert(bytes.end(), one.begin(), one.end());
    bytes.insert(bytes.end(), one.begin(), one.end());
    bytes[2 * one.size() + 23] = std::byte{7}; // the unit of the third
    for (std::span<const std::byte> rest = bytes; !rest.empty();) {
        const auto sent = os::send(ends[0], rest);
        if (!sent) {
            return 111;
        }
        rest = rest.subspan(*sent);
    }
    std::vector<std::byte> kept;
    auto next = receive(ends[1], kept);
    for (; next; next = receive(ends[1], kept)) {
        show(*next);
    }
    std::printf("refused: %s\n", xdr::to_text(next.error()).c_str());
}
