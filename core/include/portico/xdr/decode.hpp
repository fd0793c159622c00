// XDR bytes (RFC 4506) as a value. types.hpp says which type is which.
//
// Strict: only what the encoder makes of some value is taken. Padding is zero, a bool is 0 or 1, an
// enum and a discriminant are among those of the type, lengths within its bounds; what can be
// decoded encodes to the same bytes. Bounded: a length is believed only as far as there are bytes
// for it, so that memory is at most the input's size, times a number that the type alone decides
// (the size of its elements by their least encoding; a list may have twice that while it grows);
// levels within each other end at max_depth. Time: linear. Threads: pure functions. No exception
// comes out of them.
#pragma once

#include "portico/xdr/error.hpp"
#include "portico/xdr/read.hpp"
#include "portico/xdr/types.hpp"

#include <cstddef>
#include <new>
#include <span>

namespace portico::xdr {

// One value from the beginning of `from`; returns how many bytes it has. `into` keeps the memory
// that it has as far as it can be used again; after an error it is some value of its type.
//
// fault::cut_off means that these bytes are the beginning of a value as far as they go: from a
// stream, receive more and try again.
template <class T>
[[nodiscard]] constexpr codec_result<std::size_t> decode_first(std::span<const std::byte> from,
                                                               T& into) {
    detail::reader reading{from};
    try {
        if (reading.get(into)) {
            return reading.offset();
        }
    } catch (const std::bad_alloc&) {
        return tl::unexpected{codec_error{fault::no_memory, reading.offset()}};
    }
    return tl::unexpected{reading.why()};
}

// One value that is all of `from`: bytes after it are fault::trailing_bytes.
template <class T>
[[nodiscard]] constexpr codec_result<void> decode(std::span<const std::byte> from, T& into) {
    const auto size = decode_first(from, into);
    if (!size) {
        return tl::unexpected{size.error()};
    }
    if (*size < from.size()) {
        return tl::unexpected{codec_error{fault::trailing_bytes, *size, from.size() - *size}};
    }
    return {};
}

// The same as a new value.
template <class T>
[[nodiscard]] constexpr codec_result<T> decode(std::span<const std::byte> from) {
    T made{};
    if (const auto done = decode(from, made); !done) {
        return tl::unexpected{done.error()};
    }
    return made;
}

} // namespace portico::xdr
