#include "portico/testkit/all_users.hpp"
#include "portico/testkit/private_network.hpp"

#include <gtest/gtest.h>

int main(int argc, char** argv) {
    portico::testkit::reexecute_with_all_users(argc, argv);
    portico::testkit::reexecute_in_private_network(argc, argv);
    testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
