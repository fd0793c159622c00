#include "config/values.hpp"

#include "flags/duration.hpp"
#include "flags/nearest_word.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>

namespace portico::app {
namespace {

// ---- one value ----

std::string_view wanted(const key& which) {
    struct {
        list_form form;
        std::string_view operator()(text_slot) const { return "a text in quotes"; }
        std::string_view operator()(list_slot) const {
            return form == list_form::words   ? "a list of texts"
                   : form == list_form::pairs ? "a table of texts"
                                              : "a text or a list of texts";
        }
        std::string_view operator()(truth_slot) const { return "true or false"; }
        std::string_view operator()(span_slot) const { return "a time in quotes"; }
        std::string_view operator()(number_slot) const { return "a whole number"; }
    } const tell{which.form};
    return std::visit(tell, which.at);
}

bool is_number(const std::string& text) {
    return !text.empty() && text.size() < 10 &&
           text.find_first_not_of("0123456789") == std::string::npos;
}

bool is_variable(std::string_view name) {
    constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    return !name.empty() && letters.find(name.front()) != std::string_view::npos &&
           name.find_first_not_of(std::string{letters} + "0123456789") == std::string_view::npos;
}

// `program = ["/bin/cat", "-n"]`, from the one text that was given.
std::string as_words(const key& which, const std::string& text) {
    std::vector<std::string> words;
    for (std::size_t at = 0; at < text.size();) {
        const auto end = std::min(text.find(' ', at), text.size());
        if (end > at) {
            words.push_back('"' + text.substr(at, end - at) + '"');
        }
        at = end + 1;
    }
    return fmt::format("write {} = [{}]", which.name, fmt::join(words, ", "));
}

// How the value that was given is written right; empty when nothing can be told from it.
// `outer`: it stands in no file, and needs no quotes.
std::string type_hint(const key& which, const document_value& value, bool outer) {
    const std::string_view bare = outer ? "" : ", without quotes";
    const auto* number = std::get_if<std::int64_t>(&value.is);
    const auto* text = std::get_if<std::string>(&value.is);
    if (number != nullptr && std::holds_alternative<span_slot>(which.at)) {
        return fmt::format("a time stands in quotes, with its unit: {} = \"{}s\"", which.name,
                           *number);
    }
    if (number != nullptr && which.name == "listen") {
        return fmt::format("write \":{}\"", *number);
    }
    if (number != nullptr && (std::holds_alternative<text_slot>(which.at) ||
                              std::holds_alternative<list_slot>(which.at))) {
        return fmt::format("write \"{}\"", *number);
    }
    if (text != nullptr && std::holds_alternative<truth_slot>(which.at)) {
        return fmt::format("write {} = true or {} = false{}", which.name, which.name, bare);
    }
    if (text != nullptr && std::holds_alternative<number_slot>(which.at)) {
        return fmt::format("write {} = {}{}", which.name,
                           is_number(*text) ? *text : std::to_string(which.least), bare);
    }
    if (which.form == list_form::pairs) {
        return fmt::format("write {} = {{NAME = \"value\"}}, or a table [service.NAME.{}]",
                           which.name, which.name);
    }
    if (text != nullptr && which.form == list_form::words) {
        return as_words(which, *text);
    }
    return which.words.empty() ? "" : "one of " + listed(which.words);
}

class value_reader {
public:
    value_reader(const document_value& value, settings& in, given_key& into, complaints& to)
        : which_{*into.which}, value_{value}, in_{in}, into_{into}, to_{to} {}

    // Whether the value is a good one; complains when not.
    [[nodiscard]] bool read() {
        return std::visit([this](auto at) { return read(at); }, which_.at);
    }

private:
    static bool is_outer(const document_value& which) { return which.at.line == 0; }

    bool fail(position at, std::string text, std::string hint = {}) {
        to_.add(at, std::move(text), std::move(hint));
        return false;
    }

    template <class T>
    const T* as() {
        const auto* found = std::get_if<T>(&value_.is);
        if (found == nullptr) {
            fail(value_.at,
                 fmt::format("'{}' takes {}, and this is {}", which_.name, wanted(which_),
                             type_name(value_)),
                 type_hint(which_, value_, is_outer(value_)));
        }
        return found;
    }

