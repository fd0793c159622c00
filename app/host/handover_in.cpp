// The new process' part of a handover.

#include "host/handover.hpp"

#include "portico/os/clock.hpp"

#include <boost/json.hpp>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <poll.h>
#include <utility>

namespace portico::app {
namespace {

namespace json = boost::json;

constexpr std::size_t most_sockets = 65536;
constexpr std::size_t most_carried = 64;
constexpr std::size_t longest_message = 192
                                        << 10; // more than a queue of UNIX sockets takes at once

// nullopt: it is something else.
std::optional<carried_thing> carried_in(std::string_view text, std::vector<os::fd>& with) {
    boost::system::error_code wrong;
    const auto read = json::parse(text, wrong);
    const auto* object = wrong ? nullptr : read.if_object();
    const auto* name = object == nullptr ? nullptr : object->if_contains("carried");
    const auto* told = object == nullptr ? nullptr : object->if_contains("text");
    if (name == nullptr || !name->is_string() || told == nullptr || !told->is_string()) {
        return std::nullopt;
    }
    carried_thing made{std::string{name->get_string()}, std::string{told->get_string()}, {}};
    if (!with.empty()) {
        made.descriptor = std::move(with.front());
    }
    return made;
}

void read_joined(const json::value* all, std::set<plan::membership>& into) {
    const auto* list = all == nullptr ? nullptr : all->if_array();
    if (list == nullptr) {
        return;
    }
    for (const auto& each : *list) {
        const auto* one = each.if_object();
        const auto* group = one == nullptr ? nullptr : one->if_contains("group");
        const auto* interface = one == nullptr ? nullptr : one->if_contains("interface");
        if (group == nullptr || !group->is_string() || interface == nullptr) {
            continue;
        }
        boost::system::error_code wrong;
        const auto number = interface->to_number<std::uint32_t>(wrong);
        if (const auto which = ip::parse_address(group->get_string()); which && !wrong) {
            into.insert({*which, number});
        }
    }
}

// nullopt: it is not what another portico writes.
std::optional<run::held_socket> from_message(std::string_view text, std::vector<os::fd> with) {
    boost::system::error_code wrong;
    const auto read = json::parse(text, wrong);
    const auto* object = wrong ? nullptr : read.if_object();
    if (object == nullptr || with.empty()) {
        return std::nullopt;
    }
    const auto* wish = object->if_contains("wish");
    const auto* over = object->if_contains("transport");
    const auto* v6only = object->if_contains("v6only");
    if (wish == nullptr || !wish->is_string() || over == nullptr || v6only == nullptr ||
        !v6only->is_bool()) {
        return std::nullopt;
    }
    const auto where = ip::parse_listen_address(wish->get_string());
    const auto at = os::getsockname(with.front().raw());
    if (!where || !at) {
        return std::nullopt;
    }
    run::held_socket made;
    made.wish = *where;
    made.socket.at = *at;
    made.socket.over = *over == "udp" ? ip::transport::udp : ip::transport::tcp;
    made.socket.v6only = v6only->get_bool();
    const auto* foreign = object->if_contains("foreign");
    made.socket.foreign = foreign != nullptr && foreign->is_bool() && foreign->get_bool();
    if (const auto* number = object->if_contains("inherited"); number && number->is_int64()) {
        made.socket.inherited = static_cast<int>(number->get_int64());
    }
    if (const auto* name = object->if_contains("interface"); name && name->is_string()) {
        made.socket.interface = std::string{name->get_string()};
    }
    read_joined(object->if_contains("joined"), *made.socket.joined);
    const auto* device = object->if_contains("device");
    const auto* inode = object->if_contains("inode");
    if (device != nullptr && inode != nullptr) {
        made.socket.file = os::file_identity{device->to_number<std::uint64_t>(wrong),
                                             inode->to_number<std::uint64_t>(wrong)};
    }
    made.socket.descriptor = std::move(with.front());
    with.erase(with.begin());
    made.socket.clones = std::move(with);
    return wrong ? std::nullopt : std::optional{std::move(made)};
}

} // namespace

handover_in::handover_in(boost::asio::io_context& context, os::fd channel)
    : channel_{std::make_unique<handover_channel>(
          context, std::move(channel), [this](const std::string& what) { handle(what); })} {}

tl::expected<std::unique_ptr<handover_in>, std::string>
handover_in::take(boost::asio::io_context& context, os::fd channel) {
    std::unique_ptr<handover_in> made{new handover_in{context, std::move(channel)}};
    if (auto done = made->receive(); !done) {
        return tl::unexpected{done.error()};
    }
    return made;
}

tl::expected<void, std::string> handover_in::receive() {
    const auto until = deadline::after(os::now(), handover_patience);
    std::vector<std::byte> room(longest_message);
    while (sockets_.size() < most_sockets && carried_.size() < most_carried) {
        const auto left = until.remaining(os::now());
        pollfd asked{channel_->raw(), POLLIN, 0};
        if (::poll(&asked, 1,
                   static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count())) ==
            0) {
            return tl::unexpected{std::string{"the old process sends nothing"}};
        }
        auto got = os::receive_descriptors(channel_->raw(), room, os::most_passed);
        if (!got && (got.error().value() == EAGAIN || got.error().value() == EINTR)) {
            continue;
        }
        if (!got) {
            return tl::unexpected{"the sockets cannot be received: " + got.error().message()};
        }
        const std::string_view text{reinterpret_cast<const char*>(room.data()), got->size};
        if (text == "end") {
            return {};
        }
        if (auto one = carried_in(text, got->descriptors)) {
            carried_.push_back(*std::move(one));
            continue;
        }
        auto made = from_message(text, std::move(got->descriptors));
        if (!made) {
            return tl::unexpected{std::string{text.empty() ? "the old process has ended"
                                                           : "what the old process sent is not a "
                                                             "socket of a portico"}};
        }
        sockets_.push_back(*std::move(made));
    }
    return tl::unexpected{std::string{"the old process sent too many sockets"}};
}

void handover_in::failed(std::string_view why) {
    constexpr std::size_t longest = 3500; // of a message, less than the other side has room for
    channel_->say("failed " + std::string{why.substr(0, longest)});
}

void refuse_handover(std::string_view why) {
    const char* number = std::getenv(handover_variable);
    if (number == nullptr) {
        return;
    }
    int channel = -1;
    std::from_chars(number, number + std::strlen(number), channel);
    boost::asio::io_context context;
    // Who has not read all would end the channel with an error, and what was said would be lost.
    if (const auto before = handover_in::take(context, os::fd{channel})) {
        (*before)->failed(why);
    }
}

void handover_in::ready(std::function<void()> go, std::function<void()> gone) {
    go_ = std::move(go);
    gone_ = std::move(gone);
    channel_->say("ready");
    channel_->listen();
}

void handover_in::serving(std::function<void()> done) {
    done_ = std::move(done);
    channel_->say("serving");
}

void handover_in::handle(const std::string& what) {
    const bool is_dead = what.empty() && went_;
    if (what == "go" && go_) {
        went_ = true;
        std::exchange(go_, nullptr)();
    } else if ((what == "done" || is_dead) && done_) {
        gone_ = nullptr;
        const auto tell = std::exchange(done_, nullptr);
        tell(); // may end us
    } else if (gone_) {
        go_ = nullptr; // what comes later, its end too, is not meant for us
        done_ = nullptr;
        const auto tell = std::exchange(gone_, nullptr);
        tell();
    }
}

} // namespace portico::app
