#include "portico/plan/difference.hpp"

#include <map>
#include <utility>

namespace portico::plan {
namespace {

using key = std::string;

// Held or planned.
template <class Socket>
std::string part(const Socket& which, const ip::any_endpoint& at) {
    return std::string{ip::to_text(which.over)} + (which.v6only ? " only " : " ") +
           ip::to_text(at) + " by " + which.interface;
}

// With port 0 the rest of the key is the wish, which tells its ports from those of others.
key inherited_key(int number) {
    return "descriptor " + std::to_string(number);
}
key exact_key(const held_socket& which) {
    return which.inherited ? inherited_key(*which.inherited) : part(which, which.at);
}
template <class Socket>
key any_port_key(const Socket& which, const ip::listen_address& wish) {
    auto at = std::get<ip::endpoint>(which.at);
    at.port = 0;
    return part(which, at) + " for " + ip::to_text(wish);
}

bool wants_any_port(const planned_socket& which) {
    const auto* at = std::get_if<ip::endpoint>(&which.at);
    return at != nullptr && at->port == 0;
}

class matching {
public:
    explicit matching(std::span<const held_socket> held) : taken_(held.size()) {
        for (std::size_t i = 0; i < held.size(); ++i) {
            const auto& each = held[i];
            exact_.emplace(exact_key(each), i);
            if (!each.inherited && std::holds_alternative<ip::endpoint>(each.at)) {
                any_port_.emplace(any_port_key(each, each.wish), i);
            }
        }
    }

    std::optional<std::size_t> take(const planned_socket& which, const wish& of) {
        if (which.inherited) {
            return take(exact_, inherited_key(*which.inherited));
        }
        if (wants_any_port(which)) {
            return take(any_port_, any_port_key(which, of.where));
        }
        return take(exact_, part(which, which.at));
    }

    [[nodiscard]] const std::vector<bool>& taken() const noexcept { return taken_; }

private:
    using index = std::multimap<key, std::size_t>;

    std::optional<std::size_t> take(const index& from, const key& what) {
        const auto [first, last] = from.equal_range(what);
        for (auto each = first; each != last; ++each) {
            if (!taken_[each->second]) {
                taken_[each->second] = true;
                return each->second;
            }
        }
        return std::nullopt;
    }

    index exact_;
    index any_port_;
    std::vector<bool> taken_;
};

} // namespace

difference compare(const plan& next, const std::vector<wish>& wishes,
                   std::span<const held_socket> held) {
    difference made;
    made.kept.resize(next.sockets.size());
    matching match{held};
    // Those with a port of their own first: it may be one that a wish for any port has got.
    for (const bool any_port : {false, true}) {
        for (std::size_t i = 0; i < next.sockets.size(); ++i) {
            const auto& each = next.sockets[i];
            if (wants_any_port(each) == any_port) {
                made.kept[i] = match.take(each, wishes[each.wish]);
            }
        }
    }
    for (std::size_t i = 0; i < held.size(); ++i) {
        if (!match.taken()[i]) {
            made.closed.push_back(i);
        }
    }
    return made;
}

std::string to_text(const difference& which, const plan& next, const std::vector<wish>& wishes,
                    std::span<const held_socket> held) {
    std::string lines;
    const auto line = [&](std::string_view what, const auto& which_one, const ip::any_endpoint& at,
                          const ip::listen_address& wish) {
        const bool is_unix = std::holds_alternative<ip::unix_name>(at);
        lines += std::string{what} + ' ' +
                 (is_unix ? "" : std::string{ip::to_text(which_one.over)} + ' ') + ip::to_text(at) +
                 (which_one.interface.empty() ? "" : " on " + which_one.interface) + "  for " +
                 ip::to_text(wish) + '\n';
    };
    for (std::size_t i = 0; i < next.sockets.size(); ++i) {
        const auto& each = next.sockets[i];
        const auto& wish = wishes[each.wish].where;
        if (which.kept[i]) {
            line("keep ", each, held[*which.kept[i]].at, wish);
        } else {
            line("open ", each, each.at, wish);
        }
    }
    for (const auto each : which.closed) {
        line("close", held[each], held[each].at, held[each].wish);
    }
    return lines;
}

} // namespace portico::plan
