// Text to an address: the old call, the strict one, and portico's, which says what is wrong
// (III.1).
#include <portico/ip/address.hpp>
#include <portico/ip/text_error.hpp>

#include <arpa/inet.h>
#include <iostream>

using namespace portico;

namespace {

std::string by_inet_addr(const char* text) {
    const in_addr got{inet_addr(text)};
    return got.s_addr == INADDR_NONE ? "-1" : inet_ntoa(got);
}

std::string by_inet_pton(const char* text) {
    in6_addr bytes;
    const bool good =
        inet_pton(AF_INET, text, &bytes) == 1 || inet_pton(AF_INET6, text, &bytes) == 1;
    return good ? "yes" : "no";
}

} // namespace

int main() {
    for (const char* text :
         {"192.0.2.7", "010.0.0.7", "10.7", "255.255.255.255", "2001:db8::7", "192.0.2.256"}) {
        const auto parsed = ip::parse_address(text);
        std::cout << text << ": inet_addr " << by_inet_addr(text) << ", inet_pton "
                  << by_inet_pton(text) << ", portico "
                  << (parsed ? ip::to_text(*parsed) : parsed.error().what) << '\n';
    }
}
