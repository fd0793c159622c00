// UNIX sockets: the file decides, and who has it.

#include "examiner.hpp"

#include <algorithm>

namespace portico::diagnose {
namespace {

bool is_server(const socket& which) noexcept {
    return which.state == socket_state::listening || which.over == ip::transport::udp;
}

// The socket that the file of this name leads to now. One whose file was removed, and perhaps made
// anew by another, still has the name.
const socket* owner_of(const facts& known, const ip::unix_name& name) {
    const auto at = std::find_if(known.sockets.begin(), known.sockets.end(), [&](const auto& each) {
        const bool same_file =
            name.is_abstract() || !each.file || !known.file || *each.file == known.file->inode;
        return each.local == ip::any_endpoint{name} && same_file;
    });
    return at == known.sockets.end() ? nullptr : &*at;
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

// Findings about the file alone; true when the matter is settled.
bool unusable_file(examiner& into, const std::string& text) {
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
        into.find({cause::no_directory,
                   sureness::certain,
                   "the directory of " + text + " is not there",
                   {},
                   {"make it: mkdir -p"}});
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

} // namespace

void examine_unix_bind(examiner& into, const ip::unix_name& name) {
    const auto text = ip::to_text(name);
    if (const auto* owner = owner_of(into.known(), name)) {
        owned(into, *owner);
        return;
    }
    if (name.is_abstract()) {
        into.exclude(cause::in_use, "nobody has " + text);
        return;
    }
    if (unusable_file(into, text)) {
        return;
    }
    const auto file = into.known().file.value_or(socket_file{});
    if (file.what == socket_file::kind::socket) {
        into.find(
            {cause::stale_socket_file,
             sureness::likely,
             "the file of " + text + " was left by a program that has ended",
             {"no socket of this network namespace has the file"},
             {"rm " + std::string{name.text()}, "portico listen removes such a file by itself"}});
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
    if (!name.is_abstract() && unusable_file(into, text)) {
        return;
    }
    const auto* owner = owner_of(into.known(), name);
    if (owner == nullptr) {
        const auto file = into.known().file.value_or(socket_file{});
        const bool stale = !name.is_abstract() && file.what == socket_file::kind::socket;
        into.find({stale ? cause::stale_socket_file : cause::nobody_listens,
                   stale ? sureness::likely : sureness::certain,
                   stale ? "the file of " + text + " was left by a program that has ended"
                         : "nobody listens at " + text,
                   {},
                   {"start the program that listens there"}});
        return;
    }
    if (!is_server(*owner)) {
        owned(into, *owner);
        return;
    }
    if (into.known().file && !into.known().file->writable) {
        into.find({cause::no_permission,
                   sureness::certain,
                   "user " + std::to_string(into.known().uid) + " may not write to " + text +
                       ", which connecting needs",
                   {line_of(*owner)},
                   {"chmod or chown " + std::string{name.text()}}});
        return;
    }
    examine_listener(into, *owner);
}

} // namespace portico::diagnose
