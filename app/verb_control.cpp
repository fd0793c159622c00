// portico reload, and portico handover: orders for a running `portico serve`.

#include "host/control_service.hpp"
#include "service/own_service.hpp"
#include "verb.hpp"

#include "portico/os/socket.hpp"

#include <charconv>
#include <fcntl.h>
#include <filesystem>
#include <iostream>
#include <memory>
#include <span>
#include <unistd.h>

namespace portico::app {
namespace {

constexpr std::size_t longest_answer = 1 << 20;

struct control_options {
    std::string where = "unix:/run/portico/control";
    std::string program{};
};

int fail(std::string_view verb, const std::string& why, side who) {
    std::cerr << "portico: " << verb << ": " << why << '\n';
    return exit_code(who);
}

// The file is where a person would look, so the message says how it gets there.
std::string advice(const std::string& where, const std::error_code& why) {
    return where + ": " + why.message() +
           (why == std::errc::permission_denied || why == std::errc::operation_not_permitted
                ? "\n    only root and the user of the process may order it"
                : "\n    is the process running, and is this the 'control' of [serve] in its file? "
                  "--control says where");
}

// The socket waits: the host may take its time.
os::sys_result<os::fd> connect(const ip::unix_name& where) {
    auto made = os::socket(where, ip::transport::tcp);
    if (!made) {
        return made;
    }
    if (::fcntl(made->raw(), F_SETFL, 0) != 0) {
        return tl::unexpected{std::error_code{errno, std::system_category()}};
    }
    if (const auto done = os::connect(*made, where); !done) {
        return tl::unexpected{done.error()};
    }
    return made;
}

os::sys_result<std::string> ask(const os::fd& host, const std::string& order) {
    for (auto left = std::as_bytes(std::span{order}); !left.empty();) {
        const auto sent = os::send(host.raw(), left);
        if (!sent) {
            return tl::unexpected{sent.error()};
        }
        left = left.subspan(*sent);
    }
    std::string answer;
    std::array<std::byte, 4096> part;
    while (answer.size() < longest_answer) {
        const auto got = os::recv(host.raw(), part);
        if (!got && got.error() == std::errc::interrupted) {
            continue;
        }
        if (!got) {
            return tl::unexpected{got.error()};
        }
        if (*got == 0) {
            break;
        }
        answer.append(reinterpret_cast<const char*>(part.data()), *got);
    }
    return answer;
}

int run_order(std::string_view verb, const control_options& asked, const control_order& order) {
    const auto name = parse_private_name(asked.where);
    if (!name) {
        return fail(verb, "--control: " + name.error(), side::caller);
    }
    const auto host = connect(*name);
    if (!host) {
        return fail(verb, advice(asked.where, host.error()), side::system);
    }
    const auto answer = ask(*host, to_text(order) + '\n');
    if (!answer) {
        return fail(verb, asked.where + ": " + answer.error().message(), side::system);
    }
    int code = 0;
    const auto line = std::min(answer->find('\n'), answer->size());
    const auto [end, wrong] = std::from_chars(answer->data(), answer->data() + line, code);
    if (wrong != std::errc{} || end != answer->data() + line || line == answer->size()) {
        return fail(verb, asked.where + ": it ended before it had an answer, or is no portico",
                    side::system);
    }
    const auto text = answer->substr(line + 1);
    if (code == 0) {
        std::cout << text;
    } else {
        std::cerr << "portico: " << verb << ": " << text;
    }
    return code;
}

int run_handover(const control_options& asked) {
    control_order order{control_order::kind::handover, {}};
    if (!asked.program.empty()) {
        std::error_code wrong;
        order.program = std::filesystem::absolute(asked.program, wrong).string();
        if (wrong || order.program.find('\n') != std::string::npos ||
            ::access(order.program.c_str(), X_OK) != 0) {
            return fail("handover",
                        asked.program + ": this cannot be run here; give the path of a "
                                        "portico",
                        side::caller);
        }
    }
    return run_order("handover", asked, order);
}

CLI::App* add_verb(CLI::App& command, const std::string& name, const std::string& what,
                   control_options& asked) {
    auto* verb = command.add_subcommand(name, what);
    verb->add_option("--control", asked.where,
                     "where the process takes orders, as its file says; default "
                     "unix:/run/portico/control")
        ->type_name("unix:/PATH")
        ->envname("PORTICO_CONTROL");
    return verb;
}

} // namespace

void add_handover(CLI::App& command, invocation& call) {
    const auto asked = std::make_shared<control_options>();
    auto* verb = add_verb(command, "handover",
                          "let a running serve hand over to a new process, and wait", *asked);
    verb->add_option("BINARY", asked->program,
                     "what takes over; default: the program that is running, as it lies there now");
    verb->footer("Nobody is lost, and if it fails the running process goes on. Printed is what\n"
                 "was counted at the swap; the exit code is 0 when the new process serves.\n"
                 "\n"
                 "example:\n"
                 "  portico handover /usr/local/bin/portico");
    verb->callback([asked, &call] { call.exit_code = run_handover(*asked); });
}

void add_reload(CLI::App& command, invocation& call) {
    const auto asked = std::make_shared<control_options>();
    auto* verb =
        add_verb(command, "reload", "let a running serve read its file again, and wait", *asked);
    verb->footer("As HUP does, but an error is printed here, and the exit code is 0 when the new\n"
                 "file is what runs.");
    verb->callback([asked, &call] { call.exit_code = run_order("reload", *asked, {}); });
}

} // namespace portico::app