    // What no setting can be.
    bool is_usable(const std::string& text, position at, bool may_be_empty) {
        if (text.find('\0') != std::string::npos) {
            return fail(at, fmt::format("'{}' has a zero byte in it", which_.name));
        }
        if (text.empty() && !may_be_empty) {
            return fail(at, fmt::format("'{}' is empty", which_.name),
                        "leave the key out where nothing is meant");
        }
        return true;
    }

    bool read(text_slot slot) {
        const auto* text = as<std::string>();
        if (text == nullptr || !is_usable(*text, value_.at, false)) {
            return false;
        }
        if (!which_.words.empty() && !is_word(*text)) {
            return false;
        }
        if (!is_right(*text, value_.at)) {
            return false;
        }
        slot(in_) = *text;
        return true;
    }

    bool is_right(const std::string& text, position at) {
        const auto wrong = which_.fault == nullptr ? "" : which_.fault(text);
        return wrong.empty() || fail(at, fmt::format("'{}': {}", which_.name, wrong));
    }

    bool is_word(const std::string& text) {
        const auto& words = which_.words;
        if (std::find(words.begin(), words.end(), text) != words.end()) {
            return true;
        }
        const auto like = text.size() > 64 ? "" : nearest_word(text, {words.begin(), words.end()});
        return fail(value_.at,
                    fmt::format("{} is no value of '{}'{}", in_quotes(text), which_.name,
                                like.empty() ? "" : "; did you mean '" + like + "'?"),
                    "one of " + listed(words));
    }

    bool read(list_slot slot) {
        if (which_.form == list_form::pairs) {
            return read_pairs(slot(in_));
        }
        if (std::holds_alternative<std::string>(value_.is) && which_.form != list_form::words) {
            return add_text(value_, slot(in_));
        }
        const auto* list = as<std::vector<document_value>>();
        if (list == nullptr) {
            return false;
        }
        if (list->empty()) {
            return fail(value_.at, fmt::format("'{}' is an empty list", which_.name),
                        "leave the key out where nothing is meant");
        }
        bool good = true;
        for (const auto& each : *list) {
            good = add_item(each, slot(in_)) && good;
        }
        return good;
    }

    bool read_pairs(std::vector<std::string>& all) {
        const auto* pairs = as<document_table>();
        bool good = pairs != nullptr;
        std::map<std::string, position> found; // in the order of their names
        for (std::size_t i = 0; pairs != nullptr && i < pairs->size(); ++i) {
            const auto& each = (*pairs)[i];
            if (is_pair(each)) {
                found.emplace(each.key + '=' + std::get<std::string>(each.value.is), each.at);
            } else {
                good = false;
            }
        }
        for (const auto& [text, at] : found) {
            all.push_back(text);
            into_.items.push_back(at);
        }
        return good;
    }

    bool is_pair(const document_entry& which) {
        if (!is_variable(which.key)) {
            return fail(
                which.at,
                fmt::format("'{}': {} is no name of a variable", which_.name, in_quotes(which.key)),
                "letters, digits and '_', and no digit first");
        }
        const auto* text = std::get_if<std::string>(&which.value.is);
        if (text == nullptr) {
            const auto* number = std::get_if<std::int64_t>(&which.value.is);
            return fail(which.value.at,
                        fmt::format("'{}': {} is {}, and a text in quotes is expected", which_.name,
                                    which.key, type_name(which.value)),
                        number == nullptr ? ""
                                          : fmt::format("write {} = \"{}\"", which.key, *number));
        }
        return is_usable(*text, which.value.at, true);
    }

    bool add_item(const document_value& item, std::vector<std::string>& all) {
        if (!std::holds_alternative<std::string>(item.is)) {
            return fail(item.at,
                        fmt::format("an item of '{}' is {}, and each is a text in quotes",
                                    which_.name, type_name(item)),
                        type_hint(which_, item, is_outer(item)));
        }
        return add_text(item, all);
    }

