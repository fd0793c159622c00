// What bind(2) is given, and what becomes of the socket when it fails (II.2 and II.4).
#include <portico/ip/endpoint.hpp>
#include <portico/os/socket.hpp>

#include <dirent.h>
#include <iostream>

using namespace portico;

namespace {

std::string text(const os::sys_status& done) {
    return done ? "done" : done.error().message();
}

int open_descriptors() {
    int count = 0;
    DIR* each = opendir("/proc/self/fd");
    while (readdir(each) != nullptr) {
        ++count;
    }
    closedir(each);
    return count;
}

} // namespace

int main() {
    for (const char* where : {"127.0.0.1:7007", "[::1]:7007", "[fe80::1%lo]:7007"}) {
        const auto bytes = os::to_sockaddr(ip::parse_endpoint(where).value()).value();
        std::cout << where << ": " << bytes.size << " bytes, family " << bytes.storage.ss_family
                  << '\n';
    }

    const auto taken = ip::parse_endpoint("127.0.0.1:7007").value();
    const auto other = ip::parse_endpoint("127.0.0.1:7008").value();
    auto first = os::socket(taken, ip::transport::tcp).value();
    std::cout << "bind:             " << text(os::bind(first, taken)) << '\n';
    const int before = open_descriptors();
    {
        auto second = os::socket(taken, ip::transport::tcp).value();
        std::cout << "the same again:   " << text(os::bind(second, taken)) << '\n'
                  << "that socket, 7008: " << text(os::bind(second, other)) << '\n';
    }
    std::cout << "descriptors left open: " << open_descriptors() - before << '\n';
}
