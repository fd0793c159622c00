// What has been measured, as tables, and whether portico is where it has to be.
#pragma once

#include "measure.hpp"
#include "relays.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace portico::bench::relay {

// What of one measure and one relay has come out, over the runs.
struct figures {
    samples figure{};
    samples cpu{};       // of the relay, for each of what is counted
    samples busy{};      // percent of the time
    samples load_busy{}; // the same of the load and the origin
    std::uint64_t failed = 0;
    std::uint64_t lost = 0;
};

// One row of the table for each relay.
struct measure_row {
    std::string name;
    std::string title;
    int decimals = 0;
    std::string cpu_unit{}; // empty: it is not measured
    bool most_is_best = true;
};
// All that there are, in the order of the table.
[[nodiscard]] const std::vector<measure_row>& all_rows();

class results {
public:
    [[nodiscard]] figures& of(const std::string& row, const std::string& relay) {
        return all_[row][relay];
    }
    // nullptr: not measured.
    [[nodiscard]] const figures* find(const std::string& row, const std::string& relay) const;
    // Streams that a relay has cut short or changed. One that has lost any does not count any more.
    [[nodiscard]] std::uint64_t lost(const std::string& relay) const;

    [[nodiscard]] std::string table_of(const std::vector<contestant>& who) const;
    // The bars that can be judged; `missed`: how many are not met.
    [[nodiscard]] std::string bars(const std::vector<contestant>& who, int& missed) const;

private:
    std::map<std::string, std::map<std::string, figures>> all_;
};

} // namespace portico::bench::relay
