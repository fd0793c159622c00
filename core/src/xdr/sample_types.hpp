// Every type of RFC 4506, for tests. tests/conform/everything.x has the same in the RFC's language.
#pragma once

#include "portico/xdr/types.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace portico::xdr::samples {

enum class colour : std::int32_t { red = -1, green = 2, blue = 2147483647 };
constexpr auto xdr_enumerators(colour) {
    return std::array{colour::red, colour::green, colour::blue};
}

struct point {
    std::int32_t x = 0;
    double y = 0;
};

struct numbers {
    std::int32_t an_int = 0;
    std::uint32_t an_unsigned = 0;
    std::int64_t a_hyper = 0;
    std::uint64_t an_unsigned_hyper = 0;
    float a_float = 0;
    double a_double = 0;
    quadruple a_quadruple{};
    bool a_bool = false;
    colour an_enum = colour::red;
};

struct texts {
    std::array<std::byte, 5> fixed{};
    bounded<std::vector<std::byte>, 7> some;
    std::vector<std::byte> any;
    bounded<std::string, 9> name;
    std::string text;
};

struct arrays {
    std::array<std::int32_t, 3> fixed{};
    bounded<std::vector<std::int64_t>, 4> some;
    std::vector<double> any;
    std::vector<point> points;
    std::vector<std::string> words;
    bounded<std::vector<colour>, 3> colours;
    std::vector<bool> flags;
    std::array<std::array<float, 2>, 2> grid{};
};

using by_enum = std::variant<when<colour::red, std::int32_t>,
                             when<colour::green, bounded<std::string, 6>>, otherwise<colour>>;
using by_int = std::variant<when<-1, double>, when<1, point>, when<2, point>,
                            otherwise<std::int32_t, std::vector<std::byte>>>;
using by_unsigned = std::variant<when<0U>, when<4000000000U, std::int64_t>>;
using by_bool = std::variant<when<true, std::uint64_t>, when<false>>;

struct unions {
    by_enum one;
    by_int two;
    by_unsigned three;
    by_bool four;
};

struct tree {
    std::int32_t value = 0;
    std::unique_ptr<tree> left;
    std::unique_ptr<tree> right;
};

struct everything {
    numbers all_numbers;
    texts all_texts;
    arrays all_arrays;
    unions all_unions;
    std::optional<point> maybe;
    list<std::string> entries;
    std::unique_ptr<tree> root;
};

} // namespace portico::xdr::samples
