#include "log/journal_errors.hpp"

#include "log/log.hpp"

#include <iostream>
#include <utility>

namespace portico::app {

prefixed_lines::prefixed_lines(std::streambuf& to, std::string prefix)
    : to_{to}, prefix_{std::move(prefix)} {}

prefixed_lines::~prefixed_lines() {
    prefixed_lines::sync();
}

prefixed_lines::int_type prefixed_lines::overflow(int_type character) {
    if (traits_type::eq_int_type(character, traits_type::eof())) {
        return traits_type::not_eof(character);
    }
    if (std::exchange(line_begins_, false)) {
        waiting_ += prefix_;
    }
    waiting_ += traits_type::to_char_type(character);
    line_begins_ = waiting_.back() == '\n';
    return character;
}

int prefixed_lines::sync() {
    const auto text = std::exchange(waiting_, {});
    const auto size = static_cast<std::streamsize>(text.size());
    return to_.sputn(text.data(), size) == size ? to_.pubsync() : -1;
}

journal_errors::journal_errors() {
    if (stderr_is_journald()) {
        lines_ = std::make_unique<prefixed_lines>(*std::cerr.rdbuf(), "<3>");
        before_ = std::cerr.rdbuf(lines_.get());
    }
}

journal_errors::~journal_errors() {
    if (lines_) {
        std::cerr.rdbuf(before_);
    }
}

} // namespace portico::app
