#include "portico/os/resolve.hpp"
#include "program.hpp"

#include <netdb.h>

namespace portico::os {
namespace {

std::string missing_message() {
    std::string text = "the program portico-resolve is missing; looked for";
    for (const auto& place : resolve_programs()) {
        text += ' ' + place.path;
    }
    return text + "; install it, or set PORTICO_RESOLVE to its path";
}

class lookup_error_category final : public std::error_category {
public:
    [[nodiscard]] const char* name() const noexcept override { return "lookup"; }
    [[nodiscard]] std::string message(int code) const override {
        if (code < 0) {
            return ::gai_strerror(code);
        }
        switch (static_cast<lookup_errc>(code)) {
        case lookup_errc::program_missing:
            return missing_message();
        case lookup_errc::program_unusable:
            return "the given portico-resolve program cannot be started";
        case lookup_errc::bad_answer:
            return "portico-resolve ended without a usable answer";
        case lookup_errc::no_service:
            return "the domain says that it does not offer this service";
        }
        return "unknown lookup error " + std::to_string(code);
    }
};

} // namespace

const std::error_category& lookup_category() noexcept {
    static const lookup_error_category category;
    return category;
}

std::error_code make_error_code(lookup_errc code) noexcept {
    return {static_cast<int>(code), lookup_category()};
}

std::string_view lookup_error_name(int code) noexcept {
    struct named {
        int code;
        std::string_view name;
    };
    static constexpr named names[] = {
        {EAI_BADFLAGS, "EAI_BADFLAGS"},
        {EAI_AGAIN, "EAI_AGAIN"},
        {EAI_FAIL, "EAI_FAIL"},
        {EAI_FAMILY, "EAI_FAMILY"},
        {EAI_SOCKTYPE, "EAI_SOCKTYPE"},
        {EAI_SERVICE, "EAI_SERVICE"},
        {EAI_MEMORY, "EAI_MEMORY"},
        {EAI_OVERFLOW, "EAI_OVERFLOW"},
        {EAI_IDN_ENCODE, "EAI_IDN_ENCODE"},
        {static_cast<int>(lookup_errc::program_missing), "program_missing"},
        {static_cast<int>(lookup_errc::program_unusable), "program_unusable"},
        {static_cast<int>(lookup_errc::bad_answer), "bad_answer"},
        {static_cast<int>(lookup_errc::no_service), "no_service"},
    };
    for (const auto& each : names) {
        if (each.code == code) {
            return each.name;
        }
    }
    return {};
}

} // namespace portico::os