    bool add_text(const document_value& item, std::vector<std::string>& all) {
        const auto& text = std::get<std::string>(item.is);
        // An argument of a program may be empty, its name may not.
        if (!is_usable(text, item.at, which_.form == list_form::words && !all.empty())) {
            return false;
        }
        for (auto& each :
             which_.form == list_form::commas ? split_at_commas(text) : std::vector{text}) {
            if (each.empty() && which_.form == list_form::commas) {
                return fail(item.at, fmt::format("'{}' has nothing between two commas, or before "
                                                 "or after one",
                                                 which_.name));
            }
            if (!is_right(each, item.at)) {
                return false;
            }
            all.push_back(std::move(each));
            into_.items.push_back(item.at);
        }
        return true;
    }

    bool read(truth_slot slot) {
        const auto* truth = as<bool>();
        if (truth != nullptr) {
            slot(in_) = *truth;
        }
        return truth != nullptr;
    }

    // In whole milliseconds, so that the canonical text reads back as the same.
    bool read(span_slot slot) {
        using std::chrono::milliseconds;
        const auto* text = as<std::string>();
        if (text == nullptr || !is_usable(*text, value_.at, false)) {
            return false;
        }
        const auto span = parse_duration(*text);
        if (!span) {
            return fail(value_.at, fmt::format("'{}': {}", which_.name, span.error()));
        }
        const auto least = *span > duration::zero() ? milliseconds{1} : milliseconds{0};
        slot(in_) = std::max(least, std::chrono::round<milliseconds>(*span));
        return true;
    }

    bool read(number_slot slot) {
        const auto* number = as<std::int64_t>();
        if (number == nullptr) {
            return false;
        }
        if (*number < which_.least || *number > which_.most) {
            return fail(value_.at, fmt::format("'{}' is {}, and goes from {} to {}", which_.name,
                                               *number, which_.least, which_.most));
        }
        slot.set(in_, *number);
        return true;
    }

