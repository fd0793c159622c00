// portico::xdr against rpcgen and libtirpc: the same bytes for the same values, both ways.

#include "portico/xdr/decode.hpp"
#include "portico/xdr/encode.hpp"
#include "xdr/sample_types.hpp"

#include <cstring>
#include <deque>
#include <everything.h> // made by rpcgen
#include <gtest/gtest.h>
#include <limits>
#include <random>

namespace portico::xdr {
namespace {

using bytes = std::vector<std::byte>;

// ---- random values ----

class maker {
public:
    explicit maker(unsigned seed) : random_{seed} {}

    samples::everything everything() {
        samples::everything made{numbers(), texts(), arrays(), unions(), {}, {}, tree(5)};
        if (below(2) == 1) {
            made.maybe = point();
        }
        for (std::size_t left = below(20); left > 0; --left) {
            made.entries.push_back(text(12));
        }
        return made;
    }

private:
    std::size_t below(std::size_t end) { return random_() % end; }
    // Any bits, but often one of the ends.
    template <class T>
    T any() {
        switch (below(8)) {
        case 0:
            return std::numeric_limits<T>::max();
        case 1:
            return std::numeric_limits<T>::lowest();
        case 2:
            return T{};
        default:
            break;
        }
        const auto bits = random_();
        T made{};
        std::memcpy(&made, &bits, sizeof made);
        return made;
    }
    std::byte byte() { return static_cast<std::byte>(below(256)); }
    bytes opaque(std::size_t most) {
        bytes made(below(most + 1));
        std::ranges::generate(made, [this] { return byte(); });
        return made;
    }
    // Without a zero byte, which ends a string of libtirpc.
    std::string text(std::size_t most) {
        std::string made(below(most + 1), '\0');
        std::ranges::generate(made, [this] { return static_cast<char>(1 + below(255)); });
        return made;
    }
    samples::colour colour() { return xdr_enumerators(samples::colour{})[below(3)]; }
    samples::point point() { return {any<std::int32_t>(), any<double>()}; }
    template <class T, class Make>
    std::vector<T> several(std::size_t most, Make make) {
        std::vector<T> made;
        for (std::size_t left = below(most + 1); left > 0; --left) {
            made.push_back(make());
        }
        return made;
    }

    samples::numbers numbers() {
        samples::numbers made{any<std::int32_t>(),
                              any<std::uint32_t>(),
                              any<std::int64_t>(),
                              any<std::uint64_t>(),
                              any<float>(),
                              any<double>(),
                              {},
                              below(2) == 1,
                              colour()};
        std::array<std::byte, 16> bits{};
        std::ranges::generate(bits, [this] { return byte(); });
        std::memcpy(&made.a_quadruple, bits.data(), bits.size());
        return made;
    }
    samples::texts texts() {
        samples::texts made{{}, opaque(7), opaque(100), text(9), text(300)};
        std::ranges::generate(made.fixed, [this] { return byte(); });
        return made;
    }
    samples::arrays arrays() {
        samples::arrays made;
        std::ranges::generate(made.fixed, [this] { return any<std::int32_t>(); });
        made.some = several<std::int64_t>(4, [this] { return any<std::int64_t>(); });
        made.any = several<double>(30, [this] { return any<double>(); });
        made.points = several<samples::point>(9, [this] { return point(); });
        made.words = several<std::string>(9, [this] { return text(20); });
        made.colours = several<samples::colour>(3, [this] { return colour(); });
        made.flags = several<bool>(9, [this] { return below(2) == 1; });
        for (auto& row : made.grid) {
            std::ranges::generate(row, [this] { return any<float>(); });
        }
        return made;
    }

    samples::unions unions() { return {by_enum(), by_int(), by_unsigned(), by_bool()}; }
    samples::by_enum by_enum() {
        switch (colour()) {
        case samples::colour::red:
            return when<samples::colour::red, std::int32_t>{any<std::int32_t>()};
        case samples::colour::green:
            return when<samples::colour::green, bounded<std::string, 6>>{text(6)};
        default:
            return otherwise<samples::colour>{samples::colour::blue, {}};
        }
    }
    samples::by_int by_int() {
        switch (below(4)) {
        case 0:
            return when<-1, double>{any<double>()};
        case 1:
            return when<1, samples::point>{point()};
        case 2:
            return when<2, samples::point>{point()};
        default:
            return otherwise<std::int32_t, bytes>{static_cast<std::int32_t>(3 + below(1000)),
                                                  opaque(20)};
        }
    }
    samples::by_unsigned by_unsigned() {
        if (below(2) == 0) {
            return when<0U>{};
        }
        return when<4000000000U, std::int64_t>{any<std::int64_t>()};
    }
    samples::by_bool by_bool() {
        if (below(2) == 0) {
            return when<false>{};
        }
        return when<true, std::uint64_t>{any<std::uint64_t>()};
    }

