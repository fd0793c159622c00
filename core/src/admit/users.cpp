#include "portico/admit/users.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace portico::admit {
namespace {

bool has_control(std::string_view text) {
    return std::any_of(text.begin(), text.end(), [](char each) {
        return static_cast<unsigned char>(each) < 0x20 || each == 0x7f;
    });
}

std::optional<std::string> find_fault(std::string_view line, std::size_t colon) {
    if (colon == std::string_view::npos) {
        return "there is no colon; write user:password";
    }
    if (has_control(line)) {
        return "a control character";
    }
    const auto password = line.substr(colon + 1);
    for (const auto& [what, size] :
         {std::pair{"name", colon}, std::pair{"password", password.size()}}) {
        if (size == 0 || size > users::longest) {
            return std::string{"the "} + what +
                   (size == 0 ? " is missing; write user:password" : " is longer than 255 bytes");
        }
    }
    return std::nullopt;
}

// All bytes of the longest one are looked at, whatever the first difference.
bool same(std::string_view a, std::string_view b) noexcept {
    auto different = static_cast<unsigned>(a.size() != b.size());
    for (std::size_t i = 0; i < users::longest; ++i) {
        const auto left = i < a.size() ? static_cast<unsigned char>(a[i]) : 0U;
        const auto right = i < b.size() ? static_cast<unsigned char>(b[i]) : 0U;
        different |= left ^ right;
    }
    return different == 0;
}

} // namespace

tl::expected<users, std::vector<user_fault>> users::parse(std::string_view text) {
    users made;
    std::vector<user_fault> faults;
    for (std::size_t number = 1; !text.empty(); ++number) {
        const auto end = std::min(text.find('\n'), text.size());
        auto line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.ends_with('\r')) {
            line.remove_suffix(1);
        }
        if (line.empty() || line.starts_with('#')) {
            continue;
        }
        const auto colon = line.find(':');
        if (auto wrong = find_fault(line, colon)) {
            faults.push_back({number, *std::move(wrong)});
        } else if (!made.passwords_.emplace(line.substr(0, colon), line.substr(colon + 1)).second) {
            faults.push_back({number, "this name was there before"});
        }
    }
    if (faults.empty() && made.passwords_.empty()) {
        faults.push_back({1, "there is no user in it; write user:password"});
    }
    if (!faults.empty()) {
        return tl::unexpected{std::move(faults)};
    }
    return made;
}

bool users::knows(std::string_view name, std::string_view password) const noexcept {
    if (password.size() > longest) {
        return false;
    }
    const auto found = passwords_.find(name);
    const bool is_there = found != passwords_.end();
    const bool fits = same(password, is_there ? std::string_view{found->second} : "");
    return is_there && fits;
}

} // namespace portico::admit