    const key& which_;
    const document_value& value_;
    settings& in_;
    given_key& into_;
    complaints& to_;
};

// ---- unknown keys ----

std::vector<std::string> names_in(table in) {
    std::vector<std::string> names;
    for (const auto& each : all_keys()) {
        if (each.in == in) {
            names.emplace_back(each.name);
        }
    }
    return names;
}

// Keys of xinetd, and what says the same here.
struct xinetd_key {
    std::string_view name;
    std::string_view meant; // the key that is not missed then; or empty
    std::string_view hint;
};
constexpr std::string_view how_to_switch_off =
    "a service is switched off by taking its table out, or by renaming its file in conf.d so that "
    "it does not end in .toml, and a reload";
constexpr std::string_view how_to_run = R"(write program = ["/usr/sbin/in.x", "-a"])";
constexpr std::string_view which_transport =
    "TCP is what a service has; write udp = true for the other";
constexpr std::array xinetd_keys{
    xinetd_key{"only_from", "", R"(write allow = ["192.0.2.0/24", "2001:db8::/32"])"},
    xinetd_key{"no_access", "", R"(write deny = ["192.0.2.0/24", "2001:db8::/32"])"},
    xinetd_key{"instances", "", "write max-connections = 50"},
    xinetd_key{"per_source", "", R"(write max-per = ["/32=5", "/64=5"])"},
    xinetd_key{"cps", "", R"(write rate = ["/32=5/1s", "/64=5/1s"], of each client)"},
    xinetd_key{"port", "listen", R"(the port is part of the address: listen = ":8080")"},
    xinetd_key{"bind", "listen", R"(write listen = "192.0.2.1:8080")"},
    xinetd_key{"interface", "listen", R"(write listen = "192.0.2.1:8080", or "@eth0:8080")"},
    xinetd_key{"socket_type", "", which_transport},
    xinetd_key{"protocol", "", which_transport},
    xinetd_key{"server", "program", how_to_run},
    xinetd_key{"server_args", "program", how_to_run},
    xinetd_key{"redirect", "to", R"(write to = "www.example.org:80")"},
    xinetd_key{"disable", "", how_to_switch_off},
    xinetd_key{"disabled", "", how_to_switch_off},
    xinetd_key{"enabled", "", how_to_switch_off},
};

// Where a key that is unknown here belongs; empty when nowhere.
std::string right_place(table in, const std::string& name) {
    for (const auto& each : other_names()) {
        if (in == table::service && each.flag == name) {
            return fmt::format("write {}", each.written);
        }
    }
    for (const auto& each : all_keys()) {
        if (each.in != in && each.name == name) {
            return fmt::format("it goes into {}", to_text(each.in));
        }
    }
    return "";
}

void complain_about_unknown(table in, const document_entry& entry, given_table& made,
                            complaints& to) {
    const auto text = "unknown key " + in_quotes(entry.key);
    const auto old = std::find_if(xinetd_keys.begin(), xinetd_keys.end(),
                                  [&](const auto& each) { return each.name == entry.key; });
    if (in == table::service && old != xinetd_keys.end()) {
        made.meant.emplace_back(old->meant);
        return to.add(entry.at, text, std::string{old->hint});
    }
    if (auto hint = right_place(in, entry.key); !hint.empty()) {
        return to.add(entry.at, text, std::move(hint));
    }
    const auto like = entry.key.size() > 64 ? "" : nearest_word(entry.key, names_in(in));
    if (like.empty()) {
        return to.add(entry.at, text,
                      fmt::format("portico.toml(5) lists the keys of {}", to_text(in)));
    }
    made.meant.push_back(like);
    to.add(entry.at, text + "; did you mean '" + like + "'?");
}

} // namespace

void complaints::add(position at, std::string text, std::string hint) {
    add({where(at), std::move(text), std::move(hint)});
}

place complaints::where(position at) const {
    for (std::size_t i = 0; i < outer_.size(); ++i) {
        if (at == place_of_outer(i)) {
            return {outer_[i].source, {}};
        }
    }
    return {file_, at};
}

void complaints::add(diagnostic which) {
    if (++count_ <= most) {
        all_->push_back(std::move(which));
    } else if (count_ == most + 1) {
        all_->push_back({{file_, which.where.at},
                         fmt::format("there are more than {} mistakes in this file", most),
                         "the others are told when these are gone"});
    }
}

given_key* given_table::find(std::string_view name) noexcept {
    const auto found = std::find_if(keys.begin(), keys.end(),
                                    [&](const auto& each) { return each.which->name == name; });
    return found == keys.end() ? nullptr : &*found;
}

bool given_table::has(std::string_view name) const noexcept {
    return std::any_of(keys.begin(), keys.end(),
                       [&](const auto& each) { return each.which->name == name; }) ||
           std::find(meant.begin(), meant.end(), name) != meant.end();
}

given_table read_table(table in, const document_table& from, complaints& to) {
    given_table made;
    for (const auto& each : from) {
        const auto* which = find_key(in, each.key);
        if (which == nullptr) {
            complain_about_unknown(in, each, made, to);
            continue;
        }
        auto& given = made.keys.emplace_back(given_key{which, each.at, {}, false});
        given.good = value_reader{each.value, made.in, given, to}.read();
        if (!given.good) {
            reset(*which, made.in);
        }
    }
    return made;
}

std::vector<std::string> split_at_commas(std::string_view text) {
    constexpr std::string_view blank = " \t\r\n";
    std::vector<std::string> parts;
    for (std::size_t at = 0; at <= text.size();) {
        const auto end = std::min(text.find(',', at), text.size());
        auto part = text.substr(at, end - at);
        part.remove_prefix(std::min(part.find_first_not_of(blank), part.size()));
        part = part.substr(0, part.find_last_not_of(blank) + 1);
        parts.emplace_back(part);
        at = end + 1;
    }
    return parts;
}

std::string listed(std::span<const std::string_view> words) {
    std::string out;
    for (const auto& each : words) {
        out += (out.empty() ? "\"" : ", \"") + std::string{each} + '"';
    }
    return out;
}

} // namespace portico::app
