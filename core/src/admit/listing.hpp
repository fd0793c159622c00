// A list with commas between its items, cut apart.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace portico::admit {

// Gives the items one by one, without the spaces around them. A list has at least one item, and
// items may be empty; the reader says what is wrong with those.
class listing {
public:
    struct item {
        std::string_view text;
        std::size_t at = 0; // where it begins in the list; of an empty one, where it would
    };

    explicit listing(std::string_view text) noexcept : text_{text} {}

    [[nodiscard]] std::optional<item> next() noexcept {
        if (begin_ > text_.size()) {
            return std::nullopt;
        }
        std::size_t end = text_.find(',', begin_);
        end = end == std::string_view::npos ? text_.size() : end;
        std::size_t first = begin_;
        begin_ = end + 1;
        while (first < end && text_[first] == ' ') {
            ++first;
        }
        std::size_t last = end;
        while (last > first && text_[last - 1] == ' ') {
            --last;
        }
        return item{text_.substr(first, last - first), first};
    }

private:
    std::string_view text_;
    std::size_t begin_ = 0; // of the next item; behind the end when all are given
};

} // namespace portico::admit
