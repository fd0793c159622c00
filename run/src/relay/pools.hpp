// What connections borrow while bytes cannot be written, and give back at once.
#pragma once

#include "portico/os/fd.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace portico::run {

// A bounded number of buffers of one size. They are made when first needed; a few are kept for the
// next one. Threads: the caller serialises.
class buffer_pool {
public:
    using buffer = std::unique_ptr<std::byte[]>;

    buffer_pool(std::size_t size, std::size_t most) : size_{size}, most_{most} {}

    [[nodiscard]] bool is_empty() const noexcept { return lent_ >= most_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t lent() const noexcept { return lent_; }
    // Precondition: !is_empty().
    [[nodiscard]] buffer borrow() {
        ++lent_;
        if (spare_.empty()) {
            return std::make_unique_for_overwrite<std::byte[]>(size_);
        }
        auto given = std::move(spare_.back());
        spare_.pop_back();
        return given;
    }
    void give_back(buffer which) {
        --lent_;
        if (spare_.size() < kept) {
            spare_.push_back(std::move(which));
        }
    }

private:
    static constexpr std::size_t kept = 64;

    std::size_t size_;
    std::size_t most_;
    std::size_t lent_ = 0;
    std::vector<buffer> spare_;
};

// A pipe for splice(2).
struct splice_pipe {
    os::fd out; // read from it
    os::fd in;
    std::size_t capacity = 0;
};

// A bounded number of pipes; when there is none, bytes are copied. Threads: the caller serialises.
class pipe_pool {
public:
    explicit pipe_pool(std::size_t most) : most_{most} {}

    // An empty one; null when the most are lent, or none can be made.
    [[nodiscard]] std::unique_ptr<splice_pipe> borrow();
    // One that still holds bytes is closed.
    void give_back(std::unique_ptr<splice_pipe> which, bool is_empty);

private:
    static constexpr std::size_t kept = 8;

    std::size_t most_;
    std::size_t lent_ = 0;
    std::vector<std::unique_ptr<splice_pipe>> spare_;
};

} // namespace portico::run
