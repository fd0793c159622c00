#include "host/fixed_settings.hpp"

namespace portico::app {
namespace {

template <class One, class Other, class Visit>
void visit_fixed(One& one, Other& other, Visit visit) {
    visit("log.output", one.log.syslog, other.log.syslog);
    visit("serve.user", one.user, other.user);
    visit("serve.group", one.group, other.group);
    visit("serve.binder", one.binder, other.binder);
    visit("serve.binder-ports", one.binder_ports, other.binder_ports);
    visit("serve.sandbox", one.sandbox, other.sandbox);
    visit("serve.pid-file", one.pid_file, other.pid_file);
}

} // namespace

std::string find_fixed_changes(const serve_config& now, const serve_config& next) {
    std::string found;
    visit_fixed(now, next, [&](const char* name, const auto& before, const auto& after) {
        if (before != after) {
            found += (found.empty() ? "" : ", ") + std::string{name};
        }
    });
    return found;
}

void keep_fixed(const serve_config& from, serve_config& to) {
    visit_fixed(from, to, [](const char*, const auto& have, auto& into) { into = have; });
}

} // namespace portico::app
