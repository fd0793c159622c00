#include "config/config.hpp"

#include "config/canonical.hpp"
#include "config/service_table.hpp"
#include "flags/nearest_word.hpp"
#include "log/log_environment.hpp"
#include "service/own_service.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

namespace portico::app {
namespace {

constexpr std::string_view no_control = "none";

constexpr std::string_view example = "for instance\n"
                                     "[service.hello]\n"
                                     "listen = \":8080\"\n"
                                     "builtin = \"hello\"";

std::optional<table> table_of(std::string_view key) {
    return key == "log"       ? std::optional{table::log}
           : key == "serve"   ? std::optional{table::serve}
           : key == "metrics" ? std::optional{table::metrics}
           : key == "service" ? std::optional{table::service}
                              : std::nullopt;
}

// "portico.toml:7", or what stands in no file.
std::string line_of(const place& which) {
    return which.at.line == 0 ? which.file : fmt::format("{}:{}", which.file, which.at.line);
}

// One address and transport that a wish takes, so that two that take the same are found.
struct claim {
    std::string what;    // the same text is the same claim
    std::string address; // for a person
    std::size_t service;
    place where;
};

// An address of each family; a text for what is of no family or of several.
std::vector<std::string> families_of(const plan::wish& wish) {
    const auto& where = wish.where.where;
    const auto text = ip::to_text(wish.where);
    if (std::holds_alternative<ip::address>(where)) {
        return {text};
    }
    const bool every = std::holds_alternative<ip::every_address>(where);
    std::vector<std::string> all;
    if (wish.only.value_or(ip::family::v4) == ip::family::v4) {
        all.push_back((every ? "0.0.0.0" : "IPv4 ") + text);
    }
    if (wish.only.value_or(ip::family::v6) == ip::family::v6) {
        all.push_back((every ? "[::]" : "IPv6 ") + text);
    }
    return all;
}

std::vector<std::string> claims_of(const plan::wish& wish) {
    const auto& where = wish.where.where;
    if (std::holds_alternative<ip::unix_name>(where)) {
        return {ip::to_text(wish.where)}; // one file, whatever goes over it
    }
    const bool inherited = std::holds_alternative<ip::inherited_fd>(where) ||
                           std::holds_alternative<ip::inherited_name>(where);
    if (!inherited && wish.where.port == ip::port_name{}) {
        return {}; // the kernel chooses another port each time
    }
    auto all = inherited ? std::vector{ip::to_text(wish.where)} : families_of(wish);
    for (auto& each : all) {
        each += " over " + std::string{ip::to_text(wish.over)};
    }
    return all;
}

class config_reader {
public:
    config_reader(const service_reader& read, std::span<const outer_setting> outer,
                  const account_check& accounts)
        : read_{read}, outer_{outer}, accounts_{accounts} {}

    void add(const config_text& from) {
        made_.files.push_back(from.file);
        auto document = from.text.and_then(
            [&](const std::string& text) { return parse_document(text, from.file); });
        if (document) {
            documents_.push_back({from.file, *std::move(document)});
        } else {
            is_whole_ = false;
            wrong_.push_back(document.error());
        }
    }

    void read() {
        documents_.push_back({made_.files.front(), {}}); // for what is in no file
        put_outer_settings(outer_, documents_, is_whole_, wrong_);
        std::vector<complaints> to;
        for (const auto& document : documents_) {
            to.emplace_back(wrong_, document.file, outer_);
        }
        for (const bool services : {false, true}) { // which are as the process is
            for (std::size_t i = 0; i < documents_.size(); ++i) {
                for (const auto& each : documents_[i].inside) {
                    if ((each.key == "service") == services) {
                        read_top(each, to[i]);
                    }
                }
            }
        }
    }

    or_diagnostics<serve_config> take() {
        if (services_seen_ == 0 && is_whole_) {
            auto& wrong = wrong_.emplace_back();
            wrong.where.file = made_.files.front();
            wrong.text = "there is no service in it";
            wrong.hint = example;
        }
        for (auto& each : own_) {
            add_service(std::move(each));
        }
        take_process();
        check_accounts();
        check_claims();
        if (!wrong_.empty()) {
            sort();
            return tl::unexpected{std::move(wrong_)};
        }
        finish();
        return std::move(made_);
    }

private:
    // ---- the tables ----

    void read_top(const document_entry& entry, complaints& to) {
        const auto* inside = std::get_if<document_table>(&entry.value.is);
        const auto is = table_of(entry.key);
        if (!is) {
            return complain_about_top(entry, to);
        }
        if (inside == nullptr) {
            services_seen_ += entry.key == "service" ? 1U : 0U;
            return to.add(entry.at,
                          fmt::format("'{}' is {}, and a table is expected", entry.key,
                                      type_name(entry.value)),
                          entry.key == "service" ? "each service begins with [service.NAME]"
                                                 : fmt::format("begin it with [{}]", entry.key));
        }
        if (entry.key == "service") {
            return read_services(*inside, to);
        }
        read_process(*is, *inside, to);
    }

