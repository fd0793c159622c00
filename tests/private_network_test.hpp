// The fixture of every test that needs a network of its own.
#pragma once

#include "portico/testkit/private_network.hpp"

#include <gtest/gtest.h>

namespace portico {

// Skips, with the reason, where no private network can be made.
class private_network_test : public testing::Test {
protected:
    void SetUp() override {
        if (const auto why = testkit::private_network_refusal()) {
            GTEST_SKIP() << *why;
        }
    }
};

} // namespace portico
