// The directories of a test's own nginx: those of the system may be another user's.
#pragma once

#include <string>

namespace portico {

// Settings for its http block; `under` ends with a slash.
inline std::string nginx_directories(const std::string& under) {
    std::string all;
    for (const std::string each : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"}) {
        all += each + "_temp_path " + under + "temp_" + each + ";\n";
    }
    return all;
}

} // namespace portico
