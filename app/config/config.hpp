// The configuration of `portico serve`: TOML in, what the service host runs out, or everything that
// is wrong with it. portico.toml(5) describes the file.
#pragma once

#include "config/diagnostic.hpp"
#include "config/outer_settings.hpp"
#include "log/log.hpp"
#include "service/service_request.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <tl/expected.hpp>
#include <vector>

namespace portico::app {

// What the process answers itself.
enum class own_part : std::uint8_t { status, control, metrics };

// One [service.NAME], or what the process answers itself.
struct service_config {
    // 1 to 63 letters, digits, '-' and '_'; of a part its table and key: "serve.status".
    std::string name{};
    std::optional<own_part> part{};
    service_request request{};
    service_choice choice{}; // what read_service() made of it
    std::vector<plan::wish> wishes{};
    // The table as canonical TOML: two services of the same text are asked to be the same.
    std::string text{};
    place where{};                                    // its header
    std::map<std::string, place, std::less<>> keys{}; // where each key stands

    // A later error, with the place of the setting, or of the header when it has none here.
    [[nodiscard]] diagnostic locate(const setting_error& why) const;
};

[[nodiscard]] service_config own_service(own_part which, std::vector<plan::wish> wishes,
                                         place where);

struct serve_config {
    std::vector<std::string> files{}; // that were read, in their order
    log_settings log{};               // `journald` is left as it was
    std::optional<duration> timeout{};
    std::string user{}; // that the process becomes when its sockets are open
    std::string group{};
    std::string sandbox = "auto"; // "on", "off"
    bool binder = false;
    std::vector<std::string> binder_ports{};
    std::string pid_file{};
    // In the order of the files, at least one; and behind them the parts of the process.
    std::vector<service_config> services{};
    std::string text{}; // canonical TOML of all of it, which reads back as this
    std::map<std::string, place, std::less<>> keys{}; // where those of other tables stand

    // A later error about one of them, with its place; without one, of the first file.
    [[nodiscard]] diagnostic locate(const setting_error& why) const;
};

// A file, and what is in it or why that is not known.
struct config_text {
    std::string file{};
    tl::expected<std::string, diagnostic> text{};
};

using service_reader = std::function<or_setting_error<service_choice>(const service_request&,
                                                                      std::span<const plan::wish>)>;
// Which of [serve] user and group are not there.
using account_check =
    std::function<std::vector<setting_error>(const std::string& user, const std::string& group)>;
template <class T>
using or_diagnostics = tl::expected<T, std::vector<diagnostic>>; // in the order of the files

// The texts together, the first of which is the main one. All errors are found that can be told
// apart: a syntax error hides only what is in its file. `read` is what read_service() is. `outer`
// goes before what the texts say, and a later one before an earlier one. Without `accounts` nobody
// asks whether the user of the process is there.
[[nodiscard]] or_diagnostics<serve_config> parse_config(const std::vector<config_text>& texts,
                                                        const service_reader& read = read_service,
                                                        std::span<const outer_setting> outer = {},
                                                        const account_check& accounts = nullptr);

// The file, and conf.d/*.toml beside it by name. A file has at most 1 MiB, and conf.d 1,000 of
// them. Blocks as files do; a FIFO or a device is an error and not waited for.
// `instead_of`: the file whose place it is to take, and with it the conf.d there if it has none.
[[nodiscard]] or_diagnostics<serve_config> read_config(const std::string& path,
                                                       std::span<const outer_setting> outer = {},
                                                       const account_check& accounts = nullptr,
                                                       const std::string& instead_of = {});

} // namespace portico::app
