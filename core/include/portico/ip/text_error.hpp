// Why a text could not be read, pointing at the character.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace portico::ip {

// A diagnostic for text that a person wrote. `at` counts bytes from 0 and may equal the text's
// length (something is missing at its end).
struct text_error {
    std::size_t at = 0;
    std::size_t length = 1; // how many bytes are wrong, for underlining; at least 1
    std::string what;       // "the zone is empty"
    std::string hint;       // "write it like [fe80::1%eth0]:53", or empty

    friend bool operator==(const text_error&, const text_error&) = default;
};

template <class T>
using text_result = tl::expected<T, text_error>;

// Several lines for a person: the text, a caret under the wrong characters, what is wrong, the
// hint; no newline at the end. Control characters and bytes outside ASCII in `text` are shown as
// '?', so that a caret stays under its character; of a long text only the part around it is shown.
[[nodiscard]] std::string explain(std::string_view text, const text_error& why);

} // namespace portico::ip
