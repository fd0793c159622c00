#include "portico/testkit/all_users.hpp"
#include "portico/testkit/private_network.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace {

// A process that has become another user may not be traced, and that is how LeakSanitizer works.
void search_for_no_leaks() {
    const char* set = std::getenv("ASAN_OPTIONS");
    const auto all = std::string{set == nullptr ? "" : set} + ":detect_leaks=0";
    ::setenv("ASAN_OPTIONS", all.c_str(), 1);
}

} // namespace

int main(int argc, char** argv) {
    search_for_no_leaks();
    portico::testkit::reexecute_with_all_users(argc, argv);
    portico::testkit::reexecute_in_private_network(argc, argv);
    testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
