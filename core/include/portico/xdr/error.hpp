// Why bytes are not the XDR (RFC 4506) of a type, or a value has none, and where.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <type_traits>

namespace portico::xdr {

enum class fault : std::uint8_t {
    cut_off,          // the bytes end within a value
    trailing_bytes,   // and go on after the last one
    bad_padding,      // a byte that fills up to a multiple of four is not zero (section 3)
    bad_bool,         // neither 0 nor 1 (section 4.4), also whether optional data is there
    bad_enum,         // none of the enumerators (section 4.3)
    bad_discriminant, // no arm of the union is for it (section 4.15)
    too_long,         // longer than the type allows (sections 4.10, 4.11 and 4.13)
    too_deep,         // more levels within each other than max_depth
    no_room,          // the caller's buffer is too short for the encoding
    no_memory,        // std::bad_alloc
};
inline constexpr std::size_t faults = 10;
// "cut_off", ...
[[nodiscard]] constexpr std::string_view to_text(fault what) noexcept;

// One failure. `at` counts bytes from 0: in what is decoded, or in the encoding as far as it could
// have been made. `found` and `limit` are numbers for the message: the value that is there, and how
// much would be needed or is the most.
struct codec_error {
    fault what{};
    std::size_t at = 0;
    std::uint64_t found = 0;
    std::uint64_t limit = 0;

    friend bool operator==(const codec_error&, const codec_error&) = default;
};
static_assert(std::is_trivially_copyable_v<codec_error>);

template <class T>
using codec_result = tl::expected<T, codec_error>;

// One line for a person: "at byte 8: 12 bytes are needed, and 3 are there".
[[nodiscard]] inline std::string to_text(const codec_error& why);

// ---- what the templates and inline functions are made of ----

constexpr std::string_view to_text(fault what) noexcept {
    switch (what) {
    case fault::cut_off:
        return "cut_off";
    case fault::trailing_bytes:
        return "trailing_bytes";
    case fault::bad_padding:
        return "bad_padding";
    case fault::bad_bool:
        return "bad_bool";
    case fault::bad_enum:
        return "bad_enum";
    case fault::bad_discriminant:
        return "bad_discriminant";
    case fault::too_long:
        return "too_long";
    case fault::too_deep:
        return "too_deep";
    case fault::no_room:
        return "no_room";
    case fault::no_memory:
        return "no_memory";
    }
    return {};
}

namespace detail {

inline std::string explain(const codec_error& why) {
    const auto found = std::to_string(why.found);
    const auto number = std::to_string(static_cast<std::int64_t>(why.found));
    const auto limit = std::to_string(why.limit);
    switch (why.what) {
    case fault::cut_off:
        return limit + " bytes are needed, and " + found + " are there";
    case fault::trailing_bytes:
        return "the value ends here, and " + found + " bytes follow";
    case fault::bad_padding:
        return "a byte of padding is " + found + ", and not zero";
    case fault::bad_bool:
        return "a bool is " + found + ", and neither 0 nor 1";
    case fault::bad_enum:
        return "an enum is " + number + ", which is none of its values";
    case fault::bad_discriminant:
        return "no arm of the union is for the discriminant " + number;
    case fault::too_long:
        return "the length is " + found + ", and at most " + limit + " is allowed";
    case fault::too_deep:
        return "more than " + limit + " levels within each other";
    case fault::no_room:
        return limit + " bytes are needed, and the buffer has " + found;
    case fault::no_memory:
        return "there is no memory for the value";
    }
    return {};
}

} // namespace detail

inline std::string to_text(const codec_error& why) {
    return "at byte " + std::to_string(why.at) + ": " + detail::explain(why);
}

} // namespace portico::xdr
