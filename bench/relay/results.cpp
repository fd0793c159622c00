#include "results.hpp"

#include <algorithm>
#include <optional>

namespace portico::bench::relay {
namespace {

enum class column { figure, cpu };
enum class rival { best, haproxy, none };
enum class sense { at_least, at_most, below };

struct bar {
    std::string title;
    std::string row;
    column what;
    rival against;
    sense wanted;
    double limit; // of the ratio; of the figure itself when there is no rival
};

const std::vector<bar>& all_bars() {
    using enum sense;
    constexpr auto figure = column::figure;
    constexpr auto cpu = column::cpu;
    static const std::vector<bar> all{
        {"connections/s, reset close", "reset", figure, rival::best, at_least, 1.10},
        {"connections/s, FIN close", "fin", figure, rival::best, at_least, 1.10},
        {"CPU for a connection, reset close", "reset", cpu, rival::haproxy, at_most, 0.85},
        {"CPU for a connection, FIN close", "fin", cpu, rival::haproxy, at_most, 0.85},
        {"64 B round trips/s", "round64", figure, rival::best, at_least, 1.05},
        {"CPU for a 64 B round trip", "round64", cpu, rival::best, at_most, 0.90},
        {"16 KiB round trips/s", "round16k", figure, rival::best, at_least, 1.10},
        {"CPU for a 16 KiB round trip", "round16k", cpu, rival::haproxy, at_most, 0.80},
        {"bulk to the target, GB/s", "bulk_up", figure, rival::best, at_least, 1.10},
        {"bulk to the client, GB/s", "bulk_down", figure, rival::best, at_least, 1.10},
        {"CPU for a GB to the target", "bulk_up", cpu, rival::haproxy, at_most, 0.80},
        {"CPU for a GB to the client", "bulk_down", cpu, rival::haproxy, at_most, 0.80},
        {"own memory of an idle connection, B", "memory", figure, rival::none, at_most, 400},
        {"p99 latency added, us", "latency_added", figure, rival::best, below, 1.00},
    };
    return all;
}

std::optional<double> median_of(const figures* of, column what) {
    if (of == nullptr) {
        return std::nullopt;
    }
    return (what == column::figure ? of->figure : of->cpu).median();
}

struct rival_figure {
    std::string name;
    double value = 0;
};

bool within(double value, sense wanted, double limit) {
    switch (wanted) {
    case sense::at_least:
        return value >= limit;
    case sense::at_most:
        return value <= limit;
    case sense::below:
        return value < limit;
    }
    return false;
}

std::string in_words(const bar& of) {
    const auto limit = number(of.limit, of.against == rival::none ? 0 : 2);
    switch (of.wanted) {
    case sense::at_least:
        return "at least " + limit;
    case sense::at_most:
        return "at most " + limit;
    case sense::below:
        return "below " + limit;
    }
    return limit;
}

std::string range_of(const samples& of, int decimals) {
    if (!of.median()) {
        return "-";
    }
    return number(of.median(), decimals) + " (" + number(of.least(), decimals) + " to " +
           number(of.most(), decimals) + ")";
}

int decimals_of(const bar& of) {
    if (of.what == column::cpu) {
        return 2;
    }
    const auto& rows = all_rows();
    const auto row = std::find_if(rows.begin(), rows.end(),
                                  [&](const measure_row& each) { return each.name == of.row; });
    return row->decimals;
}

} // namespace

const std::vector<measure_row>& all_rows() {
    static const std::vector<measure_row> all{
        {"reset", "connections/s, reset close", 0, "us"},
        {"fin", "connections/s, FIN close", 0, "us"},
        {"round64", "round trips/s, 64 B", 0, "us"},
        {"round1k", "round trips/s, 1 KiB", 0, "us"},
        {"round16k", "round trips/s, 16 KiB", 0, "us"},
        {"bulk_up", "bulk to the target, GB/s", 2, "ms"},
        {"bulk_down", "bulk to the client, GB/s", 2, "ms"},
        {"memory", "own memory of an idle connection, B", 0, "", false},
        {"memory_all", "own memory with all of them, MiB", 2, "", false},
        {"latency", "p99 at half load, 64 B, us", 1, "us", false},
        {"latency_added", "p99 added to that without a relay, us", 1, "", false},
    };
    return all;
}

const figures* results::find(const std::string& row, const std::string& relay) const {
    const auto of_row = all_.find(row);
    if (of_row == all_.end()) {
        return nullptr;
    }
    const auto found = of_row->second.find(relay);
    return found == of_row->second.end() ? nullptr : &found->second;
}

std::uint64_t results::lost(const std::string& relay) const {
    std::uint64_t total = 0;
    for (const auto& [row, relays] : all_) {
        const auto found = relays.find(relay);
        total += found == relays.end() ? 0 : found->second.lost;
    }
    return total;
}

std::string results::table_of(const std::vector<contestant>& who) const {
    table rows{{"measure", "relay", "median (min to max)", "its CPU for one", "busy", "load busy",
                "failed", "lost"}};
    for (const auto& row : all_rows()) {
        for (const auto& each : who) {
            const auto* of = find(row.name, each.name);
            if (of == nullptr) {
                continue;
            }
            const bool cpu = !row.cpu_unit.empty() && !each.command.empty();
            rows.add({row.title, each.name, range_of(of->figure, row.decimals),
                      cpu ? range_of(of->cpu, 2) + " " + row.cpu_unit : "-",
                      cpu ? number(of->busy.median(), 0) + " %" : "-",
                      row.cpu_unit.empty() ? "-" : number(of->load_busy.median(), 0) + " %",
                      std::to_string(of->failed), std::to_string(of->lost)});
        }
    }
    return rows.text();
}

std::string results::bars(const std::vector<contestant>& who, int& missed) const {
    const auto& rows = all_rows();
    table judged{{"bar", "portico", "against", "ratio", "wanted", "verdict"}};
    for (const auto& each : all_bars()) {
        const auto ours = median_of(find(each.row, "portico"), each.what);
        if (find(each.row, "portico") == nullptr) {
            continue; // it was not asked for
        }
        const auto row = std::find_if(rows.begin(), rows.end(),
                                      [&](const measure_row& of) { return of.name == each.row; });
        const bool most = each.what == column::figure && row->most_is_best;
        std::optional<rival_figure> other_one;
        for (const auto& other : who) {
            const auto value = median_of(find(each.row, other.name), each.what);
            const bool counts = each.against == rival::best
                                    ? other.rival
                                    : each.against == rival::haproxy && other.name == "haproxy";
            if (!counts || !value || lost(other.name) > 0) {
                continue;
            }
            if (!other_one || (most ? *value > other_one->value : *value < other_one->value)) {
                other_one = {other.name, *value};
            }
        }
        if (each.against != rival::none && !other_one) {
            continue; // nobody to compare with took part
        }
        const auto decimals = decimals_of(each);
        const auto ratio =
            other_one && ours ? std::optional{*ours / other_one->value} : std::nullopt;
        const auto value = other_one ? ratio : ours;
        const bool met = value && within(*value, each.wanted, each.limit) && lost("portico") == 0;
        missed += met ? 0 : 1;
        judged.add({each.title, number(ours, decimals),
                    other_one ? other_one->name + " " + number(other_one->value, decimals) : "-",
                    number(ratio, 2), in_words(each), met ? "met" : "missed"});
    }
    return judged.text();
}

} // namespace portico::bench::relay
