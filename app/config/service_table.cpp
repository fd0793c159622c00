#include "config/service_table.hpp"

#include "config/canonical.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace portico::app {
namespace {

constexpr std::size_t longest_name = 63;
constexpr std::string_view kind_hint =
    "give it one of builtin = \"echo\", program = [\"/bin/cat\"], "
    "to = \"example.org:80\", socks = true";

bool is_name(std::string_view text) {
    constexpr std::string_view letters =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    return !text.empty() && text.size() <= longest_name &&
           text.find_first_not_of(letters) == std::string_view::npos;
}

// The options of a command in a message about a file: "--to" is 'to' here.
std::string without_dashes(std::string_view text) {
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        const auto dashes = std::min(text.find("--", at), text.size());
        out += text.substr(at, dashes - at);
        const auto begin = std::min(dashes + 2, text.size());
        auto end =
            std::min(text.find_first_not_of("abcdefghijklmnopqrstuvwxyz-", begin), text.size());
        const auto name = text.substr(begin, end - begin);
        const bool known = find_key(table::service, name) != nullptr;
        out +=
            known ? "'" + std::string{name} + "'" : std::string{text.substr(dashes, end - dashes)};
        at = end;
    }
    return out;
}

// [service] listen = ":80", and [[service.web]].
void complain_about_table(const document_entry& entry, complaints& to) {
    if (find_key(table::service, entry.key) != nullptr) {
        to.add(entry.at, fmt::format("'{}' belongs to a service, and this is [service]", entry.key),
               "a service has a name in its header: [service.web]");
    } else {
        to.add(entry.at,
               fmt::format("service {} is {}, and a table is expected", in_quotes(entry.key),
                           type_name(entry.value)),
               fmt::format("begin it with [service.{}], in one pair of brackets", entry.key));
    }
}

class service_table {
public:
    service_table(const document_entry& entry, complaints& to)
        : entry_{entry}, to_{to}, before_{to.count()},
          given_{read_table(table::service, std::get<document_table>(entry.value.is), to)} {}

    std::optional<read_service_table> read(const service_reader& reader) {
        find_kind();
        check_fits();
        check_combinations();
        read_wishes();
        if (kind_ != nullptr) {
            read_whole(reader);
        }
        return to_.count() == before_ ? std::optional{take()} : std::nullopt;
    }

private:
    // ---- its kind ----

    [[nodiscard]] bool asks_for(std::string_view kind_key) noexcept {
        const auto* given = given_.find(kind_key);
        return given != nullptr &&
               !(given->good && kind_key == "socks" && !given_.in.asks.socks.is_asked);
    }

    void find_kind() {
        std::vector<const kind_name*> asked;
        for (const auto& each : all_kinds()) {
            if (asks_for(each.key)) {
                asked.push_back(&each);
            }
        }
        if (asked.size() == 1) {
            return accept_kind(*asked.front());
        }
        const bool is_meant =
            std::any_of(all_kinds().begin(), all_kinds().end(), [&](const auto& each) {
                return std::find(given_.meant.begin(), given_.meant.end(), each.key) !=
                       given_.meant.end();
            });
        if (asked.empty() && !is_meant) {
            to_.add(entry_.at,
                    fmt::format("service {} does not say what answers its clients",
                                in_quotes(entry_.key)),
                    std::string{kind_hint});
        }
        for (const auto* each : asked) {
            to_.add(given_.find(each->key)->at,
                    fmt::format("service {} is {} here, and a service is one thing",
                                in_quotes(entry_.key), each->what),
                    "keep one of them, and give the others services of their own");
        }
    }

    void accept_kind(const kind_name& which) {
        kind_ = &which;
        kinds_ = which.bit;
        if (given_.in.builtin == "chargen") {
            kinds_ |= kind::chargen;
        }
        if (!given_.find(which.key)->good) {
            stand_in(given_.in.asks);
        }
        for (const auto each :
             {serve::builtin::echo, serve::builtin::discard, serve::builtin::chargen,
              serve::builtin::daytime, serve::builtin::time, serve::builtin::hello}) {
            if (given_.in.builtin == serve::to_text(each)) {
                given_.in.asks.builtin = each;
            }
        }
    }

    // ---- keys that do not fit ----

