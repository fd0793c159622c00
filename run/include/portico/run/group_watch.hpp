// Sockets stay members of their groups, on interfaces as they come and go.
#pragma once

#include "portico/run/listen.hpp"
#include "portico/run/network_watch.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <system_error>
#include <vector>

namespace portico::run {

// What became of one membership.
struct group_news {
    enum class kind : std::uint8_t {
        joined,
        left,     // its interface has gone, or nobody wants it any more
        refused,  // by the kernel: told once, tried again when the network has changed
        unwatched // the group is unset: interfaces that come later will not be seen
    };
    kind what = kind::joined;
    ip::any_endpoint socket{};
    ip::address group{};
    std::string interface {}; // its name, or its number when that is all that is known
    std::error_code why{};
};

// Threads: the executor's. Destroying it leaves the memberships as they are; they end with the
// socket.
class group_watch {
public:
    using heard = std::function<void(const group_news&)>;

    // Joins bound_socket::groups, and leaves what is in bound_socket::joined besides. The sockets
    // stay open as long as this lives. `tell` is called within the constructor, too.
    group_watch(const asio::any_io_executor& executor, std::span<const bound_socket> sockets,
                heard tell);
    group_watch(const group_watch&) = delete;
    group_watch& operator=(const group_watch&) = delete;

    // Whether there is anything to do for these.
    [[nodiscard]] static bool is_needed(std::span<const bound_socket> sockets) noexcept;

private:
    struct member {
        int raw = -1;
        ip::any_endpoint at;
        std::string bound_to;
        std::vector<ip::group> groups;
        std::shared_ptr<std::set<plan::membership>> joined;
        std::set<plan::membership> refused{};
    };
    struct interfaces;

    void look();
    void settle(member& which, const interfaces& now);
    void tell(group_news::kind what, const member& which, const plan::membership& of,
              const interfaces& now, std::error_code why = {});

    std::vector<member> members_;
    heard tell_;
    std::unique_ptr<network_watch> watch_;
};

} // namespace portico::run
