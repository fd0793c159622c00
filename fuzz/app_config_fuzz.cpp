// Any bytes as the files of a configuration, which zero bytes divide: they are read, or everything
// that is wrong is told in printable lines and in order; what is read reads back from its canonical
// text as the same. Behind a byte 1 each byte chooses a line of a file, and behind a byte 2 they
// are options and variables beside a file.

#include "app/config/config.hpp"
#include "app/config/outer_settings.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <set>

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
    without.programs.host_user.clear();
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

constexpr std::array lines{"builtin = 'echo'",
                           "builtin = 'chargen'",
                           "program = ['/bin/cat', '', '\"']",
                           "to = 'a.example:80, 192.0.2.1:80'",
                           "to = ['unix:/a', 'srv:_a._tcp.example']",
                           "socks = true",
                           "socks = false",
                           "listen = ':80'",
                           "listen = ['*:81', '[::1]:82']",
                           "listen = '@eth0:80'",
                           "listen = 'unix:@a'",
                           "listen = '/a'",
                           "listen = [':0', 'sd:a']",
                           "listen = 'localhost:http'",
                           "udp = true",
                           "tcp = true",
                           "family = 'ipv4'",
                           "family = 'ipv6'",
                           "required = true",
                           "both-families = true",
                           "reuseport = true",
                           "freebind = false",
                           "backlog = 5",
                           "mode = '0600'",
                           "allow = '192.0.2.0/24,::1'",
                           "deny = ['192.0.2.1', 'x']",
                           "max-per = '/64=3'",
                           "rate = ['/64=3/1s', '/24=1/500ms+9']",
                           "max-connections = 1000",
                           "when-full = 'refuse'",
                           "dead-after = '1.5s'",
                           "nagle = true",
                           "chargen-limit = 7",
                           "env = {A = '1', B = '\\'}",
                           "idle-limit = '0.4ms'",
                           "half-closed-limit = '100d'",
                           "connect-timeout = '1m'",
                           "egress-device = 'eth0'",
                           "from = '192.0.2.9'",
                           "from = '::1'",
                           "socket-buffer = 4096",
                           "balance = 'hash'",
                           "check-every = '2s'",
                           "threads = 2",
                           "proxy-in = '::/0'",
                           "proxy-in-timeout = '1s'",
                           "proxy-out = 'v1'",
                           "status = 'unix:/b'",
                           "fast-open = true",
                           "associations = 9",
                           "associations-per-client = 0",
                           "socks-users = '/a'",
                           "allow-to = '*:443'",
                           "deny-to = ['192.0.2.0/24:*', 'a.example:80']",
                           "unknown = 1"};

// Each key once in its table; what is beyond the lines begins the next service.
std::vector<std::string> lines_of(std::string_view choices) {
    std::vector<std::string> chosen{"[service.0]"};
    std::set<std::string> keys;
    for (const char each : choices) {
        const std::size_t which = static_cast<unsigned char>(each) % (lines.size() + 2);
        if (which >= lines.size()) {
            chosen.push_back("[service." + std::to_string(chosen.size()) + "]");
            keys.clear();
        } else if (const std::string line = lines.at(which);
                   keys.insert(line.substr(0, line.find(' '))).second) {
            chosen.push_back(line);
        }
    }
    return chosen;
}

void check_text(const std::vector<app::diagnostic>& all) {
    const auto text = to_text(all);
    demand(text.ends_with('\n'));
    for (const char c : text) {
        demand(c == '\n' || (c >= ' ' && c <= '~'));
    }
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
    check_text(all);
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

void check(const std::vector<app::config_text>& files) {
    if (const auto got = app::parse_config(files, read_here)) {
        demand(got->files.size() == files.size() && !got->services.empty());
        check_again(*got);
    } else {
        check_errors(got.error(), files.size());
    }
}

// Each is an option, and a variable. What is wrong is told of one of them: the file is right, but
// for what is put into it.
void check_outer(std::string_view text) {
    std::vector<std::string> words;
    for (const auto& each : files_of(text)) {
        words.push_back(*each.text);
    }
    auto read = app::read_outer_variables(words);
    for (const auto& each : words) {
        read.settings.push_back(app::parse_outer_setting(each));
    }
    const auto got = app::parse_config({{"0", "[serve]\nuser = 'u'\ntimeout = '1s'\n[service.a]\n"
                                              "listen = ':80'\nprogram = ['/bin/cat']\n"
                                              "[service.a.env]\nA = 'a'\n"}},
                                       read_here, read.settings);
    if (got) {
        return check_again(*got);
    }
    check_text(got.error());
    demand(std::any_of(got.error().begin(), got.error().end(),
                       [](const auto& each) { return each.where.file != "0"; }));
}

// Without each line that was complained about, and a service whose header was, it is right in the
// end, or nothing is left of it: the places are those of the mistakes.
void check_places(std::vector<std::string> chosen) {
    while (!chosen.empty()) {
        std::string text;
        for (const auto& each : chosen) {
            text += each + '\n';
        }
        const auto got = app::parse_config({{"0", text}}, read_here);
        if (got) {
            return check_again(*got);
        }
        check_errors(got.error(), 1);
        std::set<std::size_t> wrong;
        for (const auto& each : got.error()) {
            demand(each.where.at.line >= 1 && each.where.at.line <= chosen.size());
            wrong.insert(each.where.at.line - 1);
        }
        std::vector<std::string> left;
        bool skips = false;
        for (std::size_t i = 0; i < chosen.size(); ++i) {
            const bool is_header = chosen[i].starts_with('[');
            skips = is_header ? wrong.contains(i) : skips;
            if (!skips && !wrong.contains(i)) {
                left.push_back(chosen[i]);
            }
        }
        chosen = std::move(left);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    if (text.starts_with('\1')) {
        check_places(lines_of(text.substr(1)));
    } else if (text.starts_with('\2')) {
        check_outer(text.substr(1));
    } else {
        check(files_of(text));
    }
    return 0;
}
