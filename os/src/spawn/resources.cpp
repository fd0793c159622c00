// The names of the limits of setrlimit(2).

#include "portico/os/spawn.hpp"

#include <algorithm>
#include <array>
#include <sys/resource.h>

namespace portico::os {
namespace {

struct resource_word {
    std::string_view name;
    int which;
};
constexpr std::array<resource_word, 16> resources{{
    {"as", RLIMIT_AS},
    {"core", RLIMIT_CORE},
    {"cpu", RLIMIT_CPU},
    {"data", RLIMIT_DATA},
    {"fsize", RLIMIT_FSIZE},
    {"locks", RLIMIT_LOCKS},
    {"memlock", RLIMIT_MEMLOCK},
    {"msgqueue", RLIMIT_MSGQUEUE},
    {"nice", RLIMIT_NICE},
    {"nofile", RLIMIT_NOFILE},
    {"nproc", RLIMIT_NPROC},
    {"rss", RLIMIT_RSS},
    {"rtprio", RLIMIT_RTPRIO},
    {"rttime", RLIMIT_RTTIME},
    {"sigpending", RLIMIT_SIGPENDING},
    {"stack", RLIMIT_STACK},
}};

} // namespace

std::optional<int> resource_number(std::string_view name) noexcept {
    const auto* const found =
        std::find_if(resources.begin(), resources.end(),
                     [name](const resource_word& each) { return each.name == name; });
    return found == resources.end() ? std::nullopt : std::optional{found->which};
}

std::string_view resource_name(int which) noexcept {
    const auto* const found =
        std::find_if(resources.begin(), resources.end(),
                     [which](const resource_word& each) { return each.which == which; });
    return found == resources.end() ? std::string_view{} : found->name;
}

std::span<const std::string_view> resource_names() noexcept {
    static constexpr auto names = [] {
        std::array<std::string_view, resources.size()> all;
        std::transform(resources.begin(), resources.end(), all.begin(),
                       [](const resource_word& each) { return each.name; });
        return all;
    }();
    return names;
}

} // namespace portico::os
