#include "guard/sandbox.hpp"

#include "portico/os/privileges.hpp"
#include "portico/os/resolve.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <utility>

namespace portico::app {
namespace {

namespace json = boost::json;
using os::path_access;

// ---- what services need ----

// Landlock knows files and not names, so links are followed; what is not there yet has its name.
std::filesystem::path real(const std::string& path) {
    std::error_code wrong;
    const auto absolute = std::filesystem::absolute(path, wrong);
    auto made = std::filesystem::weakly_canonical(absolute, wrong);
    return wrong ? absolute.lexically_normal() : made;
}

bool is_below(const std::string& path, const std::string& top) {
    return path == top || top == "/" ||
           (path.size() > top.size() && path.starts_with(top) && path[top.size()] == '/');
}

bool covers(const os::path_rule& rule, const os::path_rule& wanted) {
    return is_below(wanted.path, rule.path) &&
           (rule.access == wanted.access || wanted.access == path_access::read);
}

class path_list {
public:
    void add(std::string path, path_access access) {
        os::path_rule rule{std::move(path), access};
        if (std::none_of(all_.begin(), all_.end(),
                         [&](const auto& each) { return covers(each, rule); })) {
            all_.push_back(std::move(rule));
        }
    }
    // Its directory: the file may be replaced by another one of that name.
    void add_around(const std::string& file, path_access access) {
        if (!file.empty()) {
            add(real(file).parent_path(), access);
        }
    }
    [[nodiscard]] std::vector<os::path_rule> take() && { return std::move(all_); }

private:
    std::vector<os::path_rule> all_;
};

// Programs and libraries; and what the modules of nsswitch.conf(5) read to find a name.
void add_system(path_list& to) {
    for (const char* each : {"/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin"}) {
        to.add(each, path_access::execute);
    }
    for (const char* each : {"/etc", "/run", "/proc", "/dev/urandom", "/dev/random", "/var/lib/sss",
                             "/var/lib/extrausers"}) {
        to.add(each, path_access::read);
    }
    to.add("/dev/null", path_access::read_write);
}

void add_service(const service_config& which, path_list& to) {
    for (const auto& each : which.wishes) {
        const auto* name = std::get_if<ip::unix_name>(&each.where.where);
        if (name != nullptr && !name->is_abstract()) {
            to.add_around(std::string{name->text()}, path_access::read_write);
        }
    }
    if (which.choice.status) {
        to.add_around(std::string{which.choice.status->text()}, path_access::read_write);
    }
    to.add_around(which.request.socks.users, path_access::read);
}

path_list paths_for(const serve_config& config, const std::string& own_program) {
    path_list all;
    add_system(all);
    all.add_around(own_program, path_access::execute);
    for (const auto& each : os::lookup_programs()) {
        all.add_around(each, path_access::execute);
    }
    for (const auto& each : config.files) {
        all.add_around(each, path_access::read);
    }
    for (const auto& each : config.services) {
        add_service(each, all);
    }
    return all;
}

const service_config* with_program(const serve_config& config) {
    const auto found = std::find_if(config.services.begin(), config.services.end(),
                                    [](const auto& each) { return !each.request.program.empty(); });
    return found == config.services.end() ? nullptr : &*found;
}

// ---- telling ----

std::string_view to_text(path_access access) {
    return access == path_access::read      ? "read"
           : access == path_access::execute ? "execute programs"
                                            : "write";
}

// ---- doing ----

std::string landlock_refusal(std::error_code why) {
    const bool is_missing = why.value() == ENOSYS || why.value() == EOPNOTSUPP;
    return "files are not limited: " +
           (is_missing ? "this kernel has no Landlock, or it is not switched on (lsm= of its "
                         "command line)"
                       : "Landlock: " + why.message());
}

std::string filter_refusal(std::error_code why) {
    return "system calls are not filtered: " + why.message();
}

bool limit_files(const sandbox_plan& plan, std::vector<std::string>& cannot) {
    const auto done = os::restrict_by_landlock({.paths = plan.paths});
    if (!done) {
        cannot.push_back(landlock_refusal(done.error()));
        return false;
    }
    std::vector<std::string_view> parts;
    for (const auto each : done->not_limited) {
        parts.push_back(os::to_text(each));
    }
    if (!parts.empty()) {
        cannot.push_back(fmt::format("Landlock of this kernel (ABI {}) does not limit: {}",
                                     done->abi, fmt::join(parts, ", ")));
    }
    return true;
}

std::vector<std::string> texts(std::span<const std::string_view> from) {
    return {from.begin(), from.end()};
}

std::vector<os::call_filter> filters_for(call_rule which) {
    using list = os::call_filter::list;
    if (which == call_rule::listed) {
        return {{.which = list::deny,
                 .names = texts(hostile_calls()),
                 .refused = os::call_filter::answer::kill},
                {.which = list::allow,
                 .names = texts(needed_calls()),
                 .socket_families = {needed_families().begin(), needed_families().end()},
                 .number = ENOSYS}};
    }
    if (which == call_rule::ordinary) {
        return {{.which = list::deny, .names = texts(privileged_calls()), .number = EPERM}};
    }
    return {};
}

bool filter_calls(call_rule which, std::vector<std::string>& cannot) {
    if (const auto can = os::call_filters_available(); !can) {
        cannot.push_back(filter_refusal(can.error()));
        return false;
    }
    for (const auto& each : filters_for(which)) {
        if (const auto done = os::install_call_filter(each); !done) {
            cannot.push_back(filter_refusal(done.error()));
            return false;
        }
    }
    return true;
}

std::string explain_calls(call_rule which) {
    std::string text = "system calls: ";
    if (which == call_rule::all) {
        return text + "all";
    }
    if (const auto can = os::call_filters_available(); !can) {
        return text + "all, because this kernel cannot filter them (" + can.error().message() + ')';
    }
    return text + (which == call_rule::listed
                       ? "only those that it needs; others fail (ENOSYS), and those that change "
                         "the kernel end it"
                       : "all but those that change the whole system, which fail (EPERM)");
}

std::string explain_files(const sandbox_plan& plan) {
    if (!plan.limits_files) {
        return "files: all that its user may";
    }
    const auto abi = os::landlock_abi();
    if (!abi) {
        return "files: all that its user may; " + landlock_refusal(abi.error());
    }
    std::array<std::vector<std::string_view>, 3> of;
    for (const auto& each : plan.paths) {
        of.at(static_cast<std::size_t>(each.access)).push_back(each.path);
    }
    return fmt::format("files: by Landlock (ABI {}) those in {} to read, in {} to execute as well, "
                       "in {} to write, and no others",
                       *abi, fmt::join(of[0], " "), fmt::join(of[1], " "), fmt::join(of[2], " "));
}

} // namespace

bool operator==(const sandbox_plan& left, const sandbox_plan& right) {
    return to_json(left) == to_json(right);
}

sandbox_plan plan_sandbox(const serve_config& config, const std::string& own_program) {
    sandbox_plan made;
    if (config.sandbox == "off") {
        return made;
    }
    made.no_new_privileges = true;
    if (with_program(config) != nullptr) {
        made.calls = config.sandbox == "on" ? call_rule::ordinary : call_rule::all;
        return made;
    }
    made.calls = call_rule::listed;
    made.limits_files = true;
    auto paths = paths_for(config, own_program);
    paths.add_around(config.pid_file, path_access::read_write); // which no reload changes
    made.paths = std::move(paths).take();
    return made;
}

std::string find_shortage(const sandbox_plan& in_force, const serve_config& next,
                          const std::string& own_program) {
    const auto* program = with_program(next);
    if (program != nullptr && in_force.calls == call_rule::listed) {
        return "service " + program->name +
               ": it runs a program, and this process has given up what programs need, for there "
               "was none in its file when it started ([serve] sandbox); restart it";
    }
    if (!in_force.limits_files) {
        return {};
    }
    for (const auto& each : paths_for(next, own_program).take()) {
        if (std::none_of(in_force.paths.begin(), in_force.paths.end(),
                         [&](const auto& rule) { return covers(rule, each); })) {
            return each.path + ": this process has given up the right to " +
                   std::string{to_text(each.access)} +
                   " there, for its file had nothing there when it started ([serve] sandbox); "
                   "restart it, or use a directory that it has";
        }
    }
    return {};
}

sandbox_outcome enter_sandbox(const sandbox_plan& plan, const sandbox_plan& before) {
    sandbox_outcome made{before, {}};
    auto& now = made.in_force;
    if (plan.no_new_privileges && !before.no_new_privileges) {
        const auto done = os::set_no_new_privileges();
        now.no_new_privileges = done.has_value();
        if (!done) {
            made.cannot.push_back("programs may get new privileges: " + done.error().message());
        }
    }
    if (plan.limits_files && !before.limits_files && limit_files(plan, made.cannot)) {
        now.limits_files = true;
        now.paths = plan.paths;
    }
    if (plan.calls > before.calls && filter_calls(plan.calls, made.cannot)) {
        now.calls = plan.calls;
    }
    return made;
}

std::string explain_sandbox(const sandbox_plan& plan) {
    return fmt::format("new privileges: {}\n{}\n{}\n",
                       plan.no_new_privileges ? "none, for it and all that it starts"
                                              : "what it starts may get more",
                       explain_calls(plan.calls), explain_files(plan));
}

// ---- to the next process ----

std::string to_json(const sandbox_plan& plan) {
    json::array paths;
    for (const auto& each : plan.paths) {
        paths.push_back(json::array{static_cast<std::int64_t>(each.access), each.path});
    }
    return json::serialize(json::object{{"no_new_privileges", plan.no_new_privileges},
                                        {"calls", static_cast<std::int64_t>(plan.calls)},
                                        {"limits_files", plan.limits_files},
                                        {"paths", std::move(paths)}});
}

namespace {

template <class Word>
std::optional<Word> word_in(const json::value* from, Word last) {
    const auto* number = from == nullptr ? nullptr : from->if_int64();
    return number != nullptr && *number >= 0 && *number <= static_cast<std::int64_t>(last)
               ? std::optional{static_cast<Word>(*number)}
               : std::nullopt;
}

std::optional<os::path_rule> rule_in(const json::value& from) {
    const auto* pair = from.if_array();
    if (pair == nullptr || pair->size() != 2 || !pair->at(1).is_string()) {
        return std::nullopt;
    }
    const auto access = word_in(&pair->at(0), path_access::read_write);
    return access ? std::optional{os::path_rule{std::string{pair->at(1).as_string()}, *access}}
                  : std::nullopt;
}

} // namespace

tl::expected<sandbox_plan, std::string> parse_sandbox(std::string_view text) {
    const tl::unexpected<std::string> refusal{"what is said of its sandbox is not what a portico "
                                              "says"};
    boost::system::error_code wrong;
    const auto read = json::parse(text, wrong);
    const auto* object = wrong ? nullptr : read.if_object();
    if (object == nullptr) {
        return refusal;
    }
    const auto* no_new = object->if_contains("no_new_privileges");
    const auto* limits = object->if_contains("limits_files");
    const auto* paths = object->if_contains("paths");
    const auto calls = word_in(object->if_contains("calls"), call_rule::listed);
    if (no_new == nullptr || !no_new->is_bool() || limits == nullptr || !limits->is_bool() ||
        paths == nullptr || !paths->is_array() || !calls) {
        return refusal;
    }
    sandbox_plan made{no_new->as_bool(), *calls, limits->as_bool(), {}};
    for (const auto& each : paths->as_array()) {
        auto rule = rule_in(each);
        if (!rule) {
            return refusal;
        }
        made.paths.push_back(*std::move(rule));
    }
    return made;
}

} // namespace portico::app
