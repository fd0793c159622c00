// Any bytes as the answer of portico-resolve, to either question: what is accepted is bounded, of
// the asked family, and written down again reads back as the same.

#include "portico/os/resolve.hpp"
#include "portico/os/resolve_name.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>

using namespace portico;

namespace {

void demand(bool holds) {
    if (!holds) {
        std::abort();
    }
}

std::string write_down(const os::lookup_answer& answer) {
    std::string text = "portico-resolve 1\n";
    for (const auto& each : answer.addresses) {
        text += "address " + ip::to_text(each) + '\n';
    }
    if (answer.dropped != 0) {
        text += "dropped " + std::to_string(answer.dropped) + '\n';
    }
    return text + "end\n";
}

void read_as(std::string_view text, ip::family which) {
    const auto answer = os::parse_lookup_answer(text, which);
    if (!answer) {
        demand(answer.error().op == operation::resolve && answer.error().code);
        return;
    }
    const auto& found = answer->addresses;
    demand(!found.empty() && found.size() <= 512);
    demand(std::all_of(found.begin(), found.end(),
                       [which](const auto& each) { return each.family() == which; }));
    if (answer->dropped <= UINT32_MAX) { // several lines may add up to more than one can say
        demand(os::parse_lookup_answer(write_down(*answer), which) == *answer);
    }
}

std::string write_down(const os::service_answer& answer) {
    std::string text =
        "portico-resolve 1\nlifetime " + std::to_string(answer.lifetime.count()) + '\n';
    for (const auto& each : answer.records) {
        text += "service " + std::to_string(each.priority) + ' ' + std::to_string(each.weight) +
                ' ' + std::to_string(each.port) + ' ' + each.target + '\n';
    }
    if (answer.dropped != 0) {
        text += "dropped " + std::to_string(answer.dropped) + '\n';
    }
    return text + "end\n";
}

void read_as_services(std::string_view text) {
    const auto answer = os::parse_service_answer(text);
    if (!answer) {
        demand(answer.error().op == operation::resolve && answer.error().code);
        return;
    }
    const auto& found = answer->records;
    demand(!found.empty() && found.size() <= 128);
    demand(answer->lifetime.count() >= 0 && answer->lifetime.count() <= INT32_MAX);
    demand(std::all_of(found.begin(), found.end(), [](const auto& each) {
        return !each.target.empty() && each.target.size() <= 253 && each.target != ".";
    }));
    if (answer->dropped <= UINT32_MAX) {
        demand(os::parse_service_answer(write_down(*answer)) == *answer);
    }
}

void read_as_name(std::string_view text) {
    if (const auto name = os::parse_name_answer(text)) {
        demand(!name->empty() && name->size() <= 253);
        demand("portico-resolve 1\nname " + *name + "\nend\n" == text);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    read_as(text, ip::family::v4);
    read_as(text, ip::family::v6);
    read_as_services(text);
    read_as_name(text);
    (void)os::answer_without_asking(text, ip::family::v6);
    return 0;
}
