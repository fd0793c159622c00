// gethostbyname(3) keeps its answer in one place, and the next call writes over it (III.4).
#include <portico/ip/address.hpp>

#include <arpa/inet.h>
#include <cstring>
#include <iostream>
#include <netdb.h>

using namespace portico;

int main() {
    in_addr shown;
    const hostent* first = gethostbyname("192.0.2.1");
    hostent copy = *first; // copies pointers, and not what they point to
    std::memcpy(&shown, copy.h_addr_list[0], sizeof shown);
    std::cout << "the first server:               " << inet_ntoa(shown) << '\n';
    gethostbyname("192.0.2.2");
    std::memcpy(&shown, copy.h_addr_list[0], sizeof shown);
    std::cout << "after a look at the second one: " << inet_ntoa(shown) << '\n';

    const auto one = ip::parse_address("192.0.2.1").value();
    const auto two = ip::parse_address("192.0.2.2").value();
    std::cout << "portico, which has values:      " << ip::to_text(one) << " and "
              << ip::to_text(two) << '\n';
}
