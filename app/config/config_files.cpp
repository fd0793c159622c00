// The files of a configuration.

#include "config/config.hpp"
#include "service/own_service.hpp"

#include "portico/os/fd.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <string_view>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace portico::app {
namespace {

constexpr std::size_t longest_file = 1 << 20;
constexpr std::size_t most_files = 1000;

diagnostic unreadable(const std::string& file, std::string why, std::string hint = {}) {
    return {{file, {}}, "this cannot be read: " + std::move(why), std::move(hint)};
}

std::string reason(int number) {
    return std::error_code{number, std::system_category()}.message();
}

std::string hint_for(int number) {
    return number == ENOENT   ? "the name of the file may be wrong, or a link that leads nowhere"
           : number == EACCES ? "it has to be readable for the user that starts portico, and so do "
                                "the directories above it"
                              : "";
}

// Reads to the end, or one byte more than a file may have.
tl::expected<std::string, int> read_all(int from) {
    std::string text(longest_file + 1, '\0');
    std::size_t have = 0;
    while (have < text.size()) {
        const auto got = ::read(from, text.data() + have, text.size() - have);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return tl::unexpected{errno};
        }
        if (got == 0) {
            break;
        }
        have += static_cast<std::size_t>(got);
    }
    text.resize(have);
    return text;
}

tl::expected<std::string, diagnostic> read_file(const std::string& path,
                                                const std::string& hint_for_directory) {
    // O_NONBLOCK: a FIFO is not waited for. O_NOCTTY: a terminal is not taken.
    const os::fd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
    if (!file) {
        return tl::unexpected{unreadable(path, reason(errno), hint_for(errno))};
    }
    struct stat facts {};
    if (::fstat(file.raw(), &facts) != 0) {
        return tl::unexpected{unreadable(path, reason(errno))};
    }
    if (!S_ISREG(facts.st_mode)) {
        return tl::unexpected{unreadable(
            path, S_ISDIR(facts.st_mode) ? "it is a directory" : "it is not a regular file",
            S_ISDIR(facts.st_mode) ? hint_for_directory : "")};
    }
    auto text = read_all(file.raw());
    if (!text) {
        return tl::unexpected{unreadable(path, reason(text.error()))};
    }
    if (text->size() > longest_file) {
        return tl::unexpected{
            unreadable(path, "it is larger than 1 MiB", "put some of it into files in conf.d")};
    }
    return *std::move(text);
}

diagnostic too_many_in(const std::string& directory) {
    return {{directory, {}}, fmt::format("it has more than {} files", most_files), ""};
}

// conf.d/*.toml, by name; nothing when there is no such directory.
tl::expected<std::vector<std::string>, diagnostic> more_files(const std::string& main,
                                                              const std::string& instead_of) {
    std::error_code why;
    auto where = std::filesystem::path{main}.parent_path() / "conf.d";
    if (!instead_of.empty() && !std::filesystem::exists(where, why)) {
        where = std::filesystem::path{instead_of}.parent_path() / "conf.d";
    }
    std::vector<std::string> all;
    for (std::filesystem::directory_iterator each{where, why}, end; !why && each != end;
         each.increment(why)) {
        const auto name = each->path().filename().string();
        if (name.ends_with(".toml") && !name.starts_with('.')) {
            all.push_back(each->path().string());
        }
        if (all.size() > most_files) {
            return tl::unexpected{too_many_in(where.string())};
        }
    }
    if (why && why != std::errc::no_such_file_or_directory) {
        return tl::unexpected{unreadable(where.string(), why.message(), hint_for(why.value()))};
    }
    std::sort(all.begin(), all.end());
    return all;
}

// A manager that made a directory for us (RuntimeDirectory= of systemd.exec(5)) gets it there.
void add_default_control(serve_config& to) {
    const char* directories = std::getenv("RUNTIME_DIRECTORY");
    const std::string_view all = directories == nullptr ? "" : directories;
    if (all.empty()) {
        return;
    }
    const auto name = ip::unix_name::path(std::string{all.substr(0, all.find(':'))} + "/control");
    if (name) {
        to.services.push_back(
            own_service(own_part::control, {private_wish(*name)}, {to.files.front(), {}}));
    }
}

} // namespace

or_diagnostics<serve_config> read_config(const std::string& path,
                                         std::span<const outer_setting> outer,
                                         const account_check& accounts,
                                         const std::string& instead_of) {
    std::vector<config_text> texts{
        {path, read_file(path, "give the file in it: " + path + "/portico.toml")}};
    if (const auto more = more_files(path, instead_of)) {
        for (const auto& each : *more) {
            texts.push_back({each, read_file(each, "what ends with .toml in conf.d is read: call "
                                                   "the directory otherwise")});
        }
    } else {
        texts.push_back({more.error().where.file, tl::unexpected{more.error()}});
    }
    auto made = parse_config(texts, read_service, outer, accounts);
    if (made && !made->keys.contains("control")) {
        add_default_control(*made);
    }
    return made;
}

} // namespace portico::app