    void check_fits() {
        for (auto& each : given_.keys) {
            const auto before = to_.count();
            if (kind_ != nullptr && (each.which->kinds & kinds_) == 0 && asked_for(each)) {
                misfit(each);
            } else if (each.good) {
                check_transport(each);
            }
            if (to_.count() != before) {
                take_away(each);
            }
        }
    }

    // What was complained about once shall not be again.
    void take_away(given_key& which) {
        which.good = false;
        reset(*which.which, given_.in);
    }

    // `socks = false` beside another kind asks for nothing.
    [[nodiscard]] bool asked_for(const given_key& which) noexcept {
        return which.which->name != "socks" || asks_for("socks");
    }

    void misfit(const given_key& which) {
        std::string about;
        for (const auto& each : all_kinds()) {
            if ((which.which->kinds & each.bit) != 0) {
                about +=
                    fmt::format("{}{} ('{}')", about.empty() ? "" : " or ", each.what, each.key);
            }
        }
        const bool is_chargen = which.which->kinds == kind::chargen;
        to_.add(which.at,
                fmt::format("'{}' is about {}, and service {} is {}", which.which->name,
                            is_chargen ? "builtin = \"chargen\"" : about, in_quotes(entry_.key),
                            is_chargen && kind_->bit == kind::builtin && !given_.in.builtin.empty()
                                ? fmt::format("builtin = \"{}\"", given_.in.builtin)
                                : std::string{kind_->what}),
                "leave it out");
    }

    void check_transport(const given_key& which) {
        const auto& where = given_.in.where;
        const bool udp = where.udp;
        const bool tcp = !where.udp || where.tcp;
        const auto over = which.which->over;
        if ((over == carries::tcp && !tcp) || (over == carries::tcp_alone && udp)) {
            to_.add(which.at,
                    fmt::format("'{}' is about connections, and UDP has none", which.which->name),
                    "leave it out, or take 'udp' away");
        }
        if (over == carries::udp && !udp) {
            to_.add(which.at,
                    fmt::format("'{}' is about UDP, and service {} has none", which.which->name,
                                in_quotes(entry_.key)),
                    "leave it out, or add udp = true");
        }
    }

    void refuse_beside(bool wrong, std::string_view key, std::string_view why,
                       std::string_view hint) {
        const auto* given = given_.find(key);
        if (wrong && given != nullptr) {
            to_.add(given->at, fmt::format("'{}' {}", key, why), std::string{hint});
        }
    }

    void check_combinations() {
        const auto& where = given_.in.where;
        refuse_beside(where.tcp && !where.udp, "tcp", "means nothing without 'udp'",
                      "TCP is what a service has; tcp = true adds it to udp = true");
        refuse_beside(where.both_families && !given_.in.family.empty(), "family",
                      "is one family, and 'both-families' asks for two", "leave one of them out");
        refuse_beside(where.both_families && where.required, "required",
                      "is less than 'both-families' asks for", "leave it out");
        refuse_beside(where.udp && kinds_ == kind::socks, "udp",
                      "does not go with 'socks', which works on connections",
                      "leave it out, or relay UDP with 'to'");
        if (kinds_ == kind::socks) {
            given_.in.where.udp = false;
        }
    }

    // ---- where it listens ----

    void read_wishes() {
        auto& where = given_.in.where;
        where.only_v4 = given_.in.family == "ipv4";
        where.only_v6 = given_.in.family == "ipv6";
        const auto* listen = given_.find("listen");
        if (listen == nullptr) {
            if (!given_.has("listen")) {
                to_.add(
                    entry_.at,
                    fmt::format("service {} does not say where it listens", in_quotes(entry_.key)),
                    "for instance listen = \":8080\", which is all addresses of both families");
            }
        } else if (listen->good) {
            for (std::size_t i = 0; i < where.addresses.size(); ++i) {
                read_address(where.addresses[i], listen->items[i]);
            }
            where.addresses = std::move(canonical_);
        }
        const auto* mode = given_.find("mode");
        refuse_beside(
            mode != nullptr && mode->good && !wishes_.empty() && !has_socket_file(wishes_), "mode",
            "is about the file of a UNIX socket, and this service listens at none", "leave it out");
    }

