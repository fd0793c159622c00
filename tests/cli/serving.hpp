// `portico serve` running with a file of its own, for the tests of the command.
#pragma once

#include "listening.hpp"

#include <fstream>
#include <poll.h>
#include <stdexcept>
#include <sys/syscall.h>

namespace portico {

// Until there is something to read; a minute, which only a failing test reaches.
inline void wait_for(const os::fd& which) {
    pollfd asked{which.raw(), POLLIN, 0};
    EXPECT_EQ(::poll(&asked, 1, 60'000), 1);
}

struct finished {
    int status = 0;
    std::string out;
    std::string err;
};

inline finished finish(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {command, "serve"});
    process program{std::move(arguments)};
    finished made;
    made.status = program.wait();
    made.out = program.out();
    made.err = program.err();
    return made;
}

class serve_command : public command_test {
protected:
    void SetUp() override {
        command_test::SetUp();
        if (!IsSkipped()) {
            config_ = file("portico.toml");
        }
    }

    void write(const std::string& text) { write(config_, text); }
    static void write(const std::string& name, const std::string& text) {
        // Not in place: a reload may read it at any time.
        std::ofstream{name + ".new"} << text;
        std::filesystem::rename(name + ".new", name);
    }
    [[nodiscard]] process serve(const testkit::process_options& how = {}) const {
        return process{{command, "serve", config_}, how};
    }
    // After `number` reloads of its life.
    static testing::AssertionResult reload(process& server, int number) {
        server.signal(SIGHUP);
        const auto done = server.wait_for_out("reloaded " + std::to_string(number) + "\n");
        return done ? testing::AssertionSuccess() : testing::AssertionFailure() << server.err();
    }
    static ip::any_endpoint at(const std::string& text) { return ip::parse_endpoint(text).value(); }
    static std::string echoed(const ip::any_endpoint& where, const std::string& text) {
        return ask(connect_to(where), text);
    }

    std::string config_;
};

class handover_command : public serve_command {
protected:
    // From the process `old` to the next one, whose number it returns. They write to the pipes of
    // the first one, which has to be there.
    static pid_t hand_over(process& first, pid_t old) {
        ::kill(old, SIGUSR2);
        const auto next =
            first.wait_for_out('\n' + std::to_string(old) + " handed over to (\\d+)\n");
        if (!next) { // a number made up would be a signal to all of us
            throw std::runtime_error{"not handed over: " + first.out() + first.err()};
        }
        return std::stoi(*next);
    }
    // Its end; it is no child of ours.
    static void wait_for_end_of(pid_t which) {
        const os::fd watched{static_cast<int>(::syscall(SYS_pidfd_open, which, 0))};
        if (watched) {
            pollfd ended{watched.raw(), POLLIN, 0};
            EXPECT_EQ(::poll(&ended, 1, 60'000), 1) << which << " does not end";
        }
    }
};

} // namespace portico
