// Links and addresses on a real kernel: what os reads, and what `portico addrs --watch` tells.

#include "veth_child.hpp"

#include "portico/os/netlink.hpp"

#include <algorithm>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>

namespace portico {
namespace {

using namespace std::chrono_literals;

ip::address doc(std::uint8_t last) {
    return ip::address::v6({0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last});
}

const os::link_address* find(const os::snapshot& in, std::string_view interface,
                             const ip::address& which) {
    const auto at = std::find_if(in.addresses.begin(), in.addresses.end(), [&](const auto& each) {
        return each.address == which && each.link == os::interface_index(interface);
    });
    return at == in.addresses.end() ? nullptr : &*at;
}

// The kernel as the monitor tells it.
class follower {
public:
    explicit follower(int receive_buffer = 0)
        : events_{os::monitor::open(receive_buffer).value()}, known_{os::take_snapshot().value()} {}

    // Waits for events until `holds` is true of what is known; the test's time limit ends it.
    template <class Holds>
    void until(Holds holds) {
        while (!holds(known_)) {
            pollfd waiting{events_.raw(), POLLIN, 0};
            ASSERT_EQ(::poll(&waiting, 1, -1), 1);
            take();
        }
    }

    // Reads what has come. The changes that had an effect, also after a loss.
    std::vector<os::change> take() {
        const auto news = events_.read_changes();
        EXPECT_TRUE(news) << news.error().message();
        auto changes = news->changes;
        if (news->lost) {
            ++losses_;
            EXPECT_TRUE(changes.empty());
            changes = os::difference(known_, os::take_snapshot().value());
        }
        std::erase_if(changes, [&](const auto& each) { return !known_.apply(each); });
        return changes;
    }