    std::unique_ptr<samples::tree> tree(std::size_t levels) {
        if (levels == 0 || below(4) == 0) {
            return nullptr;
        }
        return std::make_unique<samples::tree>(
            samples::tree{any<std::int32_t>(), tree(levels - 1), tree(levels - 1)});
    }

    std::mt19937_64 random_;
};

// ---- the same values as rpcgen has them ----

// What it makes refers to the value and to this, and nothing of it may be freed.
class translator {
public:
    ::everything operator()(samples::everything& from) {
        ::everything made{};
        made.all_numbers = numbers(from.all_numbers);
        made.all_texts = texts(from.all_texts);
        made.all_arrays = arrays(from.all_arrays);
        made.all_unions = unions(from.all_unions);
        made.maybe = from.maybe ? &points_.emplace_back(point(*from.maybe)) : nullptr;
        ::entry** next = &made.entries;
        for (auto& each : from.entries) {
            *next = &entries_.emplace_back(::entry{each.data(), nullptr});
            next = &(*next)->next;
        }
        made.root = tree(from.root.get());
        return made;
    }

private:
    static ::colour colour(samples::colour from) { return static_cast<::colour>(from); }
    static ::point point(const samples::point& from) { return {from.x, from.y}; }
    template <class To, class From>
    static void point_to(From& from, u_int& size, To*& value) {
        static_assert(sizeof(*from.data()) == sizeof(To));
        size = static_cast<u_int>(from.size());
        value = reinterpret_cast<To*>(from.data());
    }

    // Big-endian, so this only needs the bytes of the number in the other order.
    static void quadruple_bytes(const quadruple& from, char* to) {
        std::memcpy(to, &from, 16);
        if (has_quadruple && std::endian::native == std::endian::little) {
            std::reverse(to, to + 16);
        }
    }
    static ::numbers numbers(const samples::numbers& from) {
        ::numbers made{
            from.an_int,         from.an_unsigned, from.a_hyper, from.an_unsigned_hyper,
            from.a_float,        from.a_double,    {},           from.a_bool ? TRUE : FALSE,
            colour(from.an_enum)};
        quadruple_bytes(from.a_quadruple, made.a_quadruple);
        return made;
    }
    static ::texts texts(samples::texts& from) {
        ::texts made{};
        std::memcpy(made.fixed, from.fixed.data(), sizeof made.fixed);
        point_to(from.some, made.some.some_len, made.some.some_val);
        point_to(from.any, made.any.any_len, made.any.any_val);
        made.name = from.name.data();
        made.text = from.text.data();
        return made;
    }
    ::arrays arrays(samples::arrays& from) {
        ::arrays made{};
        std::ranges::copy(from.fixed, made.fixed);
        point_to(from.some, made.some.some_len, made.some.some_val);
        point_to(from.any, made.any.any_len, made.any.any_val);
        point_to(from.points, made.points.points_len, made.points.points_val);
        for (auto& each : from.words) {
            words_.push_back(each.data());
        }
        point_to(words_, made.words.words_len, made.words.words_val);
        point_to(from.colours, made.colours.colours_len, made.colours.colours_val);
        flags_.assign(from.flags.begin(), from.flags.end());
        point_to(flags_, made.flags.flags_len, made.flags.flags_val);
        for (std::size_t i = 0; i < 2; ++i) {
            std::ranges::copy(from.grid[i], made.grid[i]);
        }
        return made;
    }

    static ::unions unions(samples::unions& from) {
        return {by_enum(from.one), by_int(from.two), by_unsigned(from.three), by_bool(from.four)};
    }
    static ::by_enum by_enum(samples::by_enum& from) {
        ::by_enum made{};
        std::visit([&](auto& arm) { made.which = colour(arm.discriminant); }, from);
        if (auto* red = std::get_if<0>(&from)) {
            made.by_enum_u.count = red->value;
        } else if (auto* green = std::get_if<1>(&from)) {
            made.by_enum_u.text = green->value.data();
        }
        return made;
    }
    static ::by_int by_int(samples::by_int& from) {
        ::by_int made{};
        std::visit([&](auto& arm) { made.which = arm.discriminant; }, from);
        if (auto* real = std::get_if<0>(&from)) {
            made.by_int_u.real = real->value;
        } else if (auto* first = std::get_if<1>(&from)) {
            made.by_int_u.shared = point(first->value);
        } else if (auto* second = std::get_if<2>(&from)) {
            made.by_int_u.shared = point(second->value);
        } else {
            point_to(std::get<3>(from).value, made.by_int_u.raw.raw_len, made.by_int_u.raw.raw_val);
        }
        return made;
    }
    static ::by_unsigned by_unsigned(samples::by_unsigned& from) {
        if (auto* big = std::get_if<1>(&from)) {
            return {4000000000U, {big->value}};
        }
        return {0, {}};
    }
    static ::by_bool by_bool(samples::by_bool& from) {
        if (auto* number = std::get_if<0>(&from)) {
            return {TRUE, {number->value}};
        }
        return {FALSE, {}};
    }

