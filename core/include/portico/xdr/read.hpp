// Decoding: each byte is looked at once, and nothing is believed before it was checked.
#pragma once

#include "portico/xdr/error.hpp"
#include "portico/xdr/shape.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace portico::xdr::detail {

// The bytes of a plain value, which are there; returns where they end.
template <plain T>
constexpr const std::byte* take(const std::byte* at, T& into) noexcept {
    if constexpr (number<T>) {
        into = number_at<T>(at);
        return at + sizeof(T);
    } else if constexpr (is_opaque<T>) {
        std::copy_n(at, into.size(), into.begin());
        return at + into.size();
    } else if constexpr (is_array<T>) {
        for (auto& each : into) {
            at = take(at, each);
        }
        return at;
    } else {
        return with_members(into, [at](auto&... each) {
            const std::byte* end = at;
            ((end = take(end, each)), ...);
            return end;
        });
    }
}

class reader {
public:
    explicit constexpr reader(std::span<const std::byte> from) noexcept
        : begin_{from.data()}, at_{from.data()}, end_{from.data() + from.size()} {}

    [[nodiscard]] constexpr std::size_t offset() const noexcept {
        return static_cast<std::size_t>(at_ - begin_);
    }
    [[nodiscard]] constexpr std::size_t remaining() const noexcept {
        return static_cast<std::size_t>(end_ - at_);
    }
    [[nodiscard]] constexpr const codec_error& why() const noexcept { return why_; }

    // False when the next bytes are no T; then why() tells, and `into` has any value.
    template <plain T>
    constexpr bool get(T& into) noexcept {
        if (!has(least_size<T>())) {
            return false;
        }
        at_ = take(at_, into);
        return true;
    }

    constexpr bool get(bool& into) noexcept {
        std::uint32_t word = 0;
        if (!get(word)) {
            return false;
        }
        into = word == 1;
        return word <= 1 || fail(fault::bad_bool, unit, word);
    }
    constexpr bool get(nothing& /*unused*/) noexcept { return true; }

    template <enumeration T>
    constexpr bool get(T& into) noexcept {
        std::int32_t number = 0;
        if (!get(number)) {
            return false;
        }
        if (!is_enumerator<T>(number)) {
            return fail(fault::bad_enum, unit, found_of(number));
        }
        into = static_cast<T>(number);
        return true;
    }

    constexpr bool get(std::string& into) { return get_counted(into, most); }
    template <class T>
    constexpr bool get(std::vector<T>& into) {
        return get_counted(into, most);
    }
    template <class Container, std::uint32_t max>
    constexpr bool get(bounded<Container, max>& into) {
        return get_counted(static_cast<Container&>(into), max);
    }

    template <class T>
    constexpr bool get(list<T>& into) {
        into.clear();
        return enter() && get_elements(into) && leave();
    }
    template <class T>
    constexpr bool get(std::optional<T>& into) {
        bool is_there = false;
        into.reset();
        return get(is_there) && (!is_there || get(into.emplace()));
    }
    template <class T>
    constexpr bool get(std::unique_ptr<T>& into) {
        bool is_there = false;
        into.reset();
        if (!get(is_there) || (is_there && !enter())) {
            return false;
        }
        if (!is_there) {
            return true;
        }
        into = std::make_unique<T>();
        return get(*into) && leave();
    }

    template <class T, std::size_t n>
    requires(!plain<std::array<T, n>>) constexpr bool get(std::array<T, n>& into) {
        if constexpr (is_opaque<std::array<T, n>>) {
            if (!has(least_size<std::array<T, n>>())) {
                return false;
            }
            std::copy_n(at_, n, into.begin());
            at_ += n;
            return get_padding(padding_after(n));
        } else {
            return get_each(into);
        }
    }
    template <structure T>
    requires(!plain<T>) constexpr bool get(T& into) {
        return with_members(into, [this](auto&... each) { return (this->get(each) && ...); });
    }