    [[nodiscard]] const os::snapshot& known() const { return known_; }
    [[nodiscard]] int losses() const { return losses_; }

private:
    os::monitor events_;
    os::snapshot known_;
    int losses_ = 0;
};

TEST(addresses, are_tentative_until_nobody_has_objected) {
    in_veth_child([] {
        follower kernel;
        ip_tool("addr add 2001:db8::1/64 dev va");
        kernel.until([](const auto& known) { return find(known, "va", doc(1)) != nullptr; });
        EXPECT_TRUE(find(kernel.known(), "va", doc(1))->tentative);
        kernel.until([](const auto& known) { return !find(known, "va", doc(1))->tentative; });
        const auto now = os::take_snapshot().value();
        ASSERT_NE(find(now, "va", doc(1)), nullptr);
        EXPECT_FALSE(find(now, "va", doc(1))->tentative);
        EXPECT_FALSE(find(now, "va", doc(1))->dad_failed);
        EXPECT_TRUE(find(now, "va", doc(1))->permanent);
    });
}

TEST(addresses, that_somebody_else_has_are_dad_failed) {
    in_veth_child([] {
        follower kernel;
        ip_tool("addr add 2001:db8::1/64 dev va nodad");
        ip_tool("addr add 2001:db8::1/64 dev vb");
        kernel.until([](const auto& known) {
            const auto* twin = find(known, "vb", doc(1));
            return twin != nullptr && twin->dad_failed;
        });
        const auto now = os::take_snapshot().value();
        EXPECT_TRUE(find(now, "vb", doc(1))->dad_failed);
        EXPECT_TRUE(find(now, "va", doc(1))->nodad);
        EXPECT_FALSE(find(now, "va", doc(1))->dad_failed);
    });
}

TEST(addresses, without_preferred_lifetime_are_deprecated) {
    in_veth_child([] {
        ip_tool("addr add 2001:db8::1/64 dev va nodad preferred_lft 0");
        const auto now = os::take_snapshot().value();
        ASSERT_NE(find(now, "va", doc(1)), nullptr);
        EXPECT_TRUE(find(now, "va", doc(1))->deprecated);
        EXPECT_EQ(find(now, "va", doc(1))->preferred, 0s);
        EXPECT_EQ(find(now, "va", doc(1))->valid, std::nullopt);
    });
}

TEST(addresses, have_the_lifetimes_that_are_left) {
    in_veth_child([] {
        ip_tool("addr add 2001:db8::1/64 dev va nodad valid_lft 86399 preferred_lft 3600");
        ip_tool("addr add 192.0.2.1/24 dev va valid_lft 7200 preferred_lft 7200");
        const auto now = os::take_snapshot().value();
        const auto* v6 = find(now, "va", doc(1));
        ASSERT_NE(v6, nullptr);
        EXPECT_TRUE(v6->valid > 80000s && v6->valid <= 86399s);
        EXPECT_TRUE(v6->preferred > 3000s && v6->preferred <= 3600s);
        EXPECT_FALSE(v6->permanent);
        const auto* v4 = find(now, "va", ip::address::v4(192, 0, 2, 1));
        ASSERT_NE(v4, nullptr);
        EXPECT_TRUE(v4->valid > 7000s && v4->valid <= 7200s);
    });
}

TEST(addresses, made_up_for_privacy_are_temporary) {
    in_veth_child([] {
        std::ofstream{"/proc/sys/net/ipv6/conf/va/use_tempaddr"} << "2\n";
        follower kernel;
        ip_tool("addr add 2001:db8::1/64 dev va mngtmpaddr nodad");
        kernel.until([](const auto& known) {
            return std::any_of(known.addresses.begin(), known.addresses.end(),
                               [](const auto& each) { return each.temporary; });
        });
        EXPECT_FALSE(find(kernel.known(), "va", doc(1))->temporary);
        for (const auto& each : kernel.known().addresses) {
            EXPECT_TRUE(!each.temporary || (each.valid && each.prefix_length == 64));
        }
    });
}

TEST(addresses, have_peer_broadcast_label_and_know_who_is_second) {
    in_veth_child([] {
        ip_tool("addr add 192.0.2.1/24 brd 192.0.2.255 dev va label va:one");
        ip_tool("addr add 192.0.2.2/24 dev va");
        ip_tool("addr add 198.51.100.1 peer 198.51.100.2 dev vb");
        ip_tool("addr add fe80::1/64 dev vb nodad");
        const auto now = os::take_snapshot().value();
        const auto* first = find(now, "va", ip::address::v4(192, 0, 2, 1));
        const auto* second = find(now, "va", ip::address::v4(192, 0, 2, 2));
        const auto* far = find(now, "vb", ip::address::v4(198, 51, 100, 1));
        ASSERT_TRUE(first != nullptr && second != nullptr && far != nullptr);
        EXPECT_EQ(first->broadcast, ip::address::v4(192, 0, 2, 255));
        EXPECT_EQ(first->label, "va:one");
        EXPECT_TRUE(!first->secondary && second->secondary && !second->temporary);
        EXPECT_EQ(far->peer, ip::address::v4(198, 51, 100, 2));
        EXPECT_NE(find(now, "vb",
                       ip::address::v6({0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},
                                       ip::zone::from_text("vb").value())),
                  nullptr);
        const auto* cable = now.find_link(os::interface_index("va"));
        ASSERT_NE(cable, nullptr);
        EXPECT_EQ(cable->kind, "veth");
        EXPECT_EQ(cable->mac.size(), 6U);
    });
}

TEST(monitor, tells_changes_in_order) {
    in_veth_child([] {
        follower kernel;
        while (!kernel.take().empty()) { // what came before the snapshot
        }
        ip_tool("addr add 192.0.2.1/24 dev va");
        ip_tool("addr del 192.0.2.1/24 dev va");
        ip_tool("link set vb mtu 1400");
        std::vector<os::change> seen;
        for (auto now = kernel.take(); !now.empty(); now = kernel.take()) { // ip(8) has ended
            seen.insert(seen.end(), now.begin(), now.end());
        }
        // That a cable carries now is told late, and has nothing to do with it.
        std::erase_if(seen, [](const auto& each) {
            const auto* link = std::get_if<os::link_set>(&each);
            return link != nullptr && link->link.mtu != 1400U;
        });
        ASSERT_GE(seen.size(), 3U);
        EXPECT_TRUE(std::holds_alternative<os::address_set>(seen[0]));
        EXPECT_TRUE(std::holds_alternative<os::address_removed>(seen[1]));
        for (auto each = seen.begin() + 2; each != seen.end(); ++each) {
            EXPECT_TRUE(std::holds_alternative<os::link_set>(*each));
        }
        EXPECT_EQ(find(kernel.known(), "va", ip::address::v4(192, 0, 2, 1)), nullptr);
        ip_tool("link del va"); // and its other end with it
        kernel.until([](const auto& known) { return known.links.size() == 1; });
        EXPECT_EQ(kernel.known(), os::take_snapshot().value());
        EXPECT_EQ(kernel.losses(), 0);
    });
}

// A batch of ip(8): `verb` 2000 IPv4 addresses on va.
void thousands(const std::string& verb) {
    char path[] = "/tmp/addrs-batch-XXXXXX";
    const os::fd made{::mkstemp(path)};
    ASSERT_TRUE(made);
    std::ofstream batch{path};
    for (int i = 0; i < 2000; ++i) {
        batch << "addr " << verb << " 198.18." << i / 250 << '.' << i % 250 + 1 << "/32 dev va\n";
    }
    batch.close();
    ip_tool(std::string{"-batch "} + path);
    ::unlink(path);
}

TEST(monitor, that_lost_events_says_so_and_ends_with_a_consistent_picture) {
    in_veth_child([] {
        follower kernel{1}; // the smallest buffer that there is
        thousands("add");
        kernel.take();
        EXPECT_EQ(kernel.losses(), 1);
        EXPECT_EQ(kernel.known(), os::take_snapshot().value());
        EXPECT_GE(kernel.known().addresses.size(), 2000U);
        thousands("del");
        ip_tool("addr add 192.0.2.1/24 dev va");
        kernel.take();
        EXPECT_EQ(kernel.losses(), 2);
        EXPECT_EQ(kernel.known(), os::take_snapshot().value());
        // From here on each change is told again.
        ip_tool("addr del 192.0.2.1/24 dev va");
        EXPECT_EQ(kernel.take().size(), 1U);
        EXPECT_EQ(kernel.losses(), 2);
    });
}

// ---- the command ----

// `portico` in a directory above this program's; empty when it was not built.
std::string portico_path() {
    namespace fs = std::filesystem;
    for (auto at = fs::read_symlink("/proc/self/exe").parent_path(); at != at.root_path();
         at = at.parent_path()) {
        if (fs::is_regular_file(at / "portico")) {
            return at / "portico";
        }
    }
    return {};
}

// `portico addrs --watch ...`, with its two outputs.
class watching {
public:
    explicit watching(const std::vector<std::string>& more = {}) {
        int out[2] = {-1, -1};
        int err[2] = {-1, -1};
        EXPECT_EQ(::pipe2(out, O_CLOEXEC), 0);
        EXPECT_EQ(::pipe2(err, O_CLOEXEC), 0);
        std::vector<std::string> arguments{portico_path(), "addrs", "--watch"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        std::vector<char*> raw;
        for (auto& each : arguments) {
            raw.push_back(each.data());
        }
        raw.push_back(nullptr);
        child_ = ::fork();
        if (child_ == 0) {
            ::dup2(out[1], STDOUT_FILENO);
            ::dup2(err[1], STDERR_FILENO);
            ::execv(raw[0], raw.data());
            ::_exit(127);
        }
        for (const int each : {out[1], err[1]}) {
            ::close(each);
        }
        out_ = os::fd{out[0]};
        err_ = os::fd{err[0]};
        EXPECT_NE(error_line().find("watching"), std::string::npos);
    }

    std::string line() { return next_line(out_); }
    std::string error_line() { return next_line(err_); }
    void signal(int which) const { ::kill(child_, which); }
    void close_output() { out_.reset(); }
    // The exit code, or minus the signal that killed it.
    int ended() const {
        int status = 0;
        ::waitpid(child_, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }
    // Waits until it has stopped, after signal(SIGSTOP).
    void stopped() const {
        int status = 0;
        ::waitpid(child_, &status, WUNTRACED);
    }

private:
    static std::string next_line(const os::fd& from) {
        std::string text;
        char each = 0;
        while (::read(from.raw(), &each, 1) == 1 && each != '\n') {
            text += each;
        }
        return text;
    }

    pid_t child_ = -1;
    os::fd out_;
    os::fd err_;
};

#define NEEDS_THE_COMMAND()                                                                        \
    if (portico_path().empty()) {                                                                  \
        GTEST_SKIP() << "the command portico is not built";                                        \
    }

struct command_end {
    std::string text; // both outputs
    int code = -1;
};

command_end run_addrs(const std::string& arguments) {
    std::FILE* pipe = ::popen((portico_path() + " addrs " + arguments + " 2>&1").c_str(), "r");
    command_end made;
    for (int each = std::fgetc(pipe); each != EOF; each = std::fgetc(pipe)) {
        made.text += static_cast<char>(each);
    }
    const int status = ::pclose(pipe);
    made.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return made;
}

TEST(addrs, prints_a_row_for_each_address_and_one_for_an_interface_without) {
    NEEDS_THE_COMMAND();
    in_veth_child([] {
        ip_tool("link set va address 02:00:00:00:00:0a");
        ip_tool("link set vb down address 02:00:00:00:00:0b");
        ip_tool("addr add 192.0.2.1/24 dev va");
        ip_tool("addr add 2001:db8::1/64 dev va nodad preferred_lft 0");
        const auto shown = run_addrs("va vb");
        EXPECT_EQ(shown.code, 0);
        EXPECT_EQ(shown.text,
                  "INTERFACE  STATE       MAC                MTU   KIND  ADDRESS         SCOPE   "
                  "FLAGS                       LIFETIME\n"
                  "vb         down        02:00:00:00:00:0b  1500  veth  -\n"
                  "va         no carrier  02:00:00:00:00:0a  1500  veth  192.0.2.1/24    global  "
                  "permanent                   forever\n"
                  "                                                      2001:db8::1/64  global  "
                  "deprecated permanent nodad  forever (no longer preferred)\n");
    });
}

TEST(addrs, prints_null_for_what_there_is_not_in_json) {
    NEEDS_THE_COMMAND();
    in_veth_child([] {
        ip_tool("link add bridge0 address 02:00:00:00:00:0c type bridge");
        const auto index = std::to_string(os::interface_index("bridge0"));
        EXPECT_EQ(run_addrs("bridge0 --json").text,
                  R"([{"name":"bridge0","index":)" + index +
                      R"(,"state":"down","up":false,"running":false,"loopback":false,)"
                      R"("mac":"02:00:00:00:00:0c","mtu":1500,"kind":"bridge","addresses":[]}])"
                      "\n");
        const auto lo = run_addrs("lo -4 --json").text;
        EXPECT_NE(lo.find(R"("mac":null,"mtu":65536,"kind":null)"), std::string::npos) << lo;
        EXPECT_NE(lo.find(R"("preferred_seconds":null,"valid_seconds":null)"), std::string::npos);
    });
}

TEST(addrs, of_an_unknown_interface_is_the_users_mistake_and_names_the_nearest) {
    NEEDS_THE_COMMAND();
    in_veth_child([] {
        ip_tool("link set vb name ethernet0");
        const auto near = run_addrs("ehternet0");
        EXPECT_EQ(near.code, 100);
        EXPECT_EQ(near.text, "portico: addrs: ehternet0: there is no such interface here; did you "
                             "mean ethernet0?\n");
        const auto far = run_addrs("--watch wholly_unlike");
        EXPECT_EQ(far.code, 100);
        EXPECT_EQ(far.text, "portico: addrs: wholly_unlike: there is no such interface here; "
                            "`portico addrs` lists them all\n");
        EXPECT_EQ(run_addrs("-4 -6").code, 100);
    });
}

TEST(addrs_watch, prints_each_change_and_ends_with_a_signal) {
    NEEDS_THE_COMMAND();
    in_veth_child([] {
        watching portico;
        ip_tool("addr add 192.0.2.1/24 dev va");
        EXPECT_EQ(portico.line(),
                  "address added      va  192.0.2.1/24  global  permanent  forever");
        ip_tool("addr add 2001:db8::1/64 dev va nodad valid_lft 86399 preferred_lft 0");
        EXPECT_EQ(portico.line(),
                  "address added      va  2001:db8::1/64  global  deprecated nodad  "
                  "23h59m left (no longer preferred)");
        ip_tool("addr del 192.0.2.1/24 dev va");
        EXPECT_EQ(portico.line(),
                  "address removed    va  192.0.2.1/24  global  permanent  forever");
        ip_tool("link set va down");
        auto line = portico.line();
        while (!line.empty() && !line.starts_with("interface changed  va  down")) {
            line = portico.line();
        }
        EXPECT_FALSE(line.empty());
        portico.signal(SIGTERM);
        EXPECT_EQ(portico.ended(), 0);
    });
}

TEST(addrs_watch, prints_only_what_was_asked_for_and_json_on_request) {
    NEEDS_THE_COMMAND();
    in_veth_child([] {
        watching portico{{"vb", "-4", "--json"}};
        ip_tool("addr add 192.0.2.1/24 dev va");
        ip_tool("addr add 2001:db8::1/64 dev vb nodad");
        ip_tool("addr add 192.0.2.2/24 dev vb");
        EXPECT_EQ(portico.line(),
                  R"({"event":"added","interface":"vb","address":{"address":"192.0.2.2",)"
                  R"("prefix_length":24,"family":"ipv4","scope":"global","broadcast":null,)"
                  R"("peer":null,"label":"vb","flags":["permanent"],"preferred_seconds":null,)"
                  R"("valid_seconds":null}})");
        portico.signal(SIGINT);
        EXPECT_EQ(portico.ended(), 0);
    });
}

TEST(addrs_watch, ends_when_nobody_reads_any_more) {
    NEEDS_THE_COMMAND();
    in_veth_child([] {
        watching portico;
        portico.close_output(); // nothing needs to happen on the network
        EXPECT_EQ(portico.ended(), 0);
    });
}

TEST(addrs_watch, after_lost_events_catches_up_and_says_so) {
    NEEDS_THE_COMMAND();
    in_veth_child([] {
        watching portico;
        portico.signal(SIGSTOP);
        portico.stopped();
        thousands("add");
        portico.signal(SIGCONT);
        EXPECT_NE(portico.error_line().find("events were lost"), std::string::npos);
        for (int i = 0; i < 2000; ++i) {
            ASSERT_TRUE(portico.line().starts_with("address added      va  198.18.")) << i;
        }
        ip_tool("addr add 192.0.2.1/24 dev va");
        EXPECT_EQ(portico.line(),
                  "address added      va  192.0.2.1/24  global  permanent  forever");
        portico.signal(SIGTERM);
        EXPECT_EQ(portico.ended(), 0);
    });
}

} // namespace
} // namespace portico
