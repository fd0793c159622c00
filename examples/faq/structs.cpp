// A struct in memory, and the same as XDR (II.15).
#include <portico/xdr/encode.hpp>

#include <cstdint>
#include <iomanip>
#include <iostream>

using namespace portico;

namespace {

struct sample {
    bool valid;
    double value;
    std::int32_t count;
};

} // namespace

int main() {
    const sample taken{true, -3.5, 7};
    const auto bytes = xdr::encode(taken).value();
    std::cout << "in memory: " << sizeof taken << " bytes, of which "
              << sizeof taken.valid + sizeof taken.value + sizeof taken.count << " mean something\n"
              << "as XDR:   ";
    for (const auto each : bytes) {
        std::cout << ' ' << std::hex << std::setfill('0') << std::setw(2)
                  << std::to_integer<int>(each);
    }
    std::cout << '\n';
}
