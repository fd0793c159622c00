// Any sequence of operations on the machine of two byte streams: nothing is lost, no stream ends
// early, nobody is reset for nothing, and it ends.

#include "../core/src/relay/streams_model.hpp"

#include <cstdint>
#include <cstdio>
#include <cstdlib>

using namespace portico;

namespace {

// The input as a row of numbers; zeros when it is used up.
class choices {
public:
    choices(const std::uint8_t* data, std::size_t size) : data_{data}, size_{size} {}
    std::uint64_t below(std::uint64_t limit) {
        std::uint64_t number = 0;
        for (auto left = limit; left > 1 && size_ != 0; left >>= 8U) {
            number = number << 8U | *data_++;
            --size_;
        }
        return number % limit;
    }

private:
    const std::uint8_t* data_;
    std::size_t size_;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    choices from{data, size};
    const relay::limits none{};
    const auto steps = static_cast<int>(std::min<std::size_t>(size, 1000));
    const auto wrong = relay::test::streams_model{from, none}.run(steps);
    if (!wrong.empty()) {
        std::fprintf(stderr, "%s\n", wrong.c_str());
        std::abort();
    }
    return 0;
}
