#include "flags/account.hpp"

#include <charconv>
#include <cstdint>
#include <string_view>

namespace portico::app {
namespace {

// The largest number means nobody: see os::spawn_settings.
constexpr std::uint32_t no_id = 0xffff'ffff;

tl::expected<std::optional<std::uint32_t>, std::string> read_number(const std::string& text,
                                                                    std::string_view what) {
    std::uint32_t value = 0;
    const auto* const end = text.data() + text.size();
    const auto [rest, wrong] = std::from_chars(text.data(), end, value);
    if (wrong != std::errc{} || rest != end) {
        return std::nullopt;
    }
    if (value == no_id) {
        return tl::unexpected{text + " is no number of a " + std::string{what}};
    }
    return value;
}

tl::unexpected<std::string> unknown(std::string_view what, const std::string& name,
                                    std::error_code why) {
    const std::string which = std::string{what} + " '" + name + "'";
    return tl::unexpected{why ? "the " + which + " could not be looked up: " + why.message()
                              : "there is no " + which +
                                    " on this host; give one of them, or a number"};
}

} // namespace

tl::expected<std::optional<os::user_account>, std::string> find_user(const std::string& text) {
    const auto number = read_number(text, "user");
    if (!number) {
        return tl::unexpected{number.error()};
    }
    auto found = *number ? os::getpwuid(**number) : os::getpwnam(text);
    if (!found || (!*found && !*number)) {
        return unknown("user", text, found ? std::error_code{} : found.error());
    }
    return *std::move(found);
}

tl::expected<gid_t, std::string> find_group(const std::string& text) {
    const auto number = read_number(text, "group");
    if (!number) {
        return tl::unexpected{number.error()};
    }
    if (*number) {
        return **number;
    }
    const auto found = os::getgrnam(text);
    if (!found || !*found) {
        return unknown("group", text, found ? std::error_code{} : found.error());
    }
    return **found;
}

} // namespace portico::app
