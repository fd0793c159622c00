// The second step of encoding: the bytes, for which there is room, of a value that may be encoded.
#pragma once

#include "portico/xdr/shape.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

namespace portico::xdr::detail {

// Precondition: a meter has taken the value, and from `to` there is room for what it measured.
class writer {
public:
    explicit constexpr writer(std::byte* to) noexcept : at_{to} {}

    template <class T>
    requires number<T>
    constexpr void put(const T& value) noexcept {
        put_number(at_, value);
        at_ += sizeof(T);
    }
    constexpr void put(const bool& value) noexcept { put(std::uint32_t{value}); }
    constexpr void put(const nothing& /*unused*/) noexcept {}
    template <enumeration T>
    constexpr void put(const T& value) noexcept {
        put(static_cast<std::int32_t>(number_of(value)));
    }

    constexpr void put(const std::string& value) noexcept {
        put_length(value.size());
        put_bytes(value);
    }
    template <class T>
    constexpr void put(const std::vector<T>& value) noexcept {
        put_length(value.size());
        if constexpr (one_of<T, std::byte>) {
            put_bytes(value);
        } else {
            put_each(value);
        }
    }
    template <class Container, std::uint32_t max>
    constexpr void put(const bounded<Container, max>& value) noexcept {
        put(static_cast<const Container&>(value));
    }

    template <class T>
    constexpr void put(const list<T>& value) noexcept {
        for (const T& each : value) {
            put(true);
            put(each);
        }
        put(false);
    }
    template <class T>
    constexpr void put(const std::optional<T>& value) noexcept {
        put_pointed(value);
    }
    template <class T>
    constexpr void put(const std::unique_ptr<T>& value) noexcept {
        put_pointed(value);
    }

    template <class T, std::size_t n>
    constexpr void put(const std::array<T, n>& value) noexcept {
        if constexpr (one_of<T, std::byte>) {
            put_bytes(value);
        } else {
            put_each(value);
        }
    }

    template <structure T>
    constexpr void put(const T& value) noexcept {
        with_members(value, [this](const auto&... each) { (this->put(each), ...); });
    }
    template <class... Arms>
    constexpr void put(const std::variant<Arms...>& value) noexcept {
        std::visit(
            [this](const auto& arm) {
                this->put(arm.discriminant);
                this->put(arm.value);
            },
            value);
    }

private:
    constexpr void put_length(std::size_t size) noexcept { put(static_cast<std::uint32_t>(size)); }

    template <class Bytes>
    constexpr void put_bytes(const Bytes& value) noexcept {
        if (std::is_constant_evaluated()) {
            std::ranges::transform(value, at_,
                                   [](auto each) { return static_cast<std::byte>(each); });
        } else if (!value.empty()) {
            std::memcpy(at_, value.data(), value.size());
        }
        at_ = std::fill_n(at_ + value.size(), padding_after(value.size()), std::byte{0});
    }

    template <class Elements>
    constexpr void put_each(const Elements& value) noexcept {
        writer at{at_}; // a copy that the compiler can keep in registers
        for (const auto& each : value) {
            at.put(each);
        }
        at_ = at.at_;
    }

    template <class Pointer>
    constexpr void put_pointed(const Pointer& value) noexcept {
        const bool is_there = static_cast<bool>(value);
        put(is_there);
        if (is_there) {
            put(*value);
        }
    }

    std::byte* at_;
};

} // namespace portico::xdr::detail
