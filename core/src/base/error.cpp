#include "portico/base/error.hpp"

#include <array>

namespace portico {
namespace {

class portico_error_category final : public std::error_category {
public:
    [[nodiscard]] const char* name() const noexcept override { return "portico"; }
    [[nodiscard]] std::string message(int code) const override {
        switch (static_cast<errc>(code)) {
        case errc::no_address:
            return "the name has no usable address";
        case errc::name_not_found:
            return "no such host name";
        case errc::all_attempts_failed:
            return "no address could be reached";
        case errc::proxy_refused:
            return "the proxy refused the connection";
        case errc::proxy_protocol:
            return "the proxy's answer is not of its protocol";
        case errc::nothing_bound:
            return "no socket could be opened";
        case errc::required_not_bound:
            return "a required socket could not be opened";
        case errc::not_inherited:
            return "the inherited descriptor is missing or is not what was asked for";
        }
        return "unknown portico error " + std::to_string(code);
    }
};

} // namespace

const std::error_category& portico_category() noexcept {
    static const portico_error_category category;
    return category;
}

std::error_code make_error_code(errc code) noexcept {
    return {static_cast<int>(code), portico_category()};
}

std::string_view name_of(errc code) noexcept {
    static constexpr std::array<std::string_view, 9> names{
        "",
        "no_address",
        "name_not_found",
        "all_attempts_failed",
        "proxy_refused",
        "proxy_protocol",
        "nothing_bound",
        "required_not_bound",
        "not_inherited",
    };
    const auto index = static_cast<std::size_t>(code);
    return index < names.size() ? names[index] : std::string_view{};
}

std::string_view to_text(operation op) noexcept {
    static constexpr std::array<std::string_view, 15> names{
        "",        "parse", "resolve", "open",    "set option", "bind",  "listen",  "accept",
        "connect", "proxy", "send",    "receive", "close",      "spawn", "inspect",
    };
    const auto index = static_cast<std::size_t>(op);
    return index < names.size() ? names[index] : std::string_view{"?"};
}

std::string_view to_text(side who) noexcept {
    switch (who) {
    case side::caller:
        return "caller";
    case side::system:
        return "system";
    case side::peer:
        return "peer";
    case side::portico:
        return "portico";
    }
    return "?";
}

std::string to_text(const error& why) {
    std::string text{to_text(why.op)};
    const auto* name = std::get_if<ip::unix_name>(&why.at);
    const bool is_unnamed = name != nullptr && name->empty(); // as clients' sockets are
    if (const auto where = ip::to_text(why.at); !where.empty() && !is_unnamed) {
        text += text.empty() ? "" : " ";
        text += where;
    }
    text += text.empty() ? "" : ": ";
    return text + why.code.message();
}

int exit_code(side who) noexcept {
    switch (who) {
    case side::caller:
        return 100;
    case side::portico:
        return 101;
    case side::system:
    case side::peer:
        break;
    }
    return 111;
}

} // namespace portico
