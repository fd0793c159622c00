#include "portico/relay/associations.hpp"

#include "portico/ip/canonical.hpp"
#include "relay/rendezvous.hpp"

#include <algorithm>

namespace portico::relay {
namespace {

constexpr std::size_t most_places = std::size_t{1} << 31;

std::uint64_t ports_and_families(const association_key& key) noexcept {
    const auto half = [](const ip::endpoint& at) {
        return std::uint64_t{at.port} << 8 | static_cast<std::uint64_t>(at.address.family());
    };
    return half(key.client) << 32 | half(key.local);
}

} // namespace

std::string_view to_text(association_drop why) noexcept {
    constexpr std::array<std::string_view, association_drops> names{"expired", "evicted", "closed",
                                                                    "full", "prefix_full"};
    return names[static_cast<std::size_t>(why)];
}

associations::associations(const association_settings& how, const hash_seed& seed)
    : how_{how}, seed_{seed}, places_(std::min(how.capacity, most_places)),
      buckets_(std::bit_ceil(std::max<std::size_t>(places_.size(), 1)), nowhere),
      prefixes_(places_.size()), prefix_buckets_(buckets_.size(), nowhere) {
    how_.v6_prefix = std::min(how.v6_prefix, 128U);
    for (auto i = static_cast<std::uint32_t>(places_.size()); i != 0; --i) {
        places_[i - 1].next_in_bucket = unused_;
        prefixes_[i - 1].next_in_bucket = unused_prefix_;
        unused_ = i - 1;
        unused_prefix_ = i - 1;
    }
}

tl::expected<association_found, association_drop>
associations::handle_datagram(instant now, const association_key& from) {
    now = latest(now);
    if (const auto known = find(from)) {
        const auto before = places_[known->index].now;
        touch(known->index, now, before == state::answered ? state::conversing : before);
        return association_found{*known};
    }
    const auto base = prefix_of(from.client);
    const auto room = make_room(find_prefix(base));
    if (!room) {
        ++counts_.dropped[static_cast<std::size_t>(room.error())];
        return tl::unexpected{room.error()};
    }
    const auto index = open(from, base);
    places_[index].last = now;
    return association_found{id_of(index), true, *room};
}

bool associations::handle_answer(instant now, association_id id) {
    now = latest(now);
    if (!is_open(id)) {
        return false;
    }
    const auto before = places_[id.index].now;
    touch(id.index, now, before == state::asked ? state::answered : before);
    return true;
}

bool associations::handle_closed(association_id id) {
    if (!is_open(id)) {
        return false;
    }
    end(id.index, association_drop::closed);
    return true;
}

std::optional<association_id> associations::poll_expired(instant now) {
    now = latest(now);
    const auto is_over = [&](const list& which, duration idle) {
        return which.first != nowhere &&
               deadline::after(places_[which.first].last, idle).has_passed(now);
    };
    std::uint32_t index = nowhere;
    if (is_over(unproven_, how_.idle_unproven)) {
        index = unproven_.first;
    } else if (is_over(conversations_, how_.idle)) {
        index = conversations_.first;
    }
    if (index == nowhere) {
        return std::nullopt;
    }
    const auto id = id_of(index);
    end(index, association_drop::expired);
    return id;
}

deadline associations::poll_deadline() const noexcept {
    const auto of = [&](const list& which, duration idle) {
        return which.first == nowhere ? deadline::never()
                                      : deadline::after(places_[which.first].last, idle);
    };
    return std::min(of(unproven_, how_.idle_unproven), of(conversations_, how_.idle));
}

// Who made room, or why there is none.
tl::expected<std::optional<association_id>, association_drop>
associations::make_room(std::uint32_t prefix) {
    const bool is_prefix_full = how_.max_per_prefix != 0 && prefix != nowhere &&
                                prefixes_[prefix].count >= how_.max_per_prefix;
    if (!is_prefix_full && unused_ != nowhere) {
        return std::nullopt;
    }
    const auto evicted = is_prefix_full ? prefixes_[prefix].unproven.first : unproven_.first;
    if (evicted == nowhere) {
        return tl::unexpected{is_prefix_full ? association_drop::prefix_full
                                             : association_drop::full};
    }
    const auto id = id_of(evicted);
    end(evicted, association_drop::evicted);
    return id;
}

std::uint32_t associations::open(const association_key& key, const ip::address& base) {
    auto prefix = find_prefix(base); // again: the last of it may have made room
    if (prefix == nowhere) {
        prefix = unused_prefix_;
        auto& made = prefixes_[prefix];
        unused_prefix_ = made.next_in_bucket;
        auto& bucket = prefix_buckets_[bucket_of(base)];
        made = {.base = base, .next_in_bucket = bucket, .unproven = {}};
        bucket = prefix;
    }
    ++prefixes_[prefix].count;

    const auto index = unused_;
    auto& made = places_[index];
    unused_ = made.next_in_bucket;
    auto& bucket = buckets_[bucket_of(key)];
    made.key = key;
    made.prefix = prefix;
    made.next_in_bucket = bucket;
    made.now = state::asked;
    bucket = index;
    append<&place::by_age>(unproven_, index);
    append<&place::of_kin>(prefixes_[prefix].unproven, index);
    ++size_;
    ++counts_.opened;
    return index;
}

void associations::touch(std::uint32_t index, instant now, state becomes) {
    auto& which = places_[index];
    which.last = now;
    auto& kin = prefixes_[which.prefix].unproven;
    if (which.now == state::conversing) {
        remove<&place::by_age>(conversations_, index);
    } else {
        remove<&place::by_age>(unproven_, index);
        remove<&place::of_kin>(kin, index);
    }
    which.now = becomes;
    if (which.now == state::conversing) {
        append<&place::by_age>(conversations_, index);
    } else {
        append<&place::by_age>(unproven_, index);
        append<&place::of_kin>(kin, index);
    }
}

void associations::end(std::uint32_t index, association_drop why) {
    auto& which = places_[index];
    if (which.now == state::conversing) {
        remove<&place::by_age>(conversations_, index);
    } else {
        remove<&place::by_age>(unproven_, index);
        remove<&place::of_kin>(prefixes_[which.prefix].unproven, index);
    }
    auto* link = &buckets_[bucket_of(which.key)];
    while (*link != index) {
        link = &places_[*link].next_in_bucket;
    }
    *link = which.next_in_bucket;
    leave_prefix(which.prefix);
    which.now = state::unused;
    ++which.generation;
    which.next_in_bucket = unused_;
    unused_ = index;
    --size_;
    ++counts_.dropped[static_cast<std::size_t>(why)];
}

void associations::leave_prefix(std::uint32_t prefix) {
    auto& which = prefixes_[prefix];
    if (--which.count != 0) {
        return;
    }
    auto* link = &prefix_buckets_[bucket_of(which.base)];
    while (*link != prefix) {
        link = &prefixes_[*link].next_in_bucket;
    }
    *link = which.next_in_bucket;
    which.next_in_bucket = unused_prefix_;
    unused_prefix_ = prefix;
}

template <associations::links associations::place::*Which>
void associations::append(list& to, std::uint32_t index) {
    places_[index].*Which = {.previous = to.last, .next = nowhere};
    (to.last == nowhere ? to.first : (places_[to.last].*Which).next) = index;
    to.last = index;
}

template <associations::links associations::place::*Which>
void associations::remove(list& from, std::uint32_t index) {
    const auto [previous, next] = places_[index].*Which;
    (previous == nowhere ? from.first : (places_[previous].*Which).next) = next;
    (next == nowhere ? from.last : (places_[next].*Which).previous) = previous;
}

ip::address associations::prefix_of(const ip::endpoint& client) const noexcept {
    const auto who = ip::canonical(client.address);
    const auto block = ip::prefix::make(who, who.is_v4() ? 32 : how_.v6_prefix);
    return block ? block->base() : who;
}

std::size_t associations::bucket_of(const association_key& key) const noexcept {
    const auto client = key.client.address.to_v6();
    const auto local = key.local.address.to_v6();
    const auto hash = keyed_hash{seed_}
                          .add(word_of(client.data()))
                          .add(word_of(client.data() + 8))
                          .add(word_of(local.data()))
                          .add(word_of(local.data() + 8))
                          .add(ports_and_families(key))
                          .value();
    return static_cast<std::size_t>(hash) & (buckets_.size() - 1);
}

std::size_t associations::bucket_of(const ip::address& base) const noexcept {
    const auto bytes = base.to_v6();
    const auto hash =
        keyed_hash{seed_}.add(word_of(bytes.data())).add(word_of(bytes.data() + 8)).value();
    return static_cast<std::size_t>(hash) & (prefix_buckets_.size() - 1);
}

std::uint32_t associations::find_prefix(const ip::address& base) const noexcept {
    auto at = prefix_buckets_[bucket_of(base)];
    while (at != nowhere && prefixes_[at].base != base) {
        at = prefixes_[at].next_in_bucket;
    }
    return at;
}

std::optional<association_id> associations::find(const association_key& from) const noexcept {
    auto at = buckets_[bucket_of(from)];
    while (at != nowhere && places_[at].key != from) {
        at = places_[at].next_in_bucket;
    }
    return at == nowhere ? std::nullopt : std::optional{id_of(at)};
}

const association_key* associations::key(association_id id) const noexcept {
    return is_open(id) ? &places_[id.index].key : nullptr;
}

bool associations::is_conversation(association_id id) const noexcept {
    return is_open(id) && places_[id.index].now == state::conversing;
}

bool associations::is_open(association_id id) const noexcept {
    return id.index < places_.size() && places_[id.index].generation == id.generation &&
           places_[id.index].now != state::unused;
}

association_id associations::id_of(std::uint32_t index) const noexcept {
    return {index, places_[index].generation};
}

instant associations::latest(instant now) noexcept {
    now_ = std::max(now_, now);
    return now_;
}

} // namespace portico::relay
