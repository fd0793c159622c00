// The types of RFC 4506 in C++. Nothing is generated: a plain struct is an XDR struct.
//
//   RFC 4506                        section  here
//   int, unsigned int               4.1, 4.2 std::int32_t, std::uint32_t
//   enum                            4.3      an enum with xdr_enumerators(), see below
//   bool                            4.4      bool
//   hyper, unsigned hyper           4.5      std::int64_t, std::uint64_t
//   float, double                   4.6, 4.7 float, double
//   quadruple                       4.8      xdr::quadruple
//   opaque name[n]                  4.9      std::array<std::byte, n>
//   opaque name<m>                  4.10     bounded<std::vector<std::byte>, m>
//   string name<m>                  4.11     bounded<std::string, m>
//   type name[n]                    4.12     std::array<T, n>
//   type name<m>                    4.13     bounded<std::vector<T>, m>
//   opaque<>, string<>, type<>               the same without bounded
//   struct                          4.14     an aggregate without base, of up to 24 members
//   union                           4.15     std::variant of when<> and otherwise<>
//   void                            4.16     xdr::nothing
//   type *name                      4.19     std::optional<T>; std::unique_ptr<T> if T has itself
//   a list of structs, *next last   4.19     xdr::list<T>, where T is the struct without `next`
//
// const (4.17) and typedef (4.18) are C++'s constexpr and using. A struct of more than 24 members
// is written as a struct of structs, which has the same bytes. An array of C (int x[3]) is no
// member of one. The characters of a string are not looked at; ASCII is what the RFC wants.
#pragma once

#include <array>
#include <cfloat>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace portico::xdr {

// An enum lists its values, in its own namespace, as only they can be encoded or decoded:
//
//   enum class colour { red = 1, blue = 4 };
//   constexpr auto xdr_enumerators(colour) { return std::array{colour::red, colour::blue}; }

// IEEE 754 binary128, by the compiler's type for it (__float128 of GCC and Clang on x86, long
// double on 64-bit ARM and RISC-V). Where it has none: the sixteen bytes as they are sent.
#if defined(__SIZEOF_FLOAT128__)
inline constexpr bool has_quadruple = true;
__extension__ using quadruple = __float128;
#elif LDBL_MANT_DIG == 113
inline constexpr bool has_quadruple = true;
using quadruple = long double;
#else
inline constexpr bool has_quadruple = false;
using quadruple = std::array<std::byte, 16>;
#endif

// void: no bytes at all.
using nothing = std::monostate;

// A string, opaque data or array of variable length with the most that it may have; to be used as
// what it is made from. More cannot be encoded or decoded.
template <class Container, std::uint32_t max>
struct bounded : Container {
    using Container::Container;
    using Container::operator=;
    constexpr bounded() = default;
    constexpr bounded(Container from) noexcept : Container(std::move(from)) {} // NOLINT
};

// Optional-data that goes on: each element is told to be there, and so is the end. The bytes are
// those of `struct { T item; node *next; }` and of a pointer to the first one, but there is no
// recursion, and no limit but the input's.
template <class T>
struct list : std::vector<T> {
    using std::vector<T>::vector;
    using std::vector<T>::operator=;
};

// An arm of a union: `case which: T value`. The type of `which` is that of the discriminant:
// int (1), unsigned int (1U), bool or an enum.
//
//   using reply = std::variant<when<status::ok, double>, when<status::failed, std::string>,
//                              otherwise<status, nothing>>;
template <auto which, class T = nothing>
struct when {
    static constexpr auto discriminant = which;
    T value{};

    friend bool operator==(const when&, const when&) = default;
};

// The arm for all other discriminants: `default: T value`.
template <class Discriminant, class T = nothing>
struct otherwise {
    Discriminant discriminant{};
    T value{};

    friend bool operator==(const otherwise&, const otherwise&) = default;
};

// Levels of std::vector, list and std::unique_ptr within each other that can be encoded and
// decoded, so that no input uses up the stack.
inline constexpr unsigned max_depth = 128;

} // namespace portico::xdr
