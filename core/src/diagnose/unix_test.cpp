#include "portico/diagnose/diagnose.hpp"

#include <gtest/gtest.h>

namespace portico::diagnose {
namespace {

const auto path = ip::unix_name::path("/run/s").value();

// A file of a socket whose owner is not among the sockets that can be seen.
facts unseen(std::optional<std::errc> said) {
    facts known;
    known.file.emplace().what = socket_file::kind::socket;
    known.file->probed = said ? std::make_error_code(*said) : std::error_code{};
    return known;
}

diagnosis ask(act what, const facts& known) {
    question asked;
    asked.what = what;
    asked.places = {path};
    return diagnose(asked, known);
}

bool says_rm(const diagnosis& made) {
    for (const auto& found : made.findings) {
        for (const auto& each : found.fixes) {
            if (each.find("rm ") != std::string::npos) {
                return true;
            }
        }
    }
    return false;
}

TEST(diagnose_unix, a_file_is_stale_only_when_connecting_is_refused) {
    const auto known = unseen(std::errc::connection_refused);
    EXPECT_EQ(ask(act::bind, known).answer(), cause::stale_socket_file);
    EXPECT_EQ(ask(act::bind, known).findings.front().sure, sureness::likely);
    EXPECT_TRUE(says_rm(ask(act::bind, known)));
    EXPECT_EQ(ask(act::connect, known).answer(), cause::stale_socket_file);
}

TEST(diagnose_unix, whoever_answers_has_the_file_seen_or_not) {
    for (const auto said :
         {std::optional<std::errc>{}, std::optional{std::errc::wrong_protocol_type}}) {
        EXPECT_EQ(ask(act::bind, unseen(said)).answer(), cause::in_use);
        EXPECT_FALSE(says_rm(ask(act::bind, unseen(said))));
        EXPECT_EQ(ask(act::connect, unseen(said)).answer(), cause::none);
    }
    const auto full = unseen(std::errc::resource_unavailable_try_again);
    EXPECT_EQ(ask(act::bind, full).answer(), cause::in_use);
    EXPECT_EQ(ask(act::connect, full).answer(), cause::accept_queue_full);
}

TEST(diagnose_unix, what_could_not_be_asked_is_possible_and_nothing_is_removed) {
    auto known = unseen(std::errc::permission_denied);
    for (int i = 0; i < 2; ++i) {
        const auto made = ask(act::bind, known);
        EXPECT_EQ(made.answer(), cause::stale_socket_file);
        EXPECT_EQ(made.findings.front().sure, sureness::possible);
        EXPECT_FALSE(says_rm(made));
        known.file->probed.reset(); // not asked at all
    }
    known.file->writable = false;
    EXPECT_EQ(ask(act::connect, known).answer(), cause::no_permission);
}

TEST(diagnose_unix, an_owner_is_told_whatever_it_calls_the_file) {
    auto known = unseen({});
    known.file->probed.reset();
    socket owner;
    owner.state = socket_state::listening;
    owner.local = ip::unix_name::path("s").value();
    owner.inode = 7;
    known.sockets = {owner};
    EXPECT_EQ(ask(act::bind, known).answer(), cause::in_use);
    EXPECT_EQ(ask(act::connect, known).answer(), cause::none);
}

} // namespace
} // namespace portico::diagnose
