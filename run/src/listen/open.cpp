// Walks a plan: socket, options in their order, bind, listen.

#include "listen/open.hpp"

#include "listen/socket_file.hpp"
#include "portico/plan/difference.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace portico::run {
namespace {

using plan::planned_socket;

bool is(std::error_code why, int number) noexcept {
    return why.value() == number && why.category() == std::system_category();
}

// One planned socket on its way.
struct trial {
    std::size_t planned = 0;
    os::fd socket;
    open_attempt told;
    std::optional<os::file_identity> file;
    std::optional<int> inherited;
    bool foreign = false;
    std::vector<os::fd> clones;
    std::shared_ptr<std::set<plan::membership>> joined =
        std::make_shared<std::set<plan::membership>>();
    std::optional<bound_socket::terms> owed;

    [[nodiscard]] bool is_open() const noexcept { return socket.raw() >= 0; }
    void fail(std::error_code why, operation op) {
        told.why = error{why, op, blame(why), told.at};
        socket.reset();
    }
};

class opening {
public:
    opening(const plan::plan& made, std::vector<held_socket> held,
            std::vector<std::optional<std::size_t>> kept, const bind_call& bind)
        : made_{made}, held_{std::move(held)}, kept_{std::move(kept)}, bind_{bind} {}

    opened_plan run() &&;

private:
    [[nodiscard]] trial start(std::size_t planned) const;
    void set_options(trial& now) const;
    void bind(trial& now, std::uint16_t port);
    void listen(trial& now) const;
    void learn_name(trial& now) const;

    void open_one(std::size_t planned);
    void open_file(std::size_t planned, const ip::unix_name& name);
    void inherit(std::size_t planned);
    [[nodiscard]] trial go_on_with(std::size_t planned);
    void open_group(const std::vector<std::size_t>& members);
    void complete_group(const std::vector<std::size_t>& members);
    [[nodiscard]] bool try_group(const std::vector<std::size_t>& members, std::size_t first,
                                 std::vector<trial>& trials);
    [[nodiscard]] std::vector<std::size_t> group_from(std::size_t first) const;

    [[nodiscard]] const planned_socket& planned(const trial& of) const {
        return made_.sockets[of.planned];
    }
    [[nodiscard]] const bound_socket* dual_over(const ip::any_endpoint& at,
                                                ip::transport over) const;
    void excuse_if_covered(trial& now, const std::vector<trial>& besides) const;
    void keep(trial now);

