// What one service is asked to be, as it stands in options or in a file, and what comes of it.
#pragma once

#include "flags/admission_flags.hpp"
#include "flags/program_flags.hpp"
#include "flags/relay_flags.hpp"
#include "flags/setting_error.hpp"
#include "flags/socks_flags.hpp"

#include "portico/ip/unix_name.hpp"
#include "portico/plan/plan.hpp"
#include "portico/run/builtin.hpp"
#include "portico/run/program.hpp"
#include "portico/run/service.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace portico::app {

// Texts and numbers as they were given. Exactly one of `builtin`, `relay.to`, `socks.is_asked` and
// `program` says which kind it is.
struct service_request {
    std::optional<serve::builtin> builtin{};
    relay_flags relay{};
    socks_flags socks{};
    std::vector<std::string> program{}; // with its arguments
    program_flags programs{};
    std::vector<std::string> env{}; // of the program, beside its own: "NAME=VALUE" each
    admission_flags door{};
    std::uint64_t chargen_limit = run::builtin_options{}.chargen_limit;
    std::optional<duration> dead_after{};
    bool nagle = false;
};

// All that a service needs to know, once, before anything is opened for it.
struct service_choice {
    std::optional<serve::builtin> which{}; // else `relay`, `socks` or `program`
    std::uint64_t chargen_limit = 0;
    std::optional<run::relay_options> relay{};
    relay::association_settings associations{}; // of a relay, for datagrams
    std::size_t engines = 1;                    // of a relay
    std::optional<ip::unix_name> status{};      // of a relay
    std::optional<socks_choice> socks{};
    run::program_options program{};
    bool wait = false; // the program takes its clients itself
    // Answered by this process itself: how it is doing, for one.
    std::function<std::unique_ptr<run::stream_service>(const boost::asio::any_io_executor&)> ours{};
    run::admission_settings door{};
    std::optional<std::chrono::seconds> dead_after{};
    bool no_delay = true;
};

// Reads the files that it names. The error is the first that was found.
[[nodiscard]] or_setting_error<service_choice> read_service(const service_request& asked,
                                                            std::span<const plan::wish> wishes);

} // namespace portico::app
