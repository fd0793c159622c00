// UNIX sockets: the file decides, and who has it.

#include "examiner.hpp"

#include <cstdint>

namespace portico::diagnose {
namespace {

bool is_server(const socket& which) noexcept {
    return which.state == socket_state::listening || which.over == ip::transport::udp;
}

const socket* owner_in(const facts& known) noexcept {
    return known.sockets.empty() ? nullptr : &known.sockets.front();
}

// What connecting to the file said, where its owner is not to be seen.
enum class answer : std::uint8_t { not_asked, alive, full, refused, unknown };
answer answer_of(const socket_file& file) noexcept {
    if (!file.probed) {
        return answer::not_asked;
    }
    if (!*file.probed || *file.probed == std::errc::wrong_protocol_type) {
        return answer::alive;
    }
    if (*file.probed == std::errc::resource_unavailable_try_again) {
        return answer::full;
    }
    return *file.probed == std::errc::connection_refused ? answer::refused : answer::unknown;
}

constexpr std::string_view somebody = "a program that cannot be seen from here";

void left_behind(examiner& into, const std::string& text, std::vector<std::string> fixes) {
    into.find({cause::stale_socket_file,
               sureness::likely,
               "the file of " + text + " was left by a program that has ended",
               {"no socket has the file, and connecting to it is refused"},
               std::move(fixes)});
}

void perhaps_left_behind(examiner& into, const std::string& text, const socket_file& file) {
    finding made{cause::stale_socket_file,
                 sureness::possible,
                 "the file of " + text +
                     " is there, and whether a program has it cannot be seen from here",
                 {},
                 {"run this as root to see it: sudo portico why ..."}};
    if (file.probed) {
        made.evidence.push_back("connecting to it: " + file.probed->message());
    }
    into.find(std::move(made));
}

void owned(examiner& into, const socket& owner) {
    finding made;
    made.what = is_server(owner) ? cause::in_use : cause::bound_not_listening;
    made.sentence = who_has(owner, into.known()) +
                    (is_server(owner) ? " listens at " : " has bound, and does not listen at, ") +
                    ip::to_text(owner.local);
    add_evidence(made.evidence, owner, into.known());
    add_way_to_end(made.fixes, owner, into.known());
    into.find(std::move(made));
}

void without_directory(examiner& into, const ip::unix_name& name, bool file_in_way) {
    const auto path = name.text();
    const std::string directory{path.substr(0, path.rfind('/'))};
    const bool binds = into.asked().what == act::bind;
    into.find({cause::no_directory,
               sureness::certain,
               "the directory of " + ip::to_text(name) + " is not there" +
                   (file_in_way ? ": a file is in its place" : ""),
               {},
               {!binds        ? "start the program that listens there, or correct the path"
                : file_in_way ? "choose another path"
                              : "make it: mkdir -p " + quoted(directory)}});
}

// Findings about the file alone; true when the matter is settled.
bool unusable_file(examiner& into, const ip::unix_name& name) {
    const auto text = ip::to_text(name);
    const auto file = into.known().file.value_or(socket_file{});
    switch (file.what) {
    case socket_file::kind::other:
        into.find({cause::not_a_socket,
                   sureness::certain,
                   text + " is a file, and not a socket",
                   {},
                   {"choose another path"}});
        return true;
    case socket_file::kind::no_directory:
        without_directory(into, name, file.file_in_way);
        return true;
    case socket_file::kind::hidden:
        into.find({cause::no_permission,
                   sureness::certain,
                   "user " + std::to_string(into.known().uid) + " may not look at " + text,
                   {},
                   {"run this as root to see it, or give the user access to the directory"}});
        return true;
    default:
        return false;
    }
}

void bind_to_unseen_owner(examiner& into, const ip::unix_name& name, const socket_file& file) {
    const auto text = ip::to_text(name);
    switch (answer_of(file)) {
    case answer::alive:
    case answer::full:
        into.find({cause::in_use,
                   sureness::certain,
                   std::string{somebody} + " has " + text,
                   {"no socket that can be seen has the file, but connecting to it is not refused"},
                   {}});
        break;
    case answer::refused:
        left_behind(into, text,
                    {"rm " + quoted(std::string{name.text()}),
                     "portico listen removes such a file by itself"});
        break;
    default:
        perhaps_left_behind(into, text, file);
    }
}

void reach_unseen_owner(examiner& into, const std::string& text, const socket_file& file) {
    switch (answer_of(file)) {
    case answer::alive:
        into.exclude(cause::nobody_listens, std::string{somebody} + " listens at " + text);
        into.exclude(cause::stale_socket_file, "connecting to " + text + " is not refused");
        break;
    case answer::full:
        into.find({cause::accept_queue_full,
                   sureness::certain,
                   "the accept queue of " + std::string{somebody} + " at " + text + " is full",
                   {"connecting to it would wait (EAGAIN)"},
                   {}});
        break;
    case answer::refused:
        left_behind(into, text, {"start the program that listens there"});
        break;
    default:
        perhaps_left_behind(into, text, file);
    }
}

} // namespace

void examine_unix_bind(examiner& into, const ip::unix_name& name) {
    const auto text = ip::to_text(name);
    if (const auto* owner = owner_in(into.known())) {
        owned(into, *owner);
        return;
    }
    if (name.is_abstract()) {
        into.exclude(cause::in_use, "nobody has " + text);
        return;
    }
    if (unusable_file(into, name)) {
        return;
    }
    const auto file = into.known().file.value_or(socket_file{});
    if (file.what == socket_file::kind::socket) {
        bind_to_unseen_owner(into, name, file);
        return;
    }
    if (!file.writable) {
        into.find({cause::no_permission,
                   sureness::certain,
                   "user " + std::to_string(into.known().uid) +
                       " may not make files in the directory of " + text,
                   {},
                   {"give the user write access to the directory"}});
        return;
    }
    into.exclude(cause::in_use, "there is no file at " + text);
    into.exclude(cause::stale_socket_file, "there is no file at " + text);
}

void examine_unix_connect(examiner& into, const ip::unix_name& name) {
    const auto text = ip::to_text(name);
    if (!name.is_abstract() && unusable_file(into, name)) {
        return;
    }
    const auto* owner = owner_in(into.known());
    const auto file = into.known().file.value_or(socket_file{});
    const bool is_there = !name.is_abstract() && file.what == socket_file::kind::socket;
    if (is_there && !file.writable) {
        into.find({cause::no_permission,
                   sureness::certain,
                   "user " + std::to_string(into.known().uid) + " may not write to " + text +
                       ", which connecting needs",
                   owner == nullptr ? std::vector<std::string>{} : std::vector{line_of(*owner)},
                   {"chmod or chown " + quoted(std::string{name.text()})}});
        return;
    }
    if (owner == nullptr && is_there) {
        reach_unseen_owner(into, text, file);
        return;
    }
    if (owner == nullptr) {
        into.find({cause::nobody_listens,
                   sureness::certain,
                   "nobody listens at " + text,
                   {},
                   {"start the program that listens there"}});
        return;
    }
    if (!is_server(*owner)) {
        owned(into, *owner);
        return;
    }
    examine_listener(into, *owner);
}

} // namespace portico::diagnose
