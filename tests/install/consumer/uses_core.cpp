// Core alone: which sockets would be opened for a wish.
#include "portico/ip/listen_address.hpp"
#include "portico/plan/plan.hpp"

#include <cstdio>

int main() {
    const auto where = portico::ip::parse_listen_address(":8080");
    if (!where) {
        return 1;
    }
    portico::plan::wish wish;
    wish.where = *where;
    const std::vector<portico::plan::wish> wishes{wish};
    const auto made = portico::plan::make_plan(wishes, {});
    std::printf("core: %zu sockets\n", made.sockets.size());
    return made.sockets.size() == 2 ? 0 : 1;
}
