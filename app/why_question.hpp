// From what a user writes after `portico why` to what is to be explained.
#pragma once

#include "portico/base/deadline.hpp"
#include "portico/diagnose/diagnose.hpp"

#include <optional>
#include <string>
#include <tl/expected.hpp>

namespace portico::app {

struct why_wish {
    std::string address;
    std::optional<diagnose::act> what{}; // unset: what the address suggests
    ip::transport over = ip::transport::tcp;
    std::optional<ip::family> only{};
    bool reuse_port = false;
    bool freebind = false;
    duration timeout = std::chrono::seconds{10}; // for names
};

struct why_question {
    diagnose::question asked;
    std::string remark; // how it was understood, when the user left that open; empty: nothing
};

struct why_error {
    std::string text;
    side whose = side::caller;
};

// Resolves names, and asks the kernel for the addresses of interfaces. The error says in full what
// is wrong, where, and how to write it; of a name that does not resolve as well.
[[nodiscard]] tl::expected<why_question, why_error> read_why_question(const why_wish& wish);

} // namespace portico::app
