// without_calls CALL,... PROGRAM ARGUMENT...: runs a program as on a kernel without these system
// calls.

#include "portico/os/privileges.hpp"
#include "portico/os/sandbox.hpp"

#include <cerrno>
#include <iostream>
#include <sstream>
#include <unistd.h>

int main(int argc, char** argv) {
    if (argc < 3) {
        std::cerr << "usage: without_calls CALL,... PROGRAM ARGUMENT...\n";
        return 100;
    }
    portico::os::call_filter filter{.number = ENOSYS};
    std::istringstream names{argv[1]};
    for (std::string each; std::getline(names, each, ',');) {
        filter.names.push_back(each);
    }
    const auto done = portico::os::set_no_new_privileges();
    const auto unknown = portico::os::install_call_filter(filter);
    if (!done || !unknown || !unknown->empty()) {
        std::cerr << "without_calls: these calls cannot be taken away: " << argv[1] << '\n';
        return 111;
    }
    ::execvp(argv[2], argv + 2);
    std::cerr << "without_calls: " << argv[2] << " cannot be executed\n";
    return 111;
}
