// Any bytes as a file of variables: faults lie within it and are few, names are names, values have
// no zero byte, and what was read is read again from what is written of it.

#include "portico/serve/environment_file.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace portico::serve;

namespace {

void demand(bool holds) {
    if (!holds) {
        std::abort();
    }
}

void check(std::string_view text, const file_fault& fault) {
    const auto lines = 1 + static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
    demand(fault.line >= 1 && fault.line <= lines);
    demand(fault.column >= 1 && fault.column <= text.size() + 1);
    demand(!fault.what.empty());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    const auto read = parse_environment_file(text);
    if (!read) {
        demand(!read.error().empty() && read.error().size() <= most_faults);
        for (const auto& each : read.error()) {
            check(text, each);
        }
        return 0;
    }
    for (const auto& each : *read) {
        demand(is_variable_name(each.name));
        demand(each.value.find('\0') == std::string::npos);
    }
    const auto again = parse_environment_file(to_environment_file(*read));
    demand(again && *again == *read);
    return 0;
}
