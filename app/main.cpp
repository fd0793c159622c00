// The command line: splits off the program after "--", lets the verbs add themselves, turns parse
// errors into messages and exit codes.

#include "help.hpp"
#include "log/journal_errors.hpp"
#include "log/standard_output.hpp"
#include "verb.hpp"

#include "portico/os/fd.hpp"

#include <algorithm>
#include <csignal>
#include <exception>
#include <iostream>
#include <memory>

namespace {

constexpr int user_mistake = 100;
constexpr int our_bug = 101;
constexpr int system_failure = 111;

int run(std::vector<std::string> arguments) {
    portico::app::invocation call;
    const auto dashes = std::find(arguments.begin(), arguments.end(), "--");
    if (dashes != arguments.end()) {
        call.program.assign(dashes + 1, arguments.end());
        arguments.erase(dashes, arguments.end());
    }

    CLI::App command{"a service on every address of a host; any address of a service", "portico"};
    command.formatter(std::make_shared<portico::app::help_pages>());
    command.set_help_flag("-h,--help", "show this help");
    command.set_help_all_flag("--help-all", "show the help of every verb");
    command.set_version_flag("--version", "portico " PORTICO_VERSION, "show the version");
    portico::app::add_addrs(command, call);
    portico::app::add_dial(command, call);
    portico::app::add_handover(command, call);
    portico::app::add_listen(command, call);
    portico::app::add_plan(command, call);
    portico::app::add_reload(command, call);
    portico::app::add_serve(command, call);
    portico::app::add_why(command, call);
    command.require_subcommand(1);

    std::reverse(arguments.begin(), arguments.end()); // CLI11 takes them from the back
    try {
        command.parse(arguments);
    } catch (const CLI::ParseError& wrong) {
        if (wrong.get_exit_code() == 0) {
            return command.exit(wrong);
        }
        const portico::app::journal_errors errors;
        portico::app::explain(std::cerr, command, wrong);
        return user_mistake;
    }
    return call.exit_code;
}

} // namespace

int main(int argc, char** argv) {
    portico::os::keep_standard_descriptors();
    std::signal(SIGXFSZ, SIG_IGN); // a log at its RLIMIT_FSIZE is a full disk, and no reason to die
    try {
        portico::app::standard_output output;
        const int code = run({argv + 1, argv + argc});
        if (const auto why = output.finish()) {
            const portico::app::journal_errors errors;
            std::cerr << "portico: stdout: " << why.message() << '\n';
            return code == 0 ? system_failure : code;
        }
        return code;
    } catch (const std::exception& bug) {
        const portico::app::journal_errors errors;
        std::cerr << "portico: this is a bug in portico, please report it: " << bug.what() << '\n';
        return our_bug;
    }
}
