#include "dial/tunnel.hpp"

#include <gtest/gtest.h>

namespace portico::run {
namespace {

TEST(tunnel, who_says_nothing_is_given_up_also_without_a_timeout) {
    const instant now{std::chrono::hours{1}};
    EXPECT_EQ(proxy_limit(deadline::never(), now).when(), now + std::chrono::seconds{60});
    const auto soon = deadline::after(now, std::chrono::seconds{3});
    EXPECT_EQ(proxy_limit(soon, now).when(), soon.when());
}

} // namespace
} // namespace portico::run
