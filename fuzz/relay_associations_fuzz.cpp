// Any sequence of operations on the table of UDP clients: it does what the plain model of it does.

#include "../core/src/relay/association_model.hpp"

#include <cstdint>
#include <cstdio>
#include <cstdlib>

using namespace portico;

namespace {

// The input as a row of small numbers; zeros when it is used up.
class choices {
public:
    choices(const std::uint8_t* data, std::size_t size) : data_{data}, size_{size} {}
    [[nodiscard]] bool empty() const { return size_ == 0; }
    std::uint8_t next() {
        if (size_ == 0) {
            return 0;
        }
        --size_;
        return *data_++;
    }

private:
    const std::uint8_t* data_;
    std::size_t size_;
};

ip::endpoint sender(choices& from) {
    const auto bits = from.next();
    const auto low = static_cast<std::uint8_t>(bits % 8);
    const auto port = static_cast<std::uint16_t>(1 + (bits >> 6));
    const auto v4 = ip::address::v4(198, 51, 100, low);
    switch (bits >> 4 & 3) {
    case 0:
        return {v4, port};
    case 1:
        return {ip::address::v6(v4.to_v6()), port};
    default:
        return {ip::address::v6({0x20, 1, 0xd, 0xb8, 0, 0, 0, static_cast<std::uint8_t>(bits >> 5),
                                 0, 0, 0, 0, 0, 0, 0, low}),
                port};
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    choices from{data, std::min<std::size_t>(size, 4096)};
    const relay::association_settings how{.capacity = from.next() % 32U,
                                          .max_per_prefix = from.next() % 8U,
                                          .v6_prefix = from.next() % 129U,
                                          .idle = std::chrono::milliseconds{from.next()},
                                          .idle_unproven = std::chrono::milliseconds{from.next()}};
    relay::associations table{how, {1, 2}};
    relay::test::association_model model{how};
    instant now{std::chrono::seconds{1}};
    while (!from.empty()) {
        std::string wrong;
        const auto bits = from.next();
        now += std::chrono::milliseconds{bits >> 2 & 15};
        const auto& seen = model.seen();
        // Of those given lately, or one that never was.
        const auto back = (bits & 3) == 0 ? 0U : from.next() % 64U;
        const auto id =
            back < seen.size() ? seen[seen.size() - 1 - back] : relay::association_id{back, bits};
        switch (bits & 3) {
        case 0:
        case 1: {
            const ip::endpoint here{ip::address::v4(192, 0, 2, 1),
                                    static_cast<std::uint16_t>(bits >> 7)};
            wrong = model.handle_datagram(now, {sender(from), here}, table);
            break;
        }
        case 2:
            wrong = model.handle_answer(now, id, table);
            break;
        default:
            wrong = (bits & 64) == 0 ? model.handle_closed(id, table) : model.expire(now, table);
        }
        wrong = wrong.empty() ? model.compare(table) : wrong;
        if (!wrong.empty()) {
            std::fprintf(stderr, "%s\n", wrong.c_str());
            std::abort();
        }
    }
    return 0;
}