    static bool holds_tables(const document_entry& entry) {
        const auto* inside = std::get_if<document_table>(&entry.value.is);
        return inside != nullptr && !inside->empty() &&
               std::all_of(inside->begin(), inside->end(), [](const document_entry& each) {
                   return std::holds_alternative<document_table>(each.value.is);
               });
    }

    void complain_about_top(const document_entry& entry, complaints& to) {
        const bool is_table = std::holds_alternative<document_table>(entry.value.is);
        const auto text =
            fmt::format("unknown {} {}", is_table ? "table" : "key", in_quotes(entry.key));
        for (const auto& each : all_keys()) {
            if (each.name == entry.key && !is_table) {
                services_seen_ += each.in == table::service ? 1U : 0U;
                return to.add(entry.at, text + " outside of a table",
                              fmt::format("it goes into {}", to_text(each.in)));
            }
        }
        const auto like = entry.key.size() > 64 ? ""
                          : holds_tables(entry) // only those of the services have names
                              ? nearest_word(entry.key, {"service"})
                              : nearest_word(entry.key, {"log", "serve", "metrics", "service"});
        services_seen_ += like == "service" ? 1U : 0U;
        to.add(entry.at, text + (like.empty() ? "" : "; did you mean '" + like + "'?"),
               "there are [log], [serve], [metrics] and [service.NAME]");
    }

    void read_process(table which, const document_table& inside, complaints& to) {
        auto given = read_table(which, inside, to);
        means_user_ = means_user_ || given.has("user");
        for (const auto& each : given.keys) {
            const auto here = to.where(each.at);
            const auto [before, is_new] = process_.emplace(each.which, here);
            if (!is_new) {
                complain_twice(fmt::format("'{}'", each.which->name), before->second, here,
                               "it is of the whole process: set it in one file");
            } else if (each.good) {
                copy(*each.which, given.in, process_settings_);
                read_own(which, each, given.in, to);
            }
        }
    }

    // ---- what the process answers itself ----

    void read_own(table in, const given_key& given, settings& from, complaints& to) {
        if (in == table::metrics) {
            return read_metrics(given, from, to);
        }
        if (given.which->name == "status") {
            read_private(own_part::status, from.status, given.at, to);
        } else if (given.which->name == "control" && from.control != no_control) {
            read_private(own_part::control, from.control, given.at, to);
        }
    }

    void read_private(own_part which, const std::string& text, position at, complaints& to) {
        const auto name = parse_private_name(text);
        if (!name) {
            return to.add(from_message(to.where(at),
                                       fmt::format("'{}': {}",
                                                   which == own_part::status ? "status" : "control",
                                                   name.error())));
        }
        add_own(which, {private_wish(*name)}, std::vector{to.where(at)});
    }

    void read_metrics(const given_key& given, settings& from, complaints& to) {
        std::vector<plan::wish> wishes;
        std::vector<place> at;
        for (std::size_t i = 0; i < from.metrics.size(); ++i) {
            const auto read = ip::parse_listen_address(from.metrics[i]);
            if (!read) {
                to.add(
                    given.items[i],
                    fmt::format("'listen': {}: {}", in_quotes(from.metrics[i]), read.error().what),
                    read.error().hint);
                continue;
            }
            for (auto& wish : wish_flags{}.wishes_for(*read)) {
                wishes.push_back(std::move(wish));
                at.push_back(to.where(given.items[i]));
            }
        }
        if (!wishes.empty()) {
            add_own(own_part::metrics, std::move(wishes), at);
        }
    }

    void add_own(own_part which, std::vector<plan::wish> wishes, const std::vector<place>& at) {
        own_.push_back({own_service(which, std::move(wishes), at.front()), at});
    }

    void read_services(const document_table& inside, complaints& to) {
        for (const auto& each : inside) {
            ++services_seen_;
            const auto here = to.where(each.at);
            const auto [before, is_new] = names_.emplace(each.key, here);
            if (!is_new) {
                complain_twice("service " + in_quotes(each.key), before->second, here,
                               "each service has a name of its own");
            }
            if (auto made = read_service_entry(each, as_its_user(), to)) {
                add_service(*std::move(made));
            }
        }
    }

    [[nodiscard]] service_reader as_its_user() const {
        return [this](service_request asked, std::span<const plan::wish> wishes) {
            asked.programs.host_user = process_settings_.user;
            return read_(asked, wishes);
        };
    }

    void add_service(read_service_table which) {
        for (std::size_t i = 0; i < which.made.wishes.size(); ++i) {
            const auto& wish = which.made.wishes[i];
            for (auto& what : claims_of(wish)) {
                claims_.push_back({std::move(what), ip::to_text(wish.where), made_.services.size(),
                                   which.wish_at[i]});
            }
        }
        made_.services.push_back(std::move(which.made));
    }

    void complain_twice(const std::string& what, const place& first, const place& second,
                        const std::string& hint) {
        const auto say = [&](const place& here, const place& there) {
            wrong_.push_back(
                {here, fmt::format("{} is in {} as well", what, line_of(there)), hint});
        };
        say(first, second);
        say(second, first);
    }

