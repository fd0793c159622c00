#include "program.hpp"

#include "portico/os/resolve.hpp"

#include <cstdlib>
#include <filesystem>
#include <sys/stat.h>
#include <utility>

namespace portico::os {

std::vector<resolve_program> resolve_programs() {
    std::vector<resolve_program> places;
    if (const char* chosen = ::secure_getenv("PORTICO_RESOLVE");
        chosen != nullptr && *chosen != '\0') {
        places.push_back({chosen, false});
    }
    places.push_back({PORTICO_RESOLVE_INSTALLED, false});
    std::error_code wrong;
    const auto self = std::filesystem::read_symlink("/proc/self/exe", wrong);
    if (!wrong) {
        const auto here = self.parent_path();
        places.push_back({here / "portico-resolve", true});
        places.push_back({here.parent_path() / "libexec/portico/portico-resolve", true});
    }
    return places;
}

std::vector<std::string> lookup_programs() {
    std::vector<std::string> all;
    for (auto& each : resolve_programs()) {
        all.push_back(std::move(each.path));
    }
    return all;
}

bool has_trusted_owner(const std::string& path) {
    struct stat program {};
    struct stat self {};
    return ::stat(path.c_str(), &program) == 0 && ::stat("/proc/self/exe", &self) == 0 &&
           (program.st_uid == 0 || program.st_uid == self.st_uid);
}

} // namespace portico::os
