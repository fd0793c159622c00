// What a service says on std::cerr, with the priority by which journald finds it.
#pragma once

#include <memory>
#include <ostream>
#include <streambuf>
#include <string>

namespace portico::app {

// A stream buffer that hands lines on to another one, each behind `prefix`.
class prefixed_lines final : public std::streambuf {
public:
    prefixed_lines(std::streambuf& to, std::string prefix);
    prefixed_lines(const prefixed_lines&) = delete;
    prefixed_lines& operator=(const prefixed_lines&) = delete;
    ~prefixed_lines() override; // hands on what is left

protected:
    int_type overflow(int_type character) override;
    int sync() override;

private:
    std::streambuf& to_;
    std::string prefix_;
    std::string waiting_; // not handed on yet
    bool line_begins_ = true;
};

// As long as it lives, and if stderr is a stream to journald, each line on std::cerr is an error
// there ("<3>", sd-daemon(3)). For verbs that run as services, and say there only why they do not.
class journal_errors {
public:
    journal_errors();
    journal_errors(const journal_errors&) = delete;
    journal_errors& operator=(const journal_errors&) = delete;
    ~journal_errors();

private:
    std::unique_ptr<prefixed_lines> lines_;
    std::streambuf* before_ = nullptr;
};

} // namespace portico::app
