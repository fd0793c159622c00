// Any bytes as /etc/services: the first line for a name counts, case does not, and what the text
// does not name is as it was built in.

#include "portico/ip/service.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

using namespace portico;

namespace {

void demand(bool holds) {
    if (!holds) {
        std::abort();
    }
}

std::string with_case_changed(std::string word) {
    for (char& c : word) {
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        c = letter ? static_cast<char>(c ^ 0x20) : c;
    }
    return word;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text{data, data + size};
    const ip::service_table built_in;
    const auto once = ip::service_table::from_text(text);
    const auto twice = ip::service_table::from_text(text + '\n' + text);

    std::string written; // what was read, as lines of its own
    std::size_t words = 0;
    for (std::size_t at = 0; at < text.size() && words < 64; ++words) {
        const auto end = std::min(text.find_first_of(" \t\r\v\f\n#", at), text.size());
        const auto word = text.substr(at, end - at);
        at = end + 1;
        for (const auto over : {ip::transport::tcp, ip::transport::udp}) {
            const auto port = once.port(word, over);
            demand(twice.port(word, over) == port);
            demand(once.port(with_case_changed(word), over) == port);
            if (port && !word.empty()) {
                written +=
                    word + ' ' + std::to_string(*port) + '/' + std::string{to_text(over)} + '\n';
            }
        }
    }
    const auto again = ip::service_table::from_text(written);
    for (std::size_t at = 0; at < written.size(); at = written.find('\n', at) + 1) {
        const auto name = written.substr(at, written.find(' ', at) - at);
        for (const auto over : {ip::transport::tcp, ip::transport::udp}) {
            demand(again.port(name, over) == once.port(name, over));
        }
    }
    std::string small = text;
    std::transform(small.begin(), small.end(), small.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c ^ 0x20) : c; });
    if (small.find("https") == std::string::npos) {
        demand(once.port("https", ip::transport::tcp) ==
               built_in.port("https", ip::transport::tcp));
    }
    return 0;
}