    // ---- all of them together ----

    // Two services cannot have the same address; one may name it twice, which plan sorts out.
    void check_claims() {
        std::stable_sort(claims_.begin(), claims_.end(),
                         [](const auto& a, const auto& b) { return a.what < b.what; });
        std::set<std::pair<std::size_t, place>> told;
        const auto tell = [&](const claim& here, const claim& there) {
            if (!told.emplace(here.service, here.where).second) {
                return;
            }
            const auto& other = made_.services[there.service];
            wrong_.push_back(
                {here.where,
                 fmt::format("service {} listens on {} as well ({})", in_quotes(other.name),
                             in_quotes(there.address), line_of(there.where)),
                 "an address and port belong to one service"});
        };
        for (std::size_t i = 1; i < claims_.size(); ++i) {
            const auto& a = claims_[i - 1];
            const auto& b = claims_[i];
            if (a.what == b.what && a.service != b.service) {
                tell(a, b);
                tell(b, a);
            }
        }
    }

    void sort() {
        const auto order = [this](const diagnostic& which) {
            const auto file = std::find(made_.files.begin(), made_.files.end(), which.where.file);
            return std::tuple{file - made_.files.begin(), which.where.at};
        };
        std::stable_sort(wrong_.begin(), wrong_.end(),
                         [&](const auto& a, const auto& b) { return order(a) < order(b); });
    }

    // ---- of the whole process ----

    void take_process() {
        const auto& in = process_settings_;
        made_.log.format = parse_log_format(in.format).value_or(log_format::logfmt);
        made_.log.least = parse_severity(in.level).value_or(severity::info);
        made_.log.names = in.names;
        made_.log.syslog = in.log_to == "syslog";
        for (const auto& [which, where] : process_) {
            made_.keys.emplace(which->name, where);
        }
        made_.timeout = in.timeout;
        made_.user = in.user;
        made_.group = in.group;
        made_.sandbox = in.sandbox;
        made_.binder = in.binder;
        made_.binder_ports = in.binder_ports;
        made_.pid_file = in.pid_file;
    }

    void check_accounts() {
        if (made_.keys.contains("group") && !made_.keys.contains("user") && !means_user_) {
            wrong_.push_back({made_.keys.at("group"), "'group' means nothing without 'user'",
                              "name the user that the process is to become, or leave it out"});
        }
        if (accounts_) {
            for (const auto& each : accounts_(made_.user, made_.group)) {
                wrong_.push_back(made_.locate(each));
            }
        }
    }

    void finish() {
        const auto& in = process_settings_;
        for (const auto which : {table::log, table::serve, table::metrics}) {
            if (const auto keys = keys_toml(which, in); !keys.empty()) {
                made_.text += fmt::format("{}\n{}\n", to_text(which), keys);
            }
        }
        for (const auto& each : made_.services) {
            made_.text += each.part ? "" : each.text + '\n';
        }
    }

    const service_reader& read_;
    std::span<const outer_setting> outer_;
    const account_check& accounts_;
    std::vector<read_document> documents_;
    std::vector<diagnostic> wrong_;
    bool is_whole_ = true; // every file could be read and parsed
    std::size_t services_seen_ = 0;
    std::map<const key*, place> process_;
    settings process_settings_;
    bool means_user_ = false; // perhaps by another name
    std::map<std::string, place> names_;
    std::vector<claim> claims_;
    std::vector<read_service_table> own_;
    serve_config made_;
};

} // namespace

service_config own_service(own_part which, std::vector<plan::wish> wishes, place where) {
    constexpr std::array<std::string_view, 3> names{"serve.status", "serve.control", "metrics"};
    service_config made;
    made.name = names[static_cast<std::size_t>(which)];
    made.part = which;
    for (const auto& each : wishes) { // those of the same addresses are asked to be the same
        made.text += ip::to_text(each.where) + '\n';
    }
    made.wishes = std::move(wishes);
    made.where = std::move(where);
    return made;
}

diagnostic service_config::locate(const setting_error& why) const {
    const auto found = keys.find(why.setting);
    const auto at = found == keys.end() ? where : found->second;
    return from_message(at, why.setting.empty() ? "service '" + name + "': " + why.text
                                                : "'" + why.setting + "': " + why.text);
}

diagnostic serve_config::locate(const setting_error& why) const {
    const auto found = keys.find(why.setting);
    return from_message(found == keys.end() ? place{files.front(), {}} : found->second,
                        why.setting.empty() ? why.text : "'" + why.setting + "': " + why.text);
}

or_diagnostics<serve_config> parse_config(const std::vector<config_text>& texts,
                                          const service_reader& read,
                                          std::span<const outer_setting> outer,
                                          const account_check& accounts) {
    config_reader all{read, outer, accounts};
    for (const auto& each : texts) {
        all.add(each);
    }
    all.read();
    return all.take();
}

} // namespace portico::app
