// Reading one [service.NAME].
#pragma once

#include "config/config.hpp"
#include "config/document.hpp"
#include "config/values.hpp"

#include <optional>
#include <string>
#include <vector>

namespace portico::app {

struct read_service_table {
    service_config made{};
    std::vector<place> wish_at{}; // of each wish, the text that it stands in
};

// nullopt when something is wrong with it, which has been told.
[[nodiscard]] std::optional<read_service_table>
read_service_entry(const document_entry& entry, const service_reader& read, complaints& to);

} // namespace portico::app
