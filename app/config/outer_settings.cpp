#include "config/outer_settings.hpp"

#include "config/canonical.hpp"
#include "config/keys.hpp"
#include "flags/nearest_word.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace portico::app {
namespace {

constexpr std::array tables{table::log, table::serve, table::metrics, table::service};

// "serve", "service.NAME"
std::string_view word(table which) {
    const auto text = to_text(which);
    return text.substr(1, text.size() - 2);
}

std::vector<std::string> split_at_dots(std::string_view text) {
    std::vector<std::string> parts;
    for (std::size_t at = 0; at <= text.size();) {
        const auto end = std::min(text.find('.', at), text.size());
        parts.emplace_back(text.substr(at, end - at));
        at = end + 1;
    }
    return parts;
}

bool is_of_service(const std::vector<std::string>& path) {
    return path.front() == "service";
}

const key* key_at(const std::vector<std::string>& path) {
    if (is_of_service(path)) {
        return path.size() < 3 ? nullptr : find_key(table::service, path[2]);
    }
    for (const auto each : tables) {
        if (path.size() == 2 && word(each) == path.front()) {
            return find_key(each, path.back());
        }
    }
    return nullptr;
}

// ---- values ----

bool takes_text(const key* which) {
    return which == nullptr || (!std::holds_alternative<truth_slot>(which->at) &&
                                !std::holds_alternative<number_slot>(which->at));
}

void move_to(position at, document_value& which) {
    which.at = at;
    if (auto* list = std::get_if<std::vector<document_value>>(&which.is)) {
        for (auto& each : *list) {
            move_to(at, each);
        }
    } else if (auto* inside = std::get_if<document_table>(&which.is)) {
        for (auto& each : *inside) {
            each.at = at;
            move_to(at, each.value);
        }
    }
}

tl::expected<document_table, diagnostic> parse_value(const std::string& text) {
    return parse_document("value = " + text, "");
}

// A user that is called 1000, and a time of 5, are texts without quotes as well.
tl::expected<document_value, diagnostic> value_of(const std::string& text, const key* which,
                                                  position at) {
    if (auto read = parse_value(text); read && read->size() == 1) {
        auto value = std::move(read->front().value);
        const bool is_word = !std::holds_alternative<std::string>(value.is) &&
                             !std::holds_alternative<std::vector<document_value>>(value.is) &&
                             !std::holds_alternative<document_table>(value.is);
        if (!is_word || !takes_text(which)) {
            move_to(at, value);
            return value;
        }
    }
    return parse_value(toml_text(text)).map([at](document_table as_it_is) {
        move_to(at, as_it_is.front().value);
        return std::move(as_it_is.front().value);
    });
}

// ---- places ----

document_entry* find(document_table& in, std::string_view name) {
    const auto found =
        std::find_if(in.begin(), in.end(), [&](const auto& each) { return each.key == name; });
    return found == in.end() ? nullptr : &*found;
}

document_table* find_table(document_table& in, std::string_view name) {
    auto* entry = find(in, name);
    return entry == nullptr ? nullptr : std::get_if<document_table>(&entry->value.is);
}

void put(document_table& into, std::span<const std::string> path, document_value value) {
    const auto at = value.at;
    auto* entry = find(into, path.front());
    if (entry == nullptr) {
        entry = &into.emplace_back(document_entry{path.front(), at, document_value{at}});
    }
    if (path.size() == 1) {
        entry->at = at;
        entry->value = std::move(value);
        return;
    }
    auto* inside = std::get_if<document_table>(&entry->value.is);
    if (inside == nullptr) {
        entry->at = at;
        entry->value.at = at;
        inside = &entry->value.is.emplace<document_table>();
    }
    put(*inside, path.subspan(1), std::move(value));
}

// What is of the whole process is in one place only.
void take_out(const std::vector<std::string>& path, std::vector<read_document>& of) {
    for (auto& each : of) {
        auto* inside = path.size() < 2 ? nullptr : find_table(each.inside, path[0]);
        if (inside != nullptr) {
            std::erase_if(*inside, [&](const auto& entry) { return entry.key == path[1]; });
        }
    }
}

std::vector<std::string> names_of_services(std::vector<read_document>& in) {
    std::vector<std::string> names;
    for (auto& each : in) {
        if (const auto* services = find_table(each.inside, "service")) {
            for (const auto& one : *services) {
                names.push_back(one.key);
            }
        }
    }
    return names;
}

// ---- one setting ----

class outer_reader {
public:
    outer_reader(const outer_setting& which, position at, std::vector<read_document>& into,
                 std::vector<diagnostic>& wrong)
        : which_{which}, at_{at}, into_{into}, wrong_{wrong}, path_{split_at_dots(which.path)} {}

