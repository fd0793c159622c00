#include "portico/admit/accept_policy.hpp"

#include <algorithm>
#include <cerrno>

namespace portico::admit {
namespace {

enum class kind : std::uint8_t { none_queued, one_connection, descriptors, other };

// accept(2): Linux passes errors that are already pending on the new socket as errors of accept();
// they are to be treated like EAGAIN, by trying again. EPERM: a firewall forbids the connection.
kind kind_of(std::error_code why) noexcept {
    if (why.category() != std::system_category() && why.category() != std::generic_category()) {
        return kind::other;
    }
    switch (why.value()) {
    case EAGAIN:
        return kind::none_queued;
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case EPERM:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case ECONNRESET:
    case ETIMEDOUT:
        return kind::one_connection;
    case EMFILE:
    case ENFILE:
        return kind::descriptors;
    default:
        return kind::other;
    }
}

} // namespace

void accept_policy::handle_accepted() noexcept {
    next_pause_ = first_pause;
    run_ = 0;
}

accept_decision accept_policy::handle_failure(std::error_code why, bool has_spare,
                                              instant now) noexcept {
    switch (kind_of(why)) {
    case kind::none_queued:
        run_ = 0;
        return {accept_step::wait, {}, false};
    case kind::one_connection: {
        auto decided = again_or_pause(now);
        decided.passed_over = true;
        return decided;
    }
    case kind::descriptors:
        return has_spare ? accept_decision{accept_step::shed, {}, false} : back_off(now);
    case kind::other:
        break;
    }
    return back_off(now);
}

accept_decision accept_policy::handle_shed(std::error_code why, instant now) noexcept {
    if (why) {
        return handle_failure(why, false, now);
    }
    // Shedding is progress, so pauses do not grow; but the run goes on counting.
    next_pause_ = first_pause;
    return again_or_pause(now);
}

accept_decision accept_policy::again_or_pause(instant now) noexcept {
    return ++run_ < run_limit ? accept_decision{accept_step::again, {}, false} : back_off(now);
}

accept_decision accept_policy::back_off(instant now) noexcept {
    const duration length = next_pause_;
    next_pause_ = std::min(length * 2, longest_pause);
    run_ = 0;
    return {accept_step::pause, now + length, false};
}

} // namespace portico::admit
