// A value as its XDR bytes (RFC 4506). types.hpp says which type is which.
//
// Every value has one encoding, and what is encoded can be decoded: a value that breaks the rules
// of its type (too long, not an enumerator, a discriminant that another arm is for, too deep) is
// refused. Threads: pure functions. No exception comes out of them.
#pragma once

#include "portico/xdr/error.hpp"
#include "portico/xdr/measure.hpp"
#include "portico/xdr/types.hpp"
#include "portico/xdr/write.hpp"

#include <cstddef>
#include <new>
#include <span>
#include <vector>

namespace portico::xdr {

// How many bytes the encoding has: always a multiple of four. Time: constant for numbers and arrays
// of them, linear in the elements of everything else.
template <class T>
[[nodiscard]] constexpr codec_result<std::size_t> encoded_size(const T& value) {
    detail::meter measuring;
    if (!measuring.add(value)) {
        return tl::unexpected{measuring.why()};
    }
    return measuring.size();
}

// Writes to the beginning of `to`, and returns how many bytes that were. On an error nothing is
// written. Memory: none. Time: linear.
template <class T>
[[nodiscard]] constexpr codec_result<std::size_t> encode(const T& value, std::span<std::byte> to) {
    const auto size = encoded_size(value);
    if (size && *size > to.size()) {
        return tl::unexpected{codec_error{fault::no_room, to.size(), to.size(), *size}};
    }
    if (size) {
        detail::writer{to.data()}.put(value);
    }
    return size;
}

// Appends to `to`, which an error leaves as it was.
template <class T>
[[nodiscard]] constexpr codec_result<void> append(const T& value, std::vector<std::byte>& to) {
    const auto size = encoded_size(value);
    if (!size) {
        return tl::unexpected{size.error()};
    }
    const auto before = to.size();
    try {
        to.resize(before + *size);
    } catch (const std::bad_alloc&) {
        return tl::unexpected{codec_error{fault::no_memory, 0}};
    }
    detail::writer{to.data() + before}.put(value);
    return {};
}

template <class T>
[[nodiscard]] codec_result<std::vector<std::byte>> encode(const T& value) {
    std::vector<std::byte> made;
    if (const auto done = append(value, made); !done) {
        return tl::unexpected{done.error()};
    }
    return made;
}

} // namespace portico::xdr
