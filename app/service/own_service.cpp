#include "service/own_service.hpp"

#include "service/own_client.hpp"

#include "portico/ip/listen_address.hpp"

#include <utility>

namespace portico::app {

tl::expected<ip::unix_name, std::string> parse_private_name(std::string_view text) {
    const auto read = ip::parse_listen_address(text);
    if (!read && !text.starts_with("unix:")) {
        return tl::unexpected{std::string{text} +
                              ": it is told at a UNIX socket only; write unix:/path"};
    }
    if (!read) {
        return tl::unexpected{"where to tell it is unix:/path\n" + ip::explain(text, read.error())};
    }
    const auto* name = std::get_if<ip::unix_name>(&read->where);
    if (name == nullptr) {
        return tl::unexpected{std::string{text} +
                              ": it is told at a UNIX socket only; write unix:/path"};
    }
    if (name->is_abstract()) {
        return tl::unexpected{std::string{text} + ": everybody on this host could use it, as an "
                                                  "abstract name has no mode; write unix:/path"};
    }
    return *name;
}

plan::wish private_wish(const ip::unix_name& where) {
    plan::wish made;
    made.where.where = where;
    made.where.text = ip::to_text(where);
    made.needed = plan::need::required;
    made.unix_mode = 0600;
    return made;
}

service_choice own_choice(decltype(service_choice::ours) make) {
    service_choice made;
    made.ours = std::move(make);
    made.door.max_connections = most_own_clients + 1;
    return made;
}

} // namespace portico::app