    void read_address(const std::string& text, position at) {
        const auto read = ip::parse_listen_address(text);
        if (!read) {
            to_.add(at, fmt::format("'listen': {}: {}", in_quotes(text), read.error().what),
                    read.error().hint);
            return;
        }
        for (auto& wish : given_.in.where.wishes_for(*read)) {
            wishes_.push_back(std::move(wish));
            wish_at_.push_back(to_.where(at));
        }
        canonical_.push_back(ip::to_text(*read));
    }

    // ---- all of it together ----

    // What makes it one of its kind when what was given cannot be used, so that the other settings
    // are looked at all the same.
    void stand_in(service_request& asks) const {
        switch (kind_->bit) {
        case kind::builtin:
            asks.builtin = serve::builtin::echo;
            break;
        case kind::program:
            asks.program = {"/proc/self/exe"}; // which is always there
            break;
        case kind::relay:
            asks.relay.to = {"localhost:1"};
            break;
        default:
            asks.socks.is_asked = true;
        }
    }

    // The reader stops at the first error. What it is about is taken away, and it reads again: each
    // round has one setting less.
    void read_whole(const service_reader& reader) {
        const bool listens = !wishes_.empty();
        const auto wishes =
            listens ? wishes_ : given_.in.where.wishes_for(ip::parse_listen_address(":1").value());
        for (;;) {
            auto read = reader(given_.in.asks, wishes);
            if (read) {
                choice_ = *std::move(read);
                return;
            }
            auto* given = given_.find(read.error().setting);
            if (given == nullptr) {
                to_.add(from_message(to_.where(given_.find(kind_->key)->at),
                                     without_dashes(read.error().as_option())));
                return;
            }
            if (!given->good) {
                return; // what stands in for it will not do either, and it was complained about
            }
            blame(*given, read.error(), reader, wishes);
            take_away(*given);
            if (given->which->name == kind_->key) {
                stand_in(given_.in.asks);
            }
        }
    }

    void report(position at, const setting_error& why) {
        to_.add(from_message(to_.where(at),
                             fmt::format("'{}': {}", why.setting, without_dashes(why.text))));
    }

    // Of a list, each item that is wrong by itself.
    void blame(const given_key& given, const setting_error& why, const service_reader& reader,
               const std::vector<plan::wish>& wishes) {
        constexpr std::size_t most = 1000;
        const auto* list = std::get_if<list_slot>(&given.which->at);
        const bool by_item =
            list != nullptr && given.which->form != list_form::words && given.items.size() <= most;
        std::size_t found = 0;
        for (std::size_t i = 0; by_item && i < given.items.size(); ++i) {
            settings alone;
            stand_in(alone.asks);
            (*list)(alone) = {(*list)(given_.in)[i]};
            const auto read = reader(alone.asks, wishes);
            if (!read && read.error().setting == why.setting) {
                report(given.items[i], read.error());
                ++found;
            }
        }
        if (found == 0) {
            report(given.at, why);
        }
    }

    [[nodiscard]] read_service_table take() {
        read_service_table all;
        auto& made = all.made;
        made.name = entry_.key;
        made.text = service_toml(entry_.key, given_.in);
        made.request = std::move(given_.in.asks);
        made.choice = std::move(choice_);
        made.wishes = std::move(wishes_);
        made.where = to_.where(entry_.at);
        for (const auto& each : given_.keys) {
            made.keys.emplace(each.which->name, to_.where(each.at));
        }
        all.wish_at = std::move(wish_at_);
        return all;
    }

    const document_entry& entry_;
    complaints& to_;
    std::size_t before_;
    given_table given_;
    const kind_name* kind_ = nullptr;
    kind_set kinds_ = 0;
    std::vector<plan::wish> wishes_;
    std::vector<place> wish_at_;
    std::vector<std::string> canonical_;
    service_choice choice_;
};

} // namespace

std::optional<read_service_table> read_service_entry(const document_entry& entry,
                                                     const service_reader& read, complaints& to) {
    if (!is_name(entry.key)) {
        to.add(entry.at, fmt::format("a service cannot be called {}", in_quotes(entry.key)),
               fmt::format("1 to {} letters, digits, '-' and '_'", longest_name));
        return std::nullopt;
    }
    if (!std::holds_alternative<document_table>(entry.value.is)) {
        complain_about_table(entry, to);
        return std::nullopt;
    }
    return service_table{entry, to}.read(read);
}

} // namespace portico::app
