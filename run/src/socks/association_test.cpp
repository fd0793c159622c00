// UDP ASSOCIATE, with sockets of this program as clients and targets.

#include "portico/os/clock.hpp"
#include "portico/run/socks.hpp"
#include "serve/one_thread_test.hpp"

#include <boost/asio/ip/udp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <gmock/gmock.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sys/resource.h>

namespace portico::run {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using asio::ip::udp;
using testing::AllOf;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;
using refused = admit::destination_refusal;

std::string bytes_of(std::uint16_t port) {
    return {static_cast<char>(port >> 8), static_cast<char>(port & 0xff)};
}
std::string bytes_of(const std::string& address, std::uint16_t port) {
    const auto which = asio::ip::make_address(address);
    if (which.is_v4()) {
        const auto all = which.to_v4().to_bytes();
        return '\1' + std::string{all.begin(), all.end()} + bytes_of(port);
    }
    const auto all = which.to_v6().to_bytes();
    return '\4' + std::string{all.begin(), all.end()} + bytes_of(port);
}
std::string bytes_of(const udp::endpoint& at) {
    return bytes_of(at.address().to_string(), at.port());
}
std::string named(const std::string& name, std::uint16_t port) {
    return "\3"s + static_cast<char>(name.size()) + name + bytes_of(port);
}
std::string whole(const std::string& to, const std::string& data, char fragment = 0) {
    return "\0\0"s + fragment + to + data;
}

// In the place of portico-resolve, as long as it lives. It notes the process of each question.
class resolver {
public:
    explicit resolver(const std::string& body) {
        std::string pattern = std::filesystem::temp_directory_path() / "portico-resolver-XXXXXX";
        directory_ = ::mkdtemp(pattern.data());
        const auto program = directory_ / "resolve";
        std::ofstream{program} << "#!/bin/sh\necho $$ >> " << (directory_ / "asked").string()
                               << '\n'
                               << body << '\n';
        std::filesystem::permissions(program, std::filesystem::perms::owner_all);
        ::setenv("PORTICO_RESOLVE", program.c_str(), 1);
    }
    resolver(const resolver&) = delete;
    resolver& operator=(const resolver&) = delete;
    ~resolver() {
        ::unsetenv("PORTICO_RESOLVE");
        std::filesystem::remove_all(directory_);
    }

    [[nodiscard]] std::size_t asked() const { return processes().size(); }
    // Whether each of its processes is no more.
    [[nodiscard]] bool is_gone() const {
        const auto all = processes();
        return std::all_of(all.begin(), all.end(),
                           [](pid_t each) { return ::kill(each, 0) == -1 && errno == ESRCH; });
    }

private:
    [[nodiscard]] std::vector<pid_t> processes() const {
        std::ifstream file{directory_ / "asked"};
        return {std::istream_iterator<pid_t>{file}, {}};
    }

    std::filesystem::path directory_;
};

class socks_association_test : public one_thread_test {
protected:
    static constexpr auto everything_here = "127.0.0.0/8:*,[::1]:*";

    ~socks_association_test() override {
        service.reset();
        context.restart();
        context.poll(); // what was cancelled
    }

    void make(socks_options how = {}, const char* rules = everything_here) {
        how.rules = admit::parse_destination_rules(rules, admit::ruling::allow).value();
        auto made = make_socks_service(context.get_executor(), std::move(how));
        ASSERT_TRUE(made.has_value()) << to_text(made.error());
        socks = made->get();
        service = *std::move(made);
    }
    void make_without_rules() {
        auto made = make_socks_service(context.get_executor(), {});
        ASSERT_TRUE(made.has_value()) << to_text(made.error());
        socks = made->get();
        service = *std::move(made);
    }

    udp::socket socket_at(const std::string& address = "127.0.0.1") {
        return udp::socket{context, udp::endpoint{asio::ip::make_address(address), 0}};
    }

    struct client {
        tcp::socket control;
        udp::socket socket;
        udp::endpoint at{};

        void say(const std::string& to, const std::string& data, char fragment = 0) {
            socket.send_to(asio::buffer(whole(to, data, fragment)), at);
        }
    };

