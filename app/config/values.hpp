// Reading the keys of one table of the file by the table of keys.
#pragma once

#include "config/diagnostic.hpp"
#include "config/document.hpp"
#include "config/keys.hpp"
#include "config/outer_settings.hpp"

#include <span>
#include <string>
#include <vector>

namespace portico::app {

// Takes what is wrong with one file, up to a limit; what is beyond it is counted.
class complaints {
public:
    static constexpr std::size_t most = 200;

    // `outer`: what was put into the file, and has places of its own.
    complaints(std::vector<diagnostic>& all, std::string file,
               std::span<const outer_setting> outer = {})
        : all_{&all}, file_{std::move(file)}, outer_{outer} {}
    void add(position at, std::string text, std::string hint = {});
    void add(diagnostic which);
    // Where that is: in the file, or an option or a variable.
    [[nodiscard]] place where(position at) const;
    [[nodiscard]] std::size_t count() const noexcept { return count_; }

private:
    std::vector<diagnostic>* all_;
    std::string file_;
    std::span<const outer_setting> outer_;
    std::size_t count_ = 0;
};

// A key that stands in the table.
struct given_key {
    const key* which = nullptr;
    position at{};
    std::vector<position> items{}; // of a list: where each of its texts stands
    bool good = false;             // it could be read
};

struct given_table {
    settings in{};
    std::vector<given_key> keys{};
    std::vector<std::string> meant{}; // what unknown keys probably stand for

    [[nodiscard]] given_key* find(std::string_view name) noexcept;
    // Whether the key stands there, or seems to be meant.
    [[nodiscard]] bool has(std::string_view name) const noexcept;
};

[[nodiscard]] given_table read_table(table in, const document_table& from, complaints& to);

// The texts between commas, without the spaces around them.
[[nodiscard]] std::vector<std::string> split_at_commas(std::string_view text);

// `"a", "b"`
[[nodiscard]] std::string listed(std::span<const std::string_view> words);

} // namespace portico::app
