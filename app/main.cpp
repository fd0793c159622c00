// The command line: splits off the program after "--", lets the verbs add themselves, turns parse
// errors into messages and exit codes.

#include "help.hpp"
#include "log/journal_errors.hpp"
#include "log/standard_output.hpp"
#include "verb.hpp"

#include "portico/os/fd.hpp"

#include <boost/system/system_error.hpp>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <exception>
#include <iostream>
#include <memory>

namespace {

constexpr int user_mistake = 100;
constexpr int our_bug = 101;
constexpr int system_failure = 111;

// Descriptors or memory; they may suffice another time.
bool is_shortage(const boost::system::error_code& why) {
    const int number = why.value();
    return why.category() == boost::system::system_category() &&
           (number == EMFILE || number == ENFILE || number == ENOMEM || number == ENOBUFS);
}

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

    const auto verbs = command.get_subcommands({});
    const auto is_verb = [&](const std::string& word) {
        return std::any_of(verbs.begin(), verbs.end(),
                           [&](const CLI::App* each) { return each->check_name(word); });
    };
    if (!arguments.empty() && arguments.front() == "help") { // help VERB is VERB --help
        arguments.erase(arguments.begin());
        if (arguments.empty() || is_verb(arguments.front())) {
            arguments.emplace_back("--help");
        }
    }
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

int tell_bug(const std::exception& bug) {
    const portico::app::journal_errors errors;
    std::cerr << "portico: this is a bug in portico, please report it: " << bug.what() << '\n';
    return our_bug;
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
    } catch (const boost::system::system_error& why) {
        if (is_shortage(why.code())) {
            const portico::app::journal_errors errors;
            std::cerr << "portico: it cannot begin: " << why.what() << '\n'
                      << (why.code().value() == EMFILE
                              ? "    raise the limit of open files: ulimit -n, LimitNOFILE=\n"
                              : "");
            return system_failure;
        }
        return tell_bug(why);
    } catch (const std::exception& bug) {
        return tell_bug(bug);
    }
}