    // What is answered to a request that says so.
    std::string ask(tcp::socket& control, const std::string& said) {
        write(control, "\5\1\0\5\3\0"s + said);
        const auto head = read(control, 6);
        EXPECT_THAT(head, StartsWith("\5\0\5"s));
        return head.substr(3) + read(control, head.back() == '\4' ? 18U : 6U);
    }
    // A client with its association; `said` is where it says that it will send from.
    client associate(const std::string& address = "127.0.0.1", const std::string& said = {}) {
        const auto where = asio::ip::make_address(address);
        client made{client_of_service(where), socket_at(address)};
        const auto answer = ask(made.control, said.empty() ? bytes_of("0.0.0.0", 0) : said);
        const auto port =
            static_cast<std::uint16_t>(static_cast<unsigned char>(answer[answer.size() - 2]) << 8 |
                                       static_cast<unsigned char>(answer.back()));
        EXPECT_EQ(answer, "\0\0"s + bytes_of(address, port));
        made.at = {where, port};
        return made;
    }

    struct arrived {
        std::string text;
        udp::endpoint from;
    };
    arrived take(udp::socket& from) {
        arrived got{std::string(std::size_t{1} << 16, '\0'), {}};
        bool done = false;
        from.async_receive_from(asio::buffer(got.text), got.from,
                                [&](error_code wrong, std::size_t size) {
                                    EXPECT_FALSE(wrong) << wrong.message();
                                    got.text.resize(size);
                                    done = true;
                                });
        run_until([&] { return done; });
        return got;
    }

    [[nodiscard]] std::uint64_t dropped(socks_drop why) const {
        return socks->counters().dropped[static_cast<std::size_t>(why)];
    }
    [[nodiscard]] std::uint64_t all_dropped() const {
        std::uint64_t sum = 0;
        for (const auto each : socks->counters().dropped) {
            sum += each;
        }
        return sum;
    }
    [[nodiscard]] std::uint64_t not_allowed(refused why) const {
        return socks->counters().not_allowed[static_cast<std::size_t>(why)];
    }
    // `count` and no more of them, and nothing else.
    void run_until_dropped(socks_drop why, std::uint64_t count) {
        const auto others = all_dropped() - dropped(why);
        run_until([&] { return all_dropped() >= others + count; });
        EXPECT_EQ(dropped(why), count) << to_text(why);
    }
    void run_for(duration how_long) {
        asio::steady_timer later{context, how_long};
        bool is_later = false;
        later.async_wait([&](error_code) { is_later = true; });
        run_until([&] { return is_later; });
    }

