// The ports in a set of nftables.
#pragma once

#include "netlink/messages.hpp"
#include "portico/os/nat.hpp"

namespace portico::os {

// Reads NFT_MSG_NEWSETELEM, behind its nfgenmsg, into the listing. False when it is malformed.
[[nodiscard]] bool read_set_elements(bytes_view body, std::uint8_t family, nat_listing& into);

// The request for the elements of one set.
[[nodiscard]] std::vector<std::byte> request_for_elements(const nat_listing::chain_key& which);

} // namespace portico::os
