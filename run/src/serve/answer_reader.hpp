// Reads what a program writes to stdout, up to a bound.
#pragma once

#include "portico/os/fd.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <cstddef>
#include <memory>
#include <string>

namespace portico::run {

// Threads: all calls on the executor.
class answer_reader : public std::enable_shared_from_this<answer_reader> {
public:
    // `from`: the end of a pipe that does not block.
    answer_reader(const boost::asio::any_io_executor& executor, os::fd from, std::size_t longest);

    void start() { wait(); }
    // Takes what is left in the pipe, and closes it; what comes later is no part of the answer.
    void finish();

    // What beyond the bound was read is not kept.
    [[nodiscard]] bool is_too_long() const noexcept { return is_too_long_; }
    [[nodiscard]] const std::string& text() const noexcept { return text_; }

private:
    void wait();
    bool read_some();
    void close();

    os::fd from_;
    std::size_t longest_;
    std::string text_;
    boost::asio::posix::stream_descriptor watch_;
    bool is_too_long_ = false;
};

} // namespace portico::run
