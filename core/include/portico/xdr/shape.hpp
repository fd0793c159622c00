// What the compiler knows of the encoding of a type: its kind, its least size, whether it is always
// of one size and every byte of it is a valid one.
#pragma once

#include "portico/xdr/bytes.hpp"
#include "portico/xdr/members.hpp"
#include "portico/xdr/types.hpp"

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace portico::xdr::detail {

// ---- numbers ----

static_assert(std::numeric_limits<float>::is_iec559 && sizeof(float) == 4);
static_assert(std::numeric_limits<double>::is_iec559 && sizeof(double) == 8);

template <class T, class... Kinds>
concept one_of = (std::same_as<T, Kinds> || ...);

// int, hyper and their unsigned kinds, by whatever name C++ has them.
template <class T>
concept integer = one_of<T, int, unsigned, long, unsigned long, long long, unsigned long long>;
static_assert(sizeof(int) == 4 && sizeof(long long) == 8);
static_assert(sizeof(long) == 4 || sizeof(long) == 8);

template <class T>
concept binary128 = has_quadruple && std::same_as<T, quadruple>;

template <class T>
concept number = integer<T> || one_of<T, float, double> || binary128<T>;

// ---- enums ----

template <class T>
concept enumeration = std::is_enum_v<T> && requires(T value) {
    xdr_enumerators(value).begin();
};

template <enumeration T>
constexpr std::int64_t number_of(T value) noexcept {
    return static_cast<std::int64_t>(static_cast<std::underlying_type_t<T>>(value));
}

template <enumeration T>
inline constexpr auto enumerators = xdr_enumerators(T{});

template <enumeration T>
constexpr bool is_enumerator(std::int64_t number) noexcept {
    static_assert(std::ranges::all_of(enumerators<T>,
                                      [](T each) {
                                          return std::in_range<std::int32_t>(
                                              static_cast<std::underlying_type_t<T>>(each));
                                      }),
                  "the values of an enum are signed numbers of 32 bits (RFC 4506 section 4.3)");
    return std::ranges::any_of(enumerators<T>,
                               [number](T each) { return number_of(each) == number; });
}

// ---- what has other values in it ----

template <class T>
inline constexpr bool is_array = false;
template <class T, std::size_t n>
inline constexpr bool is_array<std::array<T, n>> = true;

template <class T>
inline constexpr bool is_opaque = false;
template <std::size_t n>
inline constexpr bool is_opaque<std::array<std::byte, n>> = true;

// Its encoding begins with a length, or with whether it is there.
template <class T>
inline constexpr bool is_counted = std::same_as<T, std::string>;
template <class T>
inline constexpr bool is_counted<std::vector<T>> = true;
template <class T>
inline constexpr bool is_counted<list<T>> = true;
template <class T>
inline constexpr bool is_counted<std::optional<T>> = true;
template <class T>
inline constexpr bool is_counted<std::unique_ptr<T>> = true;
template <std::uint32_t max>
inline constexpr bool is_counted<bounded<std::string, max>> = true;
template <class T, std::uint32_t max>
inline constexpr bool is_counted<bounded<std::vector<T>, max>> = true;

template <class T>
inline constexpr bool is_union = false;
template <class... Arms>
inline constexpr bool is_union<std::variant<Arms...>> = true;

template <class T>
concept structure =
    std::is_aggregate_v<T> && std::is_class_v<T> && !is_array<T> && !one_of<T, nothing>;

// ---- unions ----

template <class T>
inline constexpr bool is_when = false;
template <auto which, class T>
inline constexpr bool is_when<when<which, T>> = true;

template <class T>
inline constexpr bool is_otherwise = false;
template <class Discriminant, class T>
inline constexpr bool is_otherwise<otherwise<Discriminant, T>> = true;

template <class Arm>
using discriminant_of = std::remove_const_t<decltype(Arm::discriminant)>;
template <class Arm>
using value_of = decltype(Arm::value);

template <class T>
concept discriminant = one_of<T, std::int32_t, std::uint32_t, bool> || enumeration<T>;

// As a 64-bit number for a codec_error.
template <class T>
constexpr std::uint64_t found_of(T value) noexcept {
    if constexpr (enumeration<T>) {
        return static_cast<std::uint64_t>(number_of(value));
    } else {
        return static_cast<std::uint64_t>(std::int64_t{value});
    }
}

template <class T>
concept arm = is_when<T> || is_otherwise<T>;

// Whether an arm that is not the default one is for this discriminant.
template <arm Arm>
constexpr bool is_for(discriminant_of<Arm> value) noexcept {
    if constexpr (is_when<Arm>) {
        return value == Arm::discriminant;
    } else {
        return false;
    }
}

// Whether it is the only one for its discriminant, which an enum has to have.
template <arm Arm, class... All>
consteval bool is_good_among() {
    if constexpr (is_otherwise<Arm>) {
        return (std::size_t{is_otherwise<All>} + ...) == 1;
    } else if constexpr (enumeration<discriminant_of<Arm>>) {
        return (std::size_t{is_for<All>(Arm::discriminant)} + ...) == 1 &&
               is_enumerator<discriminant_of<Arm>>(number_of(Arm::discriminant));
    } else {
        return (std::size_t{is_for<All>(Arm::discriminant)} + ...) == 1;
    }
}

// The rules of section 4.15.
template <arm First, arm... Rest>
struct arms_of {
    using discriminant_type = discriminant_of<First>;
    static_assert(discriminant<discriminant_type>,
                  "a discriminant is int, unsigned int, bool or an enum");
    static_assert((std::same_as<discriminant_type, discriminant_of<Rest>> && ...),
                  "the arms of a union have discriminants of one type");
    static_assert(is_good_among<First, First, Rest...>() &&
                      (is_good_among<Rest, First, Rest...>() && ...),
                  "each arm of a union is for another discriminant, which the enum has, and one "
                  "at most is the default");

    static constexpr bool has_default = is_otherwise<First> || (is_otherwise<Rest> || ...);
    static constexpr bool has_case(discriminant_type value) noexcept {
        return is_for<First>(value) || (is_for<Rest>(value) || ...);
    }
};

// ---- sizes ----

template <class T>
consteval std::size_t least_size();

template <class... Ts>
consteval std::size_t least_size_of_all(std::tuple<Ts...>* /*unused*/) {
    return (std::size_t{0} + ... + least_size<Ts>());
}
template <class... Arms>
consteval std::size_t least_size_of_any(std::variant<Arms...>* /*unused*/) {
    static_assert((arm<Arms> && ...), "the arms of a union are xdr::when<> and xdr::otherwise<>");
    static_assert(sizeof(arms_of<Arms...>) > 0); // which has the other rules
    return std::min({least_size<value_of<Arms>>()...});
}

// The bytes that the encoding of any value has at least. A type that the RFC does not have ends
// here.
template <class T>
consteval std::size_t least_size() {
    if constexpr (number<T>) {
        return sizeof(T);
    } else if constexpr (one_of<T, nothing>) {
        return 0;
    } else if constexpr (one_of<T, bool> || enumeration<T> || is_counted<T>) {
        return unit;
    } else if constexpr (is_opaque<T>) {
        return std::tuple_size_v<T> + padding_after(std::tuple_size_v<T>);
    } else if constexpr (is_array<T>) {
        return std::tuple_size_v<T> * least_size<typename T::value_type>();
    } else if constexpr (is_union<T>) {
        return unit + least_size_of_any(static_cast<T*>(nullptr));
    } else if constexpr (structure<T>) {
        return least_size_of_all(static_cast<members_of<T>*>(nullptr));
    } else {
        static_assert(!std::same_as<T, T>,
                      "RFC 4506 has no such type: portico/xdr/types.hpp has those that it has "
                      "(integers are of 32 or 64 bits, opaque data is of std::byte, an enum needs "
                      "xdr_enumerators())");
    }
}

template <class... Ts>
consteval bool are_plain(std::tuple<Ts...>* /*unused*/);

// Whether all values have encodings of one size, and all bytes of this size are a value.
template <class T>
consteval bool is_plain() {
    if constexpr (number<T>) {
        return true;
    } else if constexpr (is_opaque<T>) {
        return padding_after(std::tuple_size_v<T>) == 0;
    } else if constexpr (is_array<T>) {
        return is_plain<typename T::value_type>();
    } else if constexpr (structure<T>) {
        return are_plain(static_cast<members_of<T>*>(nullptr));
    } else {
        [[maybe_unused]] constexpr auto refuses_what_is_no_type = least_size<T>();
        return false;
    }
}

template <class... Ts>
consteval bool are_plain(std::tuple<Ts...>* /*unused*/) {
    return (is_plain<Ts>() && ...);
}

template <class T>
concept plain = is_plain<T>();

// The length that no type of variable length goes beyond.
inline constexpr std::uint64_t most = std::numeric_limits<std::uint32_t>::max();

// An array of variable length has elements that take room, or else four bytes could be a terabyte.
template <class T>
concept element = (least_size<T>() > 0);

} // namespace portico::xdr::detail
