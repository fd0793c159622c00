// What an address is called, by the program of os/resolve.hpp.
#pragma once

#include "portico/os/resolve.hpp"

#include <string>
#include <string_view>

namespace portico::os {

// Starts the program with the question for the name of an address (getnameinfo(3)): all sources of
// names of this host are asked, in DNS for PTR. Errors: lookup_errc, or the errno of pipe2(2) or
// posix_spawn(3).
[[nodiscard]] result<lookup> start_name_lookup(const ip::address& who,
                                               const lookup_config& how = {});

// Reads its answer: a name of letters, digits, '-', '_' and '.', at most 253, without a final dot.
// Trusts nothing in it. errc::name_not_found when it has none. Pure; time: linear.
[[nodiscard]] result<std::string> parse_name_answer(std::string_view text);

} // namespace portico::os