    ::tree* tree(const samples::tree* from) {
        if (from == nullptr) {
            return nullptr;
        }
        return &trees_.emplace_back(
            ::tree{from->value, tree(from->left.get()), tree(from->right.get())});
    }

    std::deque<::point> points_;
    std::deque<::entry> entries_;
    std::deque<::tree> trees_;
    std::vector<char*> words_;
    std::vector<bool_t> flags_;
};

// ---- libtirpc ----

bytes encoded_by_libtirpc(::everything& value) {
    bytes made(1 << 16);
    XDR stream{};
    ::xdrmem_create(&stream, reinterpret_cast<char*>(made.data()), static_cast<u_int>(made.size()),
                    XDR_ENCODE);
    if (!::xdr_everything(&stream, &value)) {
        return {};
    }
    made.resize(xdr_getpos(&stream));
    return made;
}

// Decodes and encodes it again; nothing when it cannot be decoded or bytes are left.
bytes through_libtirpc(bytes from) {
    XDR stream{};
    ::xdrmem_create(&stream, reinterpret_cast<char*>(from.data()), static_cast<u_int>(from.size()),
                    XDR_DECODE);
    ::everything value{};
    bytes made;
    if (::xdr_everything(&stream, &value) && xdr_getpos(&stream) == from.size()) {
        made = encoded_by_libtirpc(value);
    }
    ::xdr_free(reinterpret_cast<xdrproc_t>(::xdr_everything), &value);
    return made;
}

constexpr unsigned rounds = 5000;

TEST(xdr_and_libtirpc, the_same_value_has_the_same_bytes) {
    for (unsigned seed = 0; seed < rounds; ++seed) {
        auto value = maker{seed}.everything();
        translator translate;
        auto theirs = translate(value);
        const auto expected = encoded_by_libtirpc(theirs);
        ASSERT_FALSE(expected.empty()) << "seed " << seed;
        const auto ours = encode(value);
        ASSERT_TRUE(ours) << "seed " << seed << ": " << to_text(ours.error());
        ASSERT_EQ(*ours, expected) << "seed " << seed;
    }
}

TEST(xdr_and_libtirpc, what_libtirpc_encodes_we_decode) {
    for (unsigned seed = 0; seed < rounds; ++seed) {
        auto value = maker{seed}.everything();
        translator translate;
        auto theirs = translate(value);
        const auto expected = encoded_by_libtirpc(theirs);
        auto read = decode<samples::everything>(expected);
        ASSERT_TRUE(read) << "seed " << seed << ": " << to_text(read.error());
        // The value that was read, in their words, is the one that was written.
        translator again;
        auto same = again(*read);
        ASSERT_EQ(encoded_by_libtirpc(same), expected) << "seed " << seed;
    }
}

TEST(xdr_and_libtirpc, what_we_encode_libtirpc_decodes) {
    for (unsigned seed = 0; seed < rounds; ++seed) {
        const auto ours = encode(maker{seed}.everything());
        ASSERT_TRUE(ours) << "seed " << seed << ": " << to_text(ours.error());
        ASSERT_EQ(through_libtirpc(*ours), *ours) << "seed " << seed;
    }
}

// What libtirpc refuses of damaged bytes we refuse as well; we refuse more, as we are strict.
TEST(xdr_and_libtirpc, we_take_no_bytes_that_libtirpc_refuses) {
    std::mt19937_64 random{7};
    unsigned taken = 0;
    for (unsigned seed = 0; seed < rounds; ++seed) {
        auto damaged = encode(maker{seed}.everything()).value();
        damaged[random() % damaged.size()] ^= static_cast<std::byte>(1 + random() % 255);
        const auto read = decode<samples::everything>(damaged);
        if (!read) {
            continue;
        }
        ++taken;
        // A string of theirs ends at its first zero byte.
        const auto theirs = through_libtirpc(damaged);
        ASSERT_FALSE(theirs.empty()) << "seed " << seed;
    }
    EXPECT_GT(taken, rounds / 10);
}

} // namespace
} // namespace portico::xdr
