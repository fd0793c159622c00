// What somebody probably meant to type.
#pragma once

#include <string>
#include <vector>

namespace portico::app {

// Of `words`, the one that `typed`, as far as a '=', most probably stands for; empty when none is
// near. Time: the product of their lengths.
[[nodiscard]] std::string nearest_word(const std::string& typed,
                                       const std::vector<std::string>& words);

} // namespace portico::app
