// Any bytes as the files of a configuration, which zero bytes divide: they are read, or everything
// that is wrong is told in printable lines and in order; what is read reads back from its canonical
// text as the same.

#include "app/config/config.hpp"

#include <cstdint>
#include <cstdlib>

using namespace portico;

namespace {

void demand(bool holds) {
    if (!holds) {
        std::abort();
    }
}

// Files and programs of this machine are not looked at.
app::or_setting_error<app::service_choice> read_here(const app::service_request& asked,
                                                     std::span<const plan::wish> wishes) {
    auto without = asked;
    without.socks.users.clear();
    if (!asked.program.empty()) {
        without.program = {"/proc/self/exe"};
    }
    return app::read_service(without, wishes);
}

std::vector<app::config_text> files_of(std::string_view text) {
    std::vector<app::config_text> files;
    for (std::size_t at = 0; at <= text.size();) {
        const auto end = std::min(text.find('\0', at), text.size());
        files.push_back({std::to_string(files.size()), std::string{text.substr(at, end - at)}});
        at = end + 1;
    }
    return files;
}

void check_errors(const std::vector<app::diagnostic>& all, std::size_t files) {
    demand(!all.empty());
    std::size_t file = 0;
    app::position last;
    for (const auto& each : all) {
        const auto number = std::stoul(each.where.file);
        demand(number < files && number >= file && !each.text.empty());
        demand(number > file || last <= each.where.at);
        file = number;
        last = each.where.at;
    }
    const auto text = to_text(all);
    demand(text.ends_with('\n'));
    for (const char c : text) {
        demand(c == '\n' || (c >= ' ' && c <= '~'));
    }
}

void check_again(const app::serve_config& first) {
    const auto second = app::parse_config({{"again", first.text}}, read_here);
    demand(second && second->text == first.text);
    demand(second->services.size() == first.services.size());
    demand(second->timeout == first.timeout && second->log.least == first.log.least);
    for (std::size_t i = 0; i < first.services.size(); ++i) {
        const auto& a = first.services[i];
        const auto& b = second->services[i];
        demand(a.name == b.name && a.text == b.text && a.wishes.size() == b.wishes.size());
        for (std::size_t j = 0; j < a.wishes.size(); ++j) {
            demand(a.wishes[j].where == b.wishes[j].where && a.wishes[j].over == b.wishes[j].over);
        }
        demand(a.request.program == b.request.program && a.request.relay.to == b.request.relay.to);
        demand(a.request.dead_after == b.request.dead_after);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto files = files_of({reinterpret_cast<const char*>(data), size});
    if (const auto got = app::parse_config(files, read_here)) {
        demand(got->files.size() == files.size() && !got->services.empty());
        check_again(*got);
    } else {
        check_errors(got.error(), files.size());
    }
    return 0;
}