    void read(bool is_whole) {
        constexpr std::size_t most_parts = 4;
        if (!which_.text) {
            return fail("the value is missing", "write --set TABLE.KEY=VALUE");
        }
        if (path_.size() > most_parts) {
            return fail("this key has too many dots", "the longest is service.NAME.env.VARIABLE");
        }
        auto value = value_of(*which_.text, key_at(path_), at_);
        if (!value) {
            return fail("this is not UTF-8", "");
        }
        if (is_of_service(path_)) {
            return read_service(*std::move(value), is_whole);
        }
        take_out(path_, into_);
        put(into_.back().inside, path_, *std::move(value));
    }

private:
    void fail(std::string text, std::string hint) {
        wrong_.push_back({{which_.source, {}}, std::move(text), std::move(hint)});
    }

    void read_service(document_value value, bool is_whole) {
        if (path_.size() < 3) {
            return fail("this names no key of a service", "write --set service.NAME.KEY=VALUE");
        }
        for (auto& each : into_) {
            auto* services = find_table(each.inside, "service");
            auto* entry = services == nullptr ? nullptr : find(*services, path_[1]);
            if (entry == nullptr) {
                continue;
            }
            if (auto* inside = std::get_if<document_table>(&entry->value.is)) {
                put(*inside, std::span{path_}.subspan(2), std::move(value));
            } // else it is told that it is no table
            return;
        }
        if (is_whole) {
            const auto like =
                path_[1].size() > 64 ? "" : nearest_word(path_[1], names_of_services(into_));
            fail(fmt::format("no file has a service {}{}", in_quotes(path_[1]),
                             like.empty() ? "" : "; did you mean '" + like + "'?"),
                 fmt::format("a service begins in a file, with [service.NAME]; and {} holds until "
                             "the process ends: without it, start anew",
                             which_.source));
        }
    }

    const outer_setting& which_;
    position at_;
    std::vector<read_document>& into_;
    std::vector<diagnostic>& wrong_;
    std::vector<std::string> path_;
};

// ---- variables ----

std::string upper(std::string_view text) {
    std::string out;
    for (const char c : text) {
        out += c == '-' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    }
    return out;
}

constexpr std::string_view start_of_all = "PORTICO_";

std::string start_of_variables(table in) {
    return std::string{start_of_all} + upper(word(in)) + '_';
}

std::string nearest_variable(std::string_view name) {
    std::vector<std::string> names;
    for (const auto& each : all_keys()) {
        if (each.in != table::service) {
            names.push_back(variable_of(each).substr(start_of_all.size()));
        }
    }
    return name.size() > 64 ? ""
                            : nearest_word(std::string{name.substr(start_of_all.size())}, names);
}

// Those of a table, and who nearly is; other programs may call theirs PORTICO_SERVICE_HOST.
bool is_called_like_one(std::string_view name) {
    if (!name.starts_with(start_of_all)) {
        return false;
    }
    return !nearest_variable(name).empty() ||
           std::any_of(tables.begin(), tables.end(), [&](table each) {
               return each != table::service && name.starts_with(start_of_variables(each));
           });
}

diagnostic unknown_variable(const std::string& name) {
    const auto like = nearest_variable(name);
    return {{name, {}},
            "unknown variable" +
                (like.empty() ? "" : fmt::format("; did you mean '{}{}'?", start_of_all, like)),
            "variables are called as keys are, PORTICO_SERVE_PID_FILE for pid-file in [serve]"};
}

} // namespace

outer_setting parse_outer_setting(std::string_view text) {
    const auto equals = text.find('=');
    const std::string path{text.substr(0, equals)};
    return {"--set " + path, path,
            equals == std::string_view::npos ? std::nullopt
                                             : std::optional{std::string{text.substr(equals + 1)}}};
}

std::string variable_of(const key& which) {
    return which.in == table::service ? "" : start_of_variables(which.in) + upper(which.name);
}

outer_variables read_outer_variables(std::span<const std::string> environment) {
    outer_variables made;
    for (const auto& each : environment) {
        const auto equals = std::min(each.find('='), each.size());
        const auto name = each.substr(0, equals);
        const auto text = each.substr(std::min(equals + 1, each.size()));
        if (text.empty() || !is_called_like_one(name)) {
            continue;
        }
        const auto keys = all_keys();
        const auto which = std::find_if(keys.begin(), keys.end(),
                                        [&](const key& one) { return variable_of(one) == name; });
        if (which == keys.end()) {
            made.unknown.push_back(unknown_variable(name));
        } else {
            made.settings.push_back(
                {name, fmt::format("{}.{}", word(which->in), which->name), text});
        }
    }
    return made;
}

void put_outer_settings(std::span<const outer_setting> settings, std::vector<read_document>& into,
                        bool is_whole, std::vector<diagnostic>& wrong) {
    for (std::size_t i = 0; i < settings.size(); ++i) {
        outer_reader{settings[i], place_of_outer(i), into, wrong}.read(is_whole);
    }
}

} // namespace portico::app
