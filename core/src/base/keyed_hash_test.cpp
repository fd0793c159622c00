#include "portico/base/keyed_hash.hpp"

#include <gtest/gtest.h>

namespace portico {
namespace {

// The vectors of the reference implementation: key 00 to 0f, message 00, 01, 02 ...
TEST(keyed_hash, is_siphash) {
    constexpr hash_seed seed{0x0706050403020100U, 0x0f0e0d0c0b0a0908U};
    keyed_hash hash{seed};
    EXPECT_EQ(keyed_hash{seed}.value(), 0x726fdb47dd0e0e31U);
    EXPECT_EQ(keyed_hash{hash.add(0x0706050403020100U)}.value(), 0x93f5f5799a932462U);
    EXPECT_EQ(keyed_hash{hash.add(0x0f0e0d0c0b0a0908U)}.value(), 0x3f2acc7f57c29bdbU);
    EXPECT_EQ(keyed_hash{hash.add(0x1716151413121110U)}.value(), 0xb8ad50c6f649af94U);
}

} // namespace
} // namespace portico