    template <class... Arms>
    constexpr bool get(std::variant<Arms...>& into) {
        using arms = arms_of<Arms...>;
        typename arms::discriminant_type which{};
        if (!get(which)) {
            return false;
        }
        if constexpr (!arms::has_default) {
            if (!arms::has_case(which)) {
                return fail(fault::bad_discriminant, unit, found_of(which));
            }
        }
        return (get_arm<arms, Arms>(which, into) && ...);
    }

private:
    // Reads the arm if it is the one for `which`.
    template <class AllArms, class Arm, class Union>
    constexpr bool get_arm(typename AllArms::discriminant_type which, Union& into) {
        if constexpr (is_otherwise<Arm>) {
            if (AllArms::has_case(which)) {
                return true;
            }
            into.template emplace<Arm>().discriminant = which;
        } else {
            if (which != Arm::discriminant) {
                return true;
            }
            into.template emplace<Arm>();
        }
        return get(std::get<Arm>(into).value);
    }

    // What has its length before it. The length is held against the bytes that are there before
    // memory is asked for.
    template <class Container>
    constexpr bool get_counted(Container& into, std::uint64_t max) {
        using value_type = typename Container::value_type;
        std::uint32_t length = 0;
        if (!get(length)) {
            return false;
        }
        if (length > max) {
            return fail(fault::too_long, unit, length, max);
        }
        if constexpr (one_of<value_type, char, std::byte>) {
            return has(std::uint64_t{length} + padding_after(length)) && get_bytes(into, length);
        } else {
            static_assert(element<value_type>, "four bytes could be any number of such elements");
            if (!has(std::uint64_t{length} * least_size<value_type>()) || !enter()) {
                return false;
            }
            into.resize(length);
            return get_each(into) && leave();
        }
    }

    // Precondition: so many bytes and their padding are there.
    template <class Container>
    constexpr bool get_bytes(Container& into, std::size_t size) {
        using value_type = typename Container::value_type;
        if (std::is_constant_evaluated()) {
            into.resize(size);
            std::transform(at_, at_ + size, into.begin(),
                           [](std::byte each) { return static_cast<value_type>(each); });
        } else {
            const auto* const from = reinterpret_cast<const value_type*>(at_);
            into.assign(from, from + size);
        }
        at_ += size;
        return get_padding(padding_after(size));
    }
    // Precondition: so many bytes are there.
    constexpr bool get_padding(std::size_t size) noexcept {
        for (const auto* const end = at_ + size; at_ != end; ++at_) {
            if (*at_ != std::byte{0}) {
                return fail(fault::bad_padding, 0, std::to_integer<std::uint64_t>(*at_));
            }
        }
        return true;
    }

    // Precondition: if the elements are plain, their bytes are there.
    template <class Elements>
    constexpr bool get_each(Elements& into) {
        using value_type = typename Elements::value_type;
        if constexpr (plain<value_type>) {
            const std::byte* at = at_; // which the compiler can keep in a register
            for (auto& each : into) {
                at = take(at, each);
            }
            at_ = at;
            return true;
        } else if constexpr (one_of<value_type, bool>) {
            return get_flags(into);
        } else {
            return std::ranges::all_of(into, [this](auto& each) { return this->get(each); });
        }
    }
    // std::vector<bool> has no bool that could be referred to.
    template <class Flags>
    constexpr bool get_flags(Flags& into) {
        for (auto&& each : into) {
            bool flag = false;
            if (!get(flag)) {
                return false;
            }
            each = flag;
        }
        return true;
    }

    template <class T>
    constexpr bool get_elements(list<T>& into) {
        for (;;) {
            bool is_there = false;
            if (!get(is_there)) {
                return false;
            }
            if (!is_there) {
                return true;
            }
            T each{};
            if (!get(each)) {
                return false;
            }
            into.push_back(std::move(each));
        }
    }

    constexpr bool has(std::uint64_t size) noexcept {
        return remaining() >= size || fail(fault::cut_off, 0, remaining(), size);
    }
    constexpr bool enter() noexcept {
        return ++depth_ <= max_depth || fail(fault::too_deep, 0, depth_, max_depth);
    }
    constexpr bool leave() noexcept {
        --depth_;
        return true;
    }
    constexpr bool fail(fault what, std::size_t back, std::uint64_t found,
                        std::uint64_t limit = 0) noexcept {
        why_ = {what, offset() - back, found, limit};
        return false;
    }

    const std::byte* begin_;
    const std::byte* at_;
    const std::byte* end_;
    unsigned depth_ = 0;
    codec_error why_{};
};

} // namespace portico::xdr::detail
