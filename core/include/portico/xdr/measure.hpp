// The first step of encoding: how long it will be, and whether the value may be encoded at all.
#pragma once

#include "portico/xdr/error.hpp"
#include "portico/xdr/shape.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace portico::xdr::detail {

class meter {
public:
    [[nodiscard]] constexpr std::size_t size() const noexcept { return size_; }
    [[nodiscard]] constexpr const codec_error& why() const noexcept { return why_; }

    // False when the value may not be encoded; then why() tells.
    template <class T>
    requires plain<T> || one_of<T, bool, nothing>
    constexpr bool add(const T& /*unused*/) noexcept { return skip(least_size<T>()); }

    template <enumeration T>
    constexpr bool add(const T& value) noexcept {
        return is_enumerator<T>(number_of(value)) ? skip(unit)
                                                  : fail(fault::bad_enum, found_of(value));
    }

    constexpr bool add(const std::string& value) noexcept { return add_counted(value, most); }
    template <class T>
    constexpr bool add(const std::vector<T>& value) {
        return add_counted(value, most);
    }
    template <class Container, std::uint32_t max>
    constexpr bool add(const bounded<Container, max>& value) {
        return add_counted(static_cast<const Container&>(value), max);
    }

    template <class T>
    constexpr bool add(const list<T>& value) {
        if (!enter()) {
            return false;
        }
        for (const T& each : value) {
            if (!skip(unit) || !add(each)) {
                return false;
            }
        }
        return leave() && skip(unit);
    }

    template <class T>
    constexpr bool add(const std::optional<T>& value) {
        return skip(unit) && (!value || add(*value));
    }
    template <class T>
    constexpr bool add(const std::unique_ptr<T>& value) {
        return value == nullptr ? skip(unit) : enter() && skip(unit) && add(*value) && leave();
    }

    template <class T, std::size_t n>
    requires(!plain<std::array<T, n>>) constexpr bool add(const std::array<T, n>& value) {
        if constexpr (is_opaque<std::array<T, n>>) {
            return skip(least_size<std::array<T, n>>());
        } else {
            return add_each(value);
        }
    }

    template <structure T>
    requires(!plain<T>) constexpr bool add(const T& value) {
        return with_members(value,
                            [this](const auto&... each) { return (this->add(each) && ...); });
    }

    template <class... Arms>
    constexpr bool add(const std::variant<Arms...>& value) {
        using arms = arms_of<Arms...>;
        if (value.valueless_by_exception()) {
            return fail(fault::bad_discriminant, 0);
        }
        return std::visit(
            [this]<class Arm>(const Arm& arm) {
                if constexpr (is_otherwise<Arm>) {
                    if (arms::has_case(arm.discriminant)) {
                        return this->fail(fault::bad_discriminant, found_of(arm.discriminant));
                    }
                }
                return this->add(arm.discriminant) && this->add(arm.value);
            },
            value);
    }

private:
    template <class Container>
    constexpr bool add_counted(const Container& value, std::uint64_t max) {
        using value_type = typename Container::value_type;
        if (value.size() > max) {
            return fail(fault::too_long, value.size(), max);
        }
        if constexpr (one_of<value_type, char, std::byte>) {
            return skip(unit) && skip(value.size() + padding_after(value.size()));
        } else {
            static_assert(element<value_type>, "four bytes could be any number of such elements");
            return enter() && skip(unit) && add_each(value) && leave();
        }
    }

    template <class Elements>
    constexpr bool add_each(const Elements& value) {
        using value_type = typename Elements::value_type;
        if constexpr (plain<value_type> || one_of<value_type, bool>) {
            return skip(value.size() * least_size<value_type>());
        } else {
            for (const auto& each : value) {
                if (!add(each)) {
                    return false;
                }
            }
            return true;
        }
    }

    constexpr bool skip(std::size_t size) noexcept {
        size_ += size;
        return true;
    }
    constexpr bool enter() noexcept {
        return ++depth_ <= max_depth || fail(fault::too_deep, depth_, max_depth);
    }
    constexpr bool leave() noexcept {
        --depth_;
        return true;
    }
    constexpr bool fail(fault what, std::uint64_t found, std::uint64_t limit = 0) noexcept {
        why_ = {what, size_, found, limit};
        return false;
    }

    std::size_t size_ = 0;
    unsigned depth_ = 0;
    codec_error why_{};
};

} // namespace portico::xdr::detail
