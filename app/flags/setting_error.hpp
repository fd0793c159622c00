// What is wrong with a setting, be it an option of a command or a key of a file.
#pragma once

#include <string>
#include <utility>

#include <tl/expected.hpp>

namespace portico::app {

struct setting_error {
    std::string setting; // as both call it: "max-per"; empty: all of it together
    std::string text;    // for a person; of several lines when there are several faults

    // "--max-per: ..."
    [[nodiscard]] std::string as_option() const {
        return (setting.empty() ? "" : "--" + setting + ": ") + text;
    }
};

template <class T>
using or_setting_error = tl::expected<T, setting_error>;

[[nodiscard]] inline tl::unexpected<setting_error> wrong_setting(std::string setting,
                                                                 std::string text) {
    return tl::unexpected{setting_error{std::move(setting), std::move(text)}};
}

} // namespace portico::app