    const plan::plan& made_;
    std::vector<held_socket> held_;
    std::vector<std::optional<std::size_t>> kept_; // of each planned socket the held one
    const bind_call& bind_;                        // empty: as this process can
    opened_plan done_;
};

bool is_v4_endpoint(const ip::any_endpoint& at) noexcept {
    const auto* where = std::get_if<ip::endpoint>(&at);
    return where != nullptr && where->address.is_v4();
}

// An IPv6 wildcard that takes IPv4 connections to the port of `at` as well. When IPV6_V6ONLY can
// not be read either, it was not set, and the default of Linux is to take both.
bool is_dual_over(int socket, const ip::any_endpoint& bound, const ip::any_endpoint& at) {
    const auto* wide = std::get_if<ip::endpoint>(&bound);
    const auto* narrow = std::get_if<ip::endpoint>(&at);
    return wide != nullptr && narrow != nullptr && wide->address.is_v6() &&
           wide->address.is_unspecified() && wide->port == narrow->port &&
           narrow->address.is_v4() && !os::v6only(socket).value_or(false);
}

trial opening::start(std::size_t planned) const {
    const auto& what = made_.sockets[planned];
    trial now;
    now.planned = planned;
    now.told.planned = planned;
    now.told.at = what.at;
    auto made = os::socket(what.at, what.over);
    if (made) {
        now.socket = *std::move(made);
        set_options(now);
    } else {
        now.fail(made.error(), operation::open);
    }
    return now;
}

// Failing to set an option is a remark, not the end: each makes a socket better, but one without it
// is better than none. What is then wrong shows at bind, or is said here.
void opening::set_options(trial& now) const {
    const auto& what = planned(now);
    const auto note = [&](const os::sys_status& done, std::string_view name,
                          std::string_view meaning) {
        if (!done) {
            now.told.remarks.push_back(std::string{name} + " could not be set (" +
                                       done.error().message() + "): " + std::string{meaning});
        }
    };
    const auto* where = std::get_if<ip::endpoint>(&what.at);
    const auto family = where != nullptr ? where->address.family() : ip::family::v4;
    if (what.v6only) {
        note(os::set_v6only(now.socket, true), "IPV6_V6ONLY",
             "this socket may take IPv4 connections as well");
    }
    if (what.reuse_address) {
        note(os::set_reuse_address(now.socket, true), "SO_REUSEADDR",
             "a restart may have to wait for connections in TIME_WAIT");
    }
    if (what.reuse_port) {
        note(os::set_reuse_port(now.socket, true), "SO_REUSEPORT",
             "no other process can share the port");
    }
    if (what.freebind) {
        note(os::set_freebind(now.socket, family), "IP_FREEBIND", "the address must be there now");
    }
    if (what.packet_info) {
        note(os::set_receive_packet_info(now.socket, family), "IP_PKTINFO",
             "replies may leave from another address than the one that was asked");
    }
    // Without it, it would hear and answer what it must not.
    if (!what.interface.empty()) {
        if (const auto done = os::set_bind_to_device(now.socket, what.interface); !done) {
            return now.fail(done.error(), operation::set_option);
        }
    }
    if (!what.groups.empty()) {
        note(os::set_multicast_all(now.socket.raw(), family, false), "IP_MULTICAST_ALL",
             "groups that others of this host have joined are heard, too");
    }
}

void opening::bind(trial& now, std::uint16_t port) {
    if (!now.is_open()) {
        return;
    }
    if (auto* where = std::get_if<ip::endpoint>(&now.told.at); where != nullptr && port != 0) {
        where->port = port;
    }
    const auto* where = std::get_if<ip::endpoint>(&now.told.at);
    if (const auto bound = where != nullptr && bind_ ? bind_(now.socket, *where)
                                                     : os::bind(now.socket, now.told.at);
        !bound) {
        now.fail(bound.error(), operation::bind);
        return;
    }
    learn_name(now);
}

void opening::learn_name(trial& now) const {
    if (const auto name = os::getsockname(now.socket.raw())) {
        now.told.at = *name;
    }
}

void opening::listen(trial& now) const {
    if (!now.is_open() || planned(now).backlog <= 0) {
        return;
    }
    if (const auto listening = os::listen(now.socket, planned(now).backlog); !listening) {
        now.fail(listening.error(), operation::listen);
    }
}

const bound_socket* opening::dual_over(const ip::any_endpoint& at, ip::transport over) const {
    const auto found =
        std::find_if(done_.sockets.begin(), done_.sockets.end(), [&](const bound_socket& each) {
            return each.over == over && is_dual_over(each.descriptor.raw(), each.at, at);
        });
    return found == done_.sockets.end() ? nullptr : &*found;
}

// When the IPv4 port is taken by our own IPv6 socket, nothing is lost: that one serves both.
void opening::excuse_if_covered(trial& now, const std::vector<trial>& besides) const {
    if (!now.told.why || !is(now.told.why->code, EADDRINUSE) || !is_v4_endpoint(now.told.at)) {
        return;
    }
    const auto over = planned(now).over;
    const auto excuse = [&](std::size_t by, const ip::any_endpoint& wide) {
        now.told.covered_by = by;
        now.told.why.reset();
        now.told.remarks.push_back("not opened: our own " + ip::to_text(wide) +
                                   " takes IPv4 as well, because IPV6_V6ONLY is not set on it");
    };
    for (const auto& each : besides) {
        if (each.is_open() && planned(each).over == over &&
            is_dual_over(each.socket.raw(), each.told.at, now.told.at)) {
            excuse(each.planned, each.told.at);
            return;
        }
    }
    if (const auto* wide = dual_over(now.told.at, over)) {
        excuse(wide->planned, wide->at);
    }
}

void opening::keep(trial now) {
    done_.bound.push_back(!now.told.why);
    if (now.is_open()) {
        const auto& what = planned(now);
        done_.sockets.push_back({std::move(now.socket), now.told.at, what.over, what.wish,
                                 now.planned, now.file, what.v6only, now.inherited, now.foreign,
                                 std::move(now.clones), what.interface, what.groups,
                                 std::move(now.joined), now.owed});
    }
    done_.attempts.push_back(std::move(now.told));
}

void opening::open_one(std::size_t planned) {
    trial now = start(planned);
    bind(now, 0);
    listen(now);
    excuse_if_covered(now, {});
    keep(std::move(now));
}

void opening::open_file(std::size_t planned, const ip::unix_name& name) {
    trial now = start(planned);
    if (now.is_open()) {
        const auto& what = made_.sockets[planned];
        auto file = bind_file(now.socket, name, what.over, what.unix_mode, [&] {
            const auto listening =
                what.backlog > 0 ? os::listen(now.socket, what.backlog) : os::sys_status{};
            return listening ? std::error_code{} : listening.error();
        });
        now.file = file.which;
        std::move(file.remarks.begin(), file.remarks.end(), std::back_inserter(now.told.remarks));
        if (file.why) {
            now.fail(file.why, file.op);
            now.told.why->who = file.is_no_socket ? side::caller : now.told.why->who;
        }
    }
    keep(std::move(now));
}

// It has its options; listener::settle() does the rest. A program may have it as well, so nothing
// is changed here.
trial opening::go_on_with(std::size_t planned) {
    auto& from = held_[*kept_[planned]].socket;
    trial now;
    now.planned = planned;
    now.told.planned = planned;
    now.told.at = from.at;
    now.socket = std::move(from.descriptor);
    now.clones = std::move(from.clones);
    now.inherited = from.inherited;
    now.foreign = from.foreign;
    now.file = from.file;
    now.joined = std::move(from.joined);
    const auto& what = made_.sockets[planned];
    now.owed = bound_socket::terms{what.backlog, what.unix_mode, what.reuse_port};
    done_.taken_over.push_back(done_.sockets.size()); // where keep() puts it
    return now;
}

// A descriptor that was handed to us already has its options but those of ours. It stays open under
// its number: a later start may ask for it again.
void opening::inherit(std::size_t planned) {
    const auto& what = made_.sockets[planned];
    trial now;
    now.planned = planned;
    now.told.planned = planned;
    now.told.at = what.at;
    const auto name = os::getsockname(*what.inherited);
    if (!name || *name != what.at) {
        now.fail(errc::not_inherited, operation::inspect);
        keep(std::move(now));
        return;
    }
    os::fd given{*what.inherited};
    auto copy = os::dup(given);
    static_cast<void>(std::move(given).release());
    if (!copy) {
        now.fail(copy.error(), operation::inspect);
        return keep(std::move(now));
    }
    now.socket = *std::move(copy);
    now.inherited = what.inherited;
    if (const auto ready = os::make_ours(now.socket); !ready) {
        now.fail(ready.error(), operation::set_option);
    }
    if (now.is_open()) {
        set_options(now);
        listen(now);
    }
    keep(std::move(now));
}

std::vector<std::size_t> opening::group_from(std::size_t first) const {
    std::vector<std::size_t> members{first};
    const auto group = made_.sockets[first].port_group;
    while (group && members.back() + 1 < made_.sockets.size() &&
           made_.sockets[members.back() + 1].port_group == group) {
        members.push_back(members.back() + 1);
    }
    return members;
}

// Binds the member `first` to a random port and the others to that one, and listens only when all
// are bound: until then the kernel lets another process with SO_REUSEADDR bind the same port, and
// tells one of us only at listen(). Returns false when somebody else has the port for one of them.
bool opening::try_group(const std::vector<std::size_t>& members, std::size_t first,
                        std::vector<trial>& trials) {
    bool collided = false;
    std::uint16_t port = 0;
    const auto look = [&](trial& now) {
        excuse_if_covered(now, trials);
        collided = collided || (port != 0 && now.told.why && is(now.told.why->code, EADDRINUSE));
    };
    trials.resize(members.size());
    for (std::size_t i = 0; i < members.size(); ++i) {
        const std::size_t turn = (first + i) % members.size();
        trials[turn] = start(members[turn]);
        bind(trials[turn], port);
        look(trials[turn]);
        if (const auto* at = std::get_if<ip::endpoint>(&trials[turn].told.at);
            trials[turn].is_open()) {
            port = at->port;
        }
    }
    for (auto& each : trials) {
        if (!each.told.why) {
            listen(each);
            look(each);
        }
    }
    return !collided;
}

// Some are open: those that have come since get the same port, or none.
void opening::complete_group(const std::vector<std::size_t>& members) {
    std::uint16_t port = 0;
    for (const auto each : members) {
        if (kept_[each]) {
            port = std::get<ip::endpoint>(held_[*kept_[each]].socket.at).port;
        }
    }
    for (const auto each : members) {
        if (kept_[each]) {
            keep(go_on_with(each));
            continue;
        }
        trial now = start(each);
        bind(now, port);
        listen(now);
        excuse_if_covered(now, {});
        keep(std::move(now));
    }
}

// Linux has favourites among the ports that are free for the first socket, and proposes them again
// and again. If they are all taken in the other family, only that family knows; so each member is
// the first in its turn.
void opening::open_group(const std::vector<std::size_t>& members) {
    if (std::any_of(members.begin(), members.end(), [&](auto each) { return kept_[each]; })) {
        return complete_group(members);
    }
    constexpr std::size_t rounds = 128;
    std::vector<trial> trials;
    for (std::size_t round = 0; round < rounds; ++round) {
        trials.clear(); // closes the sockets of the round before
        if (try_group(members, round % members.size(), trials)) {
            break;
        }
    }
    for (auto& each : trials) {
        keep(std::move(each));
    }
}

opened_plan opening::run() && {
    for (std::size_t i = 0; i < made_.sockets.size();) {
        if (kept_[i] && !made_.sockets[i].port_group) {
            keep(go_on_with(i++));
            continue;
        }
        const auto& what = made_.sockets[i];
        const auto* where = std::get_if<ip::endpoint>(&what.at);
        const auto* name = std::get_if<ip::unix_name>(&what.at);
        if (what.inherited) {
            inherit(i++);
        } else if (where != nullptr && where->port == 0) {
            const auto members = group_from(i);
            open_group(members);
            i += members.size();
        } else if (name != nullptr && !name->is_abstract() && !name->empty()) {
            open_file(i++, *name);
        } else {
            open_one(i++);
        }
    }
    return std::move(done_);
}

} // namespace

side blame(std::error_code why) noexcept {
    if (why == errc::not_inherited) {
        return side::caller;
    }
    switch (why.value()) {
    case EACCES:
    case EPERM:
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
    case ELOOP:
    case EROFS:
    case EINVAL:
    case ENODEV:
        return side::caller;
    default:
        return side::system;
    }
}

opened_plan open_plan(const plan::plan& made, const std::vector<plan::wish>& wishes,
                      std::vector<held_socket> held, const bind_call& bind) {
    std::vector<plan::held_socket> seen;
    for (const auto& each : held) {
        const auto& socket = each.socket;
        seen.push_back(
            {socket.at, socket.over, socket.v6only, socket.inherited, each.wish, socket.interface});
    }
    auto kept = plan::compare(made, wishes, seen).kept;
    return opening{made, std::move(held), std::move(kept), bind}.run();
}

} // namespace portico::run
