// `portico listen` running, and clients and targets in this program, for the tests of the command.
#pragma once

#include "portico/os/socket.hpp"
#include "portico/testkit/process.hpp"

#include "private_network_test.hpp"

#include <array>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

namespace portico {

using testkit::process;

inline const std::string command = PORTICO_COMMAND;

#define NEEDS(program)                                                                             \
    if (!testkit::find_program(program)) {                                                         \
        GTEST_SKIP() << program << " is not installed";                                            \
    }

// A running `portico listen`, and the port that it got.
class listening {
public:
    explicit listening(std::vector<std::string> arguments, const testkit::process_options& how = {})
        : program_{whole(std::move(arguments)), how},
          port_{program_.wait_for_out(R"(listening (?:tcp|udp) \S+:(\d+)\n)").value_or("0")} {}

    [[nodiscard]] const std::string& port() const { return port_; }
    [[nodiscard]] ip::endpoint at(std::string_view address) const {
        return {ip::parse_address(address).value(), static_cast<std::uint16_t>(std::stoul(port_))};
    }
    process& operator*() { return program_; }
    process* operator->() { return &program_; }

    // Its exit code after SIGTERM.
    int end() {
        program_.signal(SIGTERM);
        return program_.wait();
    }

private:
    static std::vector<std::string> whole(std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), {command, "listen"});
        return arguments;
    }

    process program_;
    std::string port_;
};

inline os::fd blocking(os::fd socket) {
    EXPECT_EQ(::fcntl(socket.raw(), F_SETFL, 0), 0);
    return socket;
}

inline os::fd connect_to(const ip::any_endpoint& where, ip::transport over = ip::transport::tcp) {
    auto made = blocking(os::socket(where, over).value());
    const auto done = os::connect(made, where);
    EXPECT_TRUE(done) << ip::to_text(where) << ": " << done.error().message();
    return made;
}

inline void put(const os::fd& to, std::string_view text) {
    EXPECT_EQ(os::send(to.raw(), std::as_bytes(std::span{text})).value_or(0), text.size());
}

// One read: what came, or the name of the error.
inline std::string take(const os::fd& from) {
    std::array<std::byte, 65536> part;
    const auto size = os::recv(from.raw(), part);
    return size ? std::string{reinterpret_cast<const char*>(part.data()), *size}
                : ::strerrorname_np(size.error().value());
}

// What comes back for it. Whoever is reset may be so before it has sent anything, and then only
// send(2) says so.
inline std::string ask(const os::fd& peer, std::string_view text) {
    return os::send(peer.raw(), std::as_bytes(std::span{text})) ? take(peer) : "ECONNRESET";
}

struct reading {
    std::string text;
    std::error_code ended;
};

inline reading read_to_end(const os::fd& from) {
    reading all;
    std::array<std::byte, 65536> part;
    for (;;) {
        const auto size = os::recv(from.raw(), part);
        if (!size || *size == 0) {
            all.ended = size ? std::error_code{} : size.error();
            return all;
        }
        all.text.append(reinterpret_cast<const char*>(part.data()), *size);
    }
}

inline void close_with_reset(os::fd& which) {
    EXPECT_TRUE(os::set_linger_reset(which.raw()));
    which.reset();
}

// A target in this program.
class target_here {
public:
    target_here() {
        const ip::endpoint any{ip::address::loopback(ip::family::v6), 0};
        listener_ = blocking(os::socket(any, ip::transport::tcp).value());
        EXPECT_TRUE(os::bind(listener_, any) && os::listen(listener_, 8));
    }
    [[nodiscard]] std::string name() const {
        return ip::to_text(os::getsockname(listener_.raw()).value());
    }
    [[nodiscard]] os::fd accept() const {
        return blocking(std::move(os::accept4(listener_.raw()).value().socket));
    }
    void close() { listener_.reset(); }

private:
    os::fd listener_;
};

// In a private network with a loopback interface; has a directory of its own.
class command_test : public private_network_test {
protected:
    void SetUp() override {
        private_network_test::SetUp();
        if (!IsSkipped()) {
            testkit::must_run("ip link set lo up");
            std::string name =
                (std::filesystem::temp_directory_path() / "portico-command.XXXXXX").string();
            ASSERT_NE(::mkdtemp(name.data()), nullptr);
            directory_ = name;
        }
    }
    void TearDown() override {
        if (!directory_.empty()) {
            std::filesystem::remove_all(directory_);
        }
    }
    [[nodiscard]] std::string file(const std::string& name) const { return directory_ / name; }

private:
    std::filesystem::path directory_;
};

} // namespace portico
