// Whether enough of a plan was opened.

#include "plan/words.hpp"

#include <algorithm>

namespace portico::plan {
namespace {

// What is open for one wish.
struct share {
    bool v4 = false;
    bool v6 = false;
    bool other = false; // a UNIX socket, or an inherited one of no known family
    [[nodiscard]] bool any() const noexcept { return v4 || v6 || other; }
};

// What is open for each wish.
std::vector<share> shares_of(std::size_t wishes, const plan& made, const std::vector<bool>& bound) {
    std::vector<share> open(wishes);
    for (std::size_t i = 0; i < made.sockets.size() && i < bound.size(); ++i) {
        const auto& socket = made.sockets[i];
        if (!bound[i] || socket.besides) {
            continue;
        }
        const auto* where = std::get_if<ip::endpoint>(&socket.at);
        const auto of = where == nullptr         ? &share::other
                        : where->address.is_v6() ? &share::v6
                                                 : &share::v4;
        open.at(socket.wish).*of = true;
        for (const auto also : socket.also_for) {
            open.at(also).*of = true;
        }
    }
    return open;
}

std::optional<std::string> missing(const wish& asked, const share& open) {
    const std::string name = quoted(written(asked));
    switch (asked.needed) {
    case need::optional:
    case need::later:
        break;
    case need::required:
        if (!open.any()) {
            return "no socket for " + name + ", and it is required";
        }
        break;
    case need::both_families:
        if (!open.any()) {
            return "no socket for " + name + ", and both families are required";
        }
        // A UNIX socket has no family: being there is all that can be asked of it.
        if (!open.other && !(open.v4 && open.v6)) {
            const auto family = open.v4 ? ip::family::v6 : ip::family::v4;
            return "no " + std::string{ip::to_text(family)} + " socket for " + name +
                   ", and both families are required";
        }
        break;
    }
    return std::nullopt;
}

} // namespace

std::optional<shortfall> judge(const std::vector<wish>& wishes, const plan& made,
                               const std::vector<bool>& bound) {
    if (wishes.empty()) {
        return shortfall{errc::nothing_bound, 0, "there is nothing to listen on"};
    }
    const bool waits = std::any_of(wishes.begin(), wishes.end(),
                                   [](const wish& each) { return each.needed == need::later; });
    const auto open = shares_of(wishes.size(), made, bound);
    if (!waits &&
        std::none_of(open.begin(), open.end(), [](const auto& each) { return each.any(); })) {
        return shortfall{errc::nothing_bound, 0,
                         wishes.size() == 1 ? "no socket for " + quoted(written(wishes.front()))
                                            : std::string{"no socket for any of the addresses"}};
    }
    for (std::size_t i = 0; i < wishes.size(); ++i) {
        if (auto text = missing(wishes[i], open[i])) {
            return shortfall{errc::required_not_bound, i, *std::move(text)};
        }
    }
    return std::nullopt;
}

void forget_refuted(plan& made, const std::vector<bool>& bound) {
    const auto is_open = [&](std::size_t wish) {
        for (std::size_t i = 0; i < made.sockets.size(); ++i) {
            if (made.sockets[i].wish == wish && !(i < bound.size() && bound[i])) {
                return false;
            }
        }
        return true;
    };
    std::erase_if(made.remarks,
                  [&](const remark& each) { return each.low_port && is_open(each.wish); });
}

} // namespace portico::plan
