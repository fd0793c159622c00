// What a started program's process does between clone(2) and execve(2).
//
// It shares our memory while our thread waits, so nothing here may take a lock, use the heap or
// return: raw system calls alone. Those of the C library that change ids would tell all our threads
// to change theirs.
#pragma once

#include "portico/os/spawn.hpp"

namespace portico::os {

// All that is needed, made before clone(2). The last three are for what went wrong.
struct launch {
    const char* path = nullptr;
    char* const* argv = nullptr; // null: nothing is executed, but all the rest is done
    char* const* env = nullptr;
    char* pid_digits = nullptr; // room for `pid_room` bytes in `env`; none when null
    std::span<int> descriptors; // is written to
    const spawn_settings* settings = nullptr;

    spawn_step step = spawn_step::start;
    int wrong = 0; // errno; 0 while nothing is
    std::size_t which = 0;
};

// The digits of the largest process id, and the zero after them.
constexpr std::size_t pid_room = 12;

// The soft RLIMIT_NOFILE of a program; 0: as it is here.
extern std::uint64_t soft_descriptor_limit;

// `what` is a launch. For clone(2): never returns.
int run_child(void* what);

} // namespace portico::os