    const socks_service* socks = nullptr;
};

// ---- what goes through ----

TEST_F(socks_association_test, datagrams_go_to_both_families_by_both_and_come_back) {
    make();
    auto v4 = socket_at();
    auto v6 = socket_at("::1");
    for (const auto* each : {"127.0.0.1", "::1"}) {
        auto one = associate(each);
        for (auto* target : {&v4, &v6}) {
            const auto to = bytes_of(target->local_endpoint());
            one.say(to, "question");
            const auto asked = take(*target);
            EXPECT_EQ(asked.text, "question");
            target->send_to(asio::buffer("answer"s), asked.from);
            EXPECT_EQ(take(one.socket).text, whole(to, "answer")) << each;
        }
        // An answer has the IPv4 address, however it was written in the question.
        const auto port = v4.local_endpoint().port();
        one.say(bytes_of("::ffff:127.0.0.1", port), "mapped");
        one.say(named("127.0.0.1", port), "");
        EXPECT_EQ(take(v4).text, "mapped");
        const auto empty = take(v4);
        EXPECT_EQ(empty.text, "");
        v4.send_to(asio::buffer("x"s), empty.from);
        EXPECT_EQ(take(one.socket).text, whole(bytes_of(v4.local_endpoint()), "x"));
    }
    EXPECT_EQ(socks->counters().associated, 2U);
    EXPECT_EQ(socks->counters().to_targets, 8U);
    EXPECT_EQ(socks->counters().to_clients, 6U);
    EXPECT_EQ(all_dropped(), 0U);
}

TEST_F(socks_association_test, datagrams_leave_from_one_port_of_each_family) {
    make();
    auto first = socket_at();
    auto second = socket_at();
    auto one = associate("::1");
    auto other = associate("::1");
    one.say(bytes_of(first.local_endpoint()), "a");
    const auto from = take(first).from;
    one.say(bytes_of(second.local_endpoint()), "b");
    EXPECT_EQ(take(second).from, from);
    other.say(bytes_of(first.local_endpoint()), "c");
    EXPECT_NE(take(first).from, from);
}

TEST_F(socks_association_test, datagrams_leave_from_the_chosen_address_and_no_other_family) {
    socks_options how;
    how.settings.from = ip::endpoint{ip::address::loopback(ip::family::v4), 0};
    make(std::move(how));
    auto target = socket_at();
    auto v6 = socket_at("::1");
    auto one = associate();
    one.say(bytes_of(v6.local_endpoint()), "x");
    run_until_dropped(socks_drop::no_socket, 1);
    one.say(named("localhost", target.local_endpoint().port()), "y");
    const auto got = take(target);
    EXPECT_EQ(got.text, "y");
    EXPECT_EQ(got.from.address(), asio::ip::address_v4::loopback());
}

TEST_F(socks_association_test, what_is_too_large_with_its_header_is_dropped) {
    make();
    auto target = socket_at();
    const auto to = bytes_of(target.local_endpoint());
    auto one = associate();
    one.say(to, "question");
    const auto asked = take(target);
    target.send_to(asio::buffer(std::string(65'507, 'x')), asked.from); // the most that UDP takes
    run_until_dropped(socks_drop::too_large, 1);
    const std::string largest(65'507 - 10, 'x');
    target.send_to(asio::buffer(largest), asked.from);
    EXPECT_EQ(take(one.socket).text, whole(to, largest));
}

// ---- who is let through ----

TEST_F(socks_association_test, datagrams_are_taken_from_the_client_alone) {
    make();
    auto target = socket_at();
    const auto to = bytes_of(target.local_endpoint());
    auto one = associate();
    auto stranger = socket_at("127.0.0.2");
    auto neighbour = socket_at();
    stranger.send_to(asio::buffer(whole(to, "another host")), one.at);
    one.say(to, "first");
    EXPECT_EQ(take(target).text, "first");
    neighbour.send_to(asio::buffer(whole(to, "another port")), one.at); // it is known now
    one.say(to, "second");
    const auto asked = take(target);
    EXPECT_EQ(asked.text, "second");
    EXPECT_EQ(dropped(socks_drop::foreign), 2U);
    // Answers go to the client all the same.
    target.send_to(asio::buffer("answer"s), asked.from);
    EXPECT_EQ(take(one.socket).text, whole(to, "answer"));
}

TEST_F(socks_association_test, what_is_no_datagram_of_ours_does_not_choose_the_port) {
    make();
    auto target = socket_at();
    const auto to = bytes_of(target.local_endpoint());
    auto one = associate();
    auto neighbour = socket_at();
    neighbour.send_to(asio::buffer("nonsense"s), one.at);
    run_until_dropped(socks_drop::malformed, 1);
    one.say(to, "first");
    EXPECT_EQ(take(target).text, "first");
}

TEST_F(socks_association_test, a_port_that_a_client_says_counts_when_the_address_is_its_own) {
    make();
    auto target = socket_at();
    const auto to = bytes_of(target.local_endpoint());
    for (const auto* address : {"0.0.0.0", "::", "127.0.0.1", "::ffff:127.0.0.1"}) {
        auto spoken_of = socket_at();
        const auto port = spoken_of.local_endpoint().port();
        auto one = associate("127.0.0.1", bytes_of(address, port));
        const auto before = dropped(socks_drop::foreign);
        one.say(to, "from elsewhere");
        spoken_of.send_to(asio::buffer(whole(to, "from there")), one.at);
        EXPECT_EQ(take(target).text, "from there") << address;
        EXPECT_EQ(dropped(socks_drop::foreign), before + 1) << address;
    }
    // Behind a NAT neither is what we see; and a name says nothing.
    for (const auto& said : {bytes_of("192.0.2.1", 9), named("client.example", 9)}) {
        auto one = associate("127.0.0.1", said);
        one.say(to, "from wherever");
        EXPECT_EQ(take(target).text, "from wherever");
    }
}

TEST_F(socks_association_test, only_who_was_sent_to_is_heard) {
    make();
    auto target = socket_at();
    auto stranger = socket_at();
    auto one = associate();
    one.say(bytes_of(target.local_endpoint()), "question");
    const auto asked = take(target);
    stranger.send_to(asio::buffer("unasked"s), asked.from);
    target.send_to(asio::buffer("answer"s), asked.from);
    EXPECT_EQ(take(one.socket).text, whole(bytes_of(target.local_endpoint()), "answer"));
    EXPECT_EQ(dropped(socks_drop::unasked), 1U);
}

TEST_F(socks_association_test, the_destination_that_was_silent_the_longest_makes_room) {
    make({.max_destinations = 2});
    auto first = socket_at();
    auto second = socket_at();
    auto third = socket_at();
    auto one = associate();
    udp::endpoint from;
    for (auto* each : {&first, &second, &first, &third}) { // the second one has to go
        one.say(bytes_of(each->local_endpoint()), "question");
        from = take(*each).from;
    }
    second.send_to(asio::buffer("forgotten"s), from);
    first.send_to(asio::buffer("first"s), from);
    third.send_to(asio::buffer("third"s), from);
    EXPECT_EQ(take(one.socket).text, whole(bytes_of(first.local_endpoint()), "first"));
    EXPECT_EQ(take(one.socket).text, whole(bytes_of(third.local_endpoint()), "third"));
    EXPECT_EQ(dropped(socks_drop::unasked), 1U);
}

TEST_F(socks_association_test, fragments_and_what_is_malformed_are_dropped) {
    make();
    auto target = socket_at();
    const auto to = bytes_of(target.local_endpoint());
    auto one = associate();
    one.say(to, "fragment", 1);
    one.say(to, "the last fragment", '\x81');
    for (const auto& each :
         {""s, "\0\0\0"s, "\0\0\0\1\x7f"s, "\0\0\0\2xxxxxx"s, "\1\0\0"s + to + "x",
          whole(bytes_of("127.0.0.1", 0), "x"), whole(named("", 1), "x"),
          whole(named("a/b", 1), "x"), "\0\0\0\3\xff"s + "cut"}) {
        one.socket.send_to(asio::buffer(each), one.at);
    }
    one.say(to, "good");
    EXPECT_EQ(take(target).text, "good");
    EXPECT_EQ(dropped(socks_drop::fragment), 2U);
    EXPECT_EQ(dropped(socks_drop::malformed), 9U);
    EXPECT_EQ(all_dropped(), 11U);
}

// ---- destinations ----

TEST_F(socks_association_test, the_host_itself_is_not_reached_without_a_rule) {
    make_without_rules();
    auto one = associate();
    struct {
        std::string to;
        refused why;
    } const all[]{
        {bytes_of("127.0.0.1", 9), refused::loopback},
        {bytes_of("127.9.9.9", 9), refused::loopback},
        {bytes_of("::1", 9), refused::loopback},
        {bytes_of("::ffff:127.0.0.1", 9), refused::loopback},
        {bytes_of("64:ff9b::7f00:1", 9), refused::loopback},
        {bytes_of("2002:7f00:1::", 9), refused::loopback},
        {named("127.0.0.1", 9), refused::loopback},
        {named("::1", 9), refused::loopback},
        {bytes_of("0.0.0.0", 9), refused::unspecified},
        {bytes_of("::", 9), refused::unspecified},
        {bytes_of("169.254.169.254", 9), refused::link_local},
        {bytes_of("fe80::1", 9), refused::link_local},
        {bytes_of("224.0.0.1", 9), refused::multicast},
        {bytes_of("ff02::1", 9), refused::multicast},
        {bytes_of("255.255.255.255", 9), refused::broadcast},
        {named("a..b", 9), refused::malformed_name},
    };
    std::uint64_t count = 0;
    for (const auto& each : all) {
        const auto before = not_allowed(each.why);
        one.say(each.to, "x");
        run_until_dropped(socks_drop::not_allowed, ++count);
        EXPECT_EQ(not_allowed(each.why), before + 1) << count;
    }
    // A name is asked for, and each of its addresses looked at.
    const auto before = not_allowed(refused::loopback);
    one.say(named("localhost", 9), "x");
    run_until_dropped(socks_drop::not_allowed, ++count);
    EXPECT_EQ(not_allowed(refused::loopback), before + 2);
    EXPECT_EQ(socks->counters().to_targets, 0U);
    EXPECT_EQ(all_dropped(), count);
}

TEST_F(socks_association_test, each_destination_is_checked_each_time) {
    auto target = socket_at();
    auto other = socket_at();
    const auto port = target.local_endpoint().port();
    make({}, ("127.0.0.1:" + std::to_string(port)).c_str());
    auto one = associate();
    one.say(bytes_of("127.0.0.1", port), "one");
    EXPECT_EQ(take(target).text, "one");
    one.say(bytes_of(other.local_endpoint()), "another port");
    run_until_dropped(socks_drop::not_allowed, 1);
    one.say(named("localhost", port), "a name"); // ::1 may not be sent to, and 127.0.0.1 may
    EXPECT_EQ(take(target).text, "a name");
    one.say(named("localhost", other.local_endpoint().port()), "another port of it");
    run_until_dropped(socks_drop::not_allowed, 2);
}

// ---- names ----

TEST_F(socks_association_test, datagrams_wait_for_their_name_in_order) {
    make();
    auto target = socket_at("::1"); // which comes first of the two (RFC 6724)
    const auto port = target.local_endpoint().port();
    auto one = associate();
    for (const auto* each : {"one", "two", "three"}) {
        one.say(named("target.localhost", port), each);
    }
    for (const auto* each : {"one", "two", "three"}) {
        EXPECT_EQ(take(target).text, each);
    }
    EXPECT_EQ(all_dropped(), 0U);
}

TEST_F(socks_association_test, a_name_is_asked_for_once) {
    const resolver answers{"printf 'portico-resolve 1\\naddress 127.0.0.1\\nend\\n'"};
    make();
    auto target = socket_at();
    auto one = associate();
    for (const auto* each : {"one", "two", "three"}) {
        one.say(named("target.example", target.local_endpoint().port()), each);
        EXPECT_EQ(take(target).text, each);
    }
    EXPECT_EQ(answers.asked(), 2U); // for each family
}

TEST_F(socks_association_test, a_name_without_an_address_is_not_asked_for_again_at_once) {
    const resolver answers{"exit 1"};
    make();
    auto one = associate();
    for (std::uint64_t i = 1; i <= 3; ++i) {
        one.say(named("nowhere.example", 9), "x");
        run_until_dropped(socks_drop::unresolved, i);
    }
    EXPECT_EQ(answers.asked(), 2U);
}

TEST_F(socks_association_test, what_waits_for_a_name_is_bounded) {
    make();
    auto target = socket_at("::1");
    const auto port = target.local_endpoint().port();
    auto one = associate();
    for (int i = 0; i < 20; ++i) {
        one.say(named("many.localhost", port), std::to_string(i));
    }
    for (int i = 0; i < 16; ++i) {
        EXPECT_EQ(take(target).text, std::to_string(i));
    }
    EXPECT_EQ(dropped(socks_drop::waiting), 4U);
    // And in bytes; what has waited counts no more.
    for (const auto size : {40'000U, 30'000U, 20'000U}) {
        one.say(named("large.localhost", port), std::string(size, 'x'));
    }
    EXPECT_EQ(take(target).text.size(), 40'000U);
    EXPECT_EQ(take(target).text.size(), 20'000U);
    EXPECT_EQ(dropped(socks_drop::waiting), 5U);
    one.say(named("larger.localhost", port), std::string(60'000, 'x'));
    EXPECT_EQ(take(target).text.size(), 60'000U);
}

TEST_F(socks_association_test, so_many_names_are_asked_for_at_once_and_no_more) {
    make();
    auto target = socket_at("::1");
    const auto port = target.local_endpoint().port();
    auto one = associate();
    for (const auto* each : {"a", "b", "c", "d", "e"}) {
        one.say(named(each + ".localhost"s, port), each);
    }
    std::vector<std::string> got;
    for (int i = 0; i < 4; ++i) {
        got.push_back(take(target).text);
    }
    EXPECT_THAT(got, ElementsAre("a", "b", "c", "d"));
    EXPECT_EQ(dropped(socks_drop::waiting), 1U);
    one.say(named("e.localhost", port), "e");
    EXPECT_EQ(take(target).text, "e");
}

TEST_F(socks_association_test, a_name_makes_room_unless_it_is_asked_for) {
    const resolver answers{"printf 'portico-resolve 1\\naddress 127.0.0.1\\nend\\n'"};
    make({.max_names = 2});
    auto target = socket_at();
    const auto port = target.local_endpoint().port();
    auto one = associate();
    for (const auto* each : {"a", "b", "c"}) { // c finds no room
        one.say(named(each + ".example"s, port), each);
    }
    EXPECT_THAT(take(target).text + take(target).text, testing::AnyOf("ab", "ba"));
    EXPECT_EQ(dropped(socks_drop::waiting), 1U);
    EXPECT_EQ(answers.asked(), 4U);
    // Now they are answered: a is used, so that b goes for c.
    for (const auto* each : {"a", "c", "a"}) {
        one.say(named(each + ".example"s, port), each);
        EXPECT_EQ(take(target).text, each);
    }
    EXPECT_EQ(answers.asked(), 6U);
    one.say(named("b.example", port), "b");
    EXPECT_EQ(take(target).text, "b");
    EXPECT_EQ(answers.asked(), 8U);
}

TEST_F(socks_association_test, of_the_addresses_of_a_name_so_many_are_looked_at) {
    const resolver answers{
        "echo portico-resolve 1; i=0; case \"$*\" in *6*) ;; *) while [ $i -lt 200 ]; do"
        " echo address 10.0.0.$i; i=$((i + 1)); done;; esac; echo end"};
    make();
    auto one = associate();
    one.say(named("many.example", 9), "x");
    run_until_dropped(socks_drop::not_allowed, 1);
    EXPECT_EQ(not_allowed(refused::not_listed), 32U);
}

// ---- the end ----

TEST_F(socks_association_test, it_ends_with_the_connection) {
    make();
    auto target = socket_at();
    auto one = associate();
    write(one.control, "words that mean nothing");
    one.say(bytes_of(target.local_endpoint()), "question");
    target.send_to(asio::buffer("answer"s), take(target).from);
    static_cast<void>(take(one.socket));
    EXPECT_TRUE(ends.empty());
    one.control.close();
    const auto end = only_end();
    EXPECT_FALSE(end.why);
    EXPECT_THAT(end.detail, AllOf(StartsWith("UDP ASSOCIATE 0.0.0.0:0; datagrams at 127.0.0.1:"),
                                  EndsWith("; 1 datagrams in, 1 out")));
    // Nobody is there any more.
    one.socket.connect(one.at);
    one.socket.send(asio::buffer("x"s));
    error_code wrong;
    std::array<char, 9> room{};
    one.socket.receive(asio::buffer(room), 0, wrong);
    EXPECT_EQ(wrong, asio::error::connection_refused);
}

TEST_F(socks_association_test, it_ends_when_the_client_is_reset_or_says_its_end) {
    make();
    auto one = associate();
    close_with_reset(one.control);
    run_until([&] { return ends.size() == 1; });
    ASSERT_TRUE(ends[0].why);
    EXPECT_EQ(ends[0].why->code, std::errc::connection_reset);
    auto other = associate();
    other.control.shutdown(tcp::socket::shutdown_send);
    EXPECT_EQ(read_to_end(other.control).ended, asio::error::eof);
    run_until([&] { return ends.size() == 2; });
    EXPECT_FALSE(ends[1].why);
}

TEST_F(socks_association_test, it_ends_some_time_after_the_last_datagram) {
    constexpr auto idle = 100ms;
    make({.association_idle = idle});
    auto target = socket_at();
    auto one = associate();
    one.control.non_blocking(true);
    const auto begin = os::now();
    auto last = begin;
    while (os::now() < begin + idle / 2 && ends.empty()) {
        const auto now = os::now();
        one.say(bytes_of(target.local_endpoint()), "question");
        bool done = false;
        target.async_wait(udp::socket::wait_read, [&](error_code) { done = true; });
        run_until([&] { return done || !ends.empty(); });
        target.cancel();
        if (done) {
            last = now;
            static_cast<void>(take(target));
        }
    }
    EXPECT_EQ(read_to_end(one.control).ended, asio::error::eof);
    EXPECT_GE(os::now() - last, idle);
    EXPECT_GT(last, begin);
    const auto end = only_end();
    EXPECT_FALSE(end.why);
    EXPECT_THAT(end.detail, HasSubstr("; idle; "));
}

TEST_F(socks_association_test, patience_is_for_the_request_and_not_for_what_follows) {
    make({.patience = 500ms});
    auto target = socket_at();
    auto one = associate();
    run_for(700ms);
    EXPECT_TRUE(ends.empty());
    one.say(bytes_of(target.local_endpoint()), "late");
    EXPECT_EQ(take(target).text, "late");
}

TEST_F(socks_association_test, a_stop_ends_it_whatever_it_waits_for) {
    const resolver mute{"exec sleep 600"};
    make();
    auto target = socket_at();
    auto one = associate();
    one.say(named("never.example", 9), "waits for a process");
    one.say(named("soon.localhost", 9), "waits for a turn");
    one.say(bytes_of(target.local_endpoint()), "x");
    EXPECT_EQ(take(target).text, "x");
    while (mute.asked() < 2) {
        context.poll(); // they are being started
    }
    service->stop_now();
    EXPECT_EQ(only_end().why->code, std::errc::operation_canceled);
    EXPECT_EQ(read_to_end(one.control).ended, asio::error::connection_reset);
    EXPECT_TRUE(mute.is_gone());
    service->stop_now(); // again, with nobody there
    EXPECT_EQ(ends.size(), 1U);
}

TEST_F(socks_association_test, it_may_be_destroyed_whatever_it_waits_for_and_tells_nobody) {
    const resolver mute{"exec sleep 600"};
    make();
    auto target = socket_at();
    auto one = associate();
    auto silent = associate("::1");
    one.say(named("never.example", 9), "waits for a process");
    one.say(bytes_of(target.local_endpoint()), "x");
    const auto asked = take(target);
    one.say(bytes_of(target.local_endpoint()), "unread");
    target.send_to(asio::buffer("unread"s), asked.from);
    service.reset();
    EXPECT_TRUE(read_to_end(one.control).ended);
    EXPECT_TRUE(read_to_end(silent.control).ended);
    EXPECT_TRUE(ends.empty());
}

TEST_F(socks_association_test, the_context_may_end_before_the_answers_of_names_come) {
    const resolver mute{"exec sleep 600"};
    make();
    auto target = socket_at();
    auto one = associate();
    one.say(named("never.example", 9), "waits for a process");
    one.say(bytes_of(target.local_endpoint()), "x");
    EXPECT_EQ(take(target).text, "x");
    service.reset(); // and nothing is run any more: the context destroys what waits
    context.stop();
}

// ---- descriptors ----

class no_descriptors {
public:
    no_descriptors() {
        EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
        const rlimit none{0, before_.rlim_max};
        EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
    }
    no_descriptors(const no_descriptors&) = delete;
    no_descriptors& operator=(const no_descriptors&) = delete;
    ~no_descriptors() { EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before_), 0); }

private:
    rlimit before_{};
};

TEST_F(socks_association_test, a_client_for_whom_there_is_no_descriptor_is_told) {
#ifdef __SANITIZE_ADDRESS__
    GTEST_SKIP() << "the sanitizers need a descriptor to look at an object";
#endif
    make();
    auto control = client_of_service();
    write(control, "\5\1\0"s);
    EXPECT_EQ(read(control, 2), "\5\0"s);
    {
        const no_descriptors none;
        write(control, "\5\3\0"s + bytes_of("0.0.0.0", 0));
        EXPECT_EQ(read(control, 10).substr(0, 2), "\5\1"s);
    }
    control.close();
    EXPECT_EQ(only_end().why->code, std::errc::too_many_files_open);
    EXPECT_EQ(socks->counters().associated, 0U);
}

TEST_F(socks_association_test, a_datagram_without_a_descriptor_is_lost_and_the_next_one_is_not) {
#ifdef __SANITIZE_ADDRESS__
    GTEST_SKIP() << "the sanitizers need a descriptor to look at an object";
#endif
    make();
    auto target = socket_at();
    const auto to = bytes_of(target.local_endpoint());
    auto one = associate();
    {
        const no_descriptors none;
        one.say(to, "lost");
        run_until_dropped(socks_drop::no_socket, 1);
    }
    one.say(to, "not lost");
    EXPECT_EQ(take(target).text, "not lost");
}

} // namespace
} // namespace portico::run
