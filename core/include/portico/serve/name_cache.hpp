// What addresses are called, as far as it has been asked.
#pragma once

#include "portico/base/deadline.hpp"
#include "portico/base/instant.hpp"
#include "portico/ip/address.hpp"

#include <cstddef>
#include <list>
#include <optional>
#include <string>
#include <unordered_map>

namespace portico::serve {

// Names of addresses for as long as they may be believed; when it is full the one that was used
// longest ago makes room. Time: O(1). Memory: about 200 bytes for each, and its name. Threads: one
// at a time.
class name_cache {
public:
    struct settings {
        std::size_t capacity = 4096;
        duration known = std::chrono::minutes{10}; // a name is believed so long
        duration none = std::chrono::minutes{1};   // and so long that there is none
    };

    explicit name_cache(settings how) : how_{how} {}

    // The name; "" when it was asked for and there is none; nullopt when it has to be asked for.
    [[nodiscard]] std::optional<std::string> find(instant now, const ip::address& who);
    // "": there is none.
    void keep(instant now, const ip::address& who, std::string name);
    [[nodiscard]] std::size_t size() const noexcept { return order_.size(); }

private:
    struct entry {
        ip::address who;
        std::string name;
        deadline until;
    };
    using order = std::list<entry>;

    settings how_;
    order order_; // the last one was used longest ago
    std::unordered_map<ip::address, order::iterator> places_;
};

} // namespace portico::serve
