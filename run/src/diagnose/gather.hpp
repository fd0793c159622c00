// Gathering the facts that a question needs, and no others.
#pragma once

#include "portico/os/diag.hpp"
#include "portico/os/listening.hpp"
#include "portico/run/diagnose.hpp"

#include <functional>

namespace portico::run {

class fact_gatherer {
public:
    fact_gatherer(const diagnose::question& asked, const diagnose_options& how)
        : asked_{asked}, how_{how} {}

    [[nodiscard]] diagnose::facts gather() &&;

private:
    void host();
    void routes();
    void sockets();
    void unix_side(const ip::unix_name& name);
    void look_at_file(const ip::unix_name& name);
    void find_file_owner(const ip::unix_name& name);
    void probe(const ip::unix_name& name);
    void owners();
    void other_namespaces();
    void what_is_shared(); // by both ways
    void way_out();
    void way_in();
    void attempts();
    void held_ports(const os::fd& diag);

    // ---- pieces ----
    using namespace_look = std::function<void(const os::fd& diag, const os::network_namespace&)>;
    void each_namespace(const namespace_look& look); // but ours
    std::optional<os::fd> open_diag();
    void add_sockets(const os::fd& diag, const os::socket_query& which,
                     std::vector<diagnose::socket>& to);
    void add_unix_sockets(const os::fd& diag,
                          const std::function<bool(const diagnose::socket&)>& wanted);
    void note(std::string what, const std::error_code& why);
    [[nodiscard]] bool is_here(const ip::any_endpoint& which) const;
    [[nodiscard]] bool somebody_listens() const;
    [[nodiscard]] std::vector<std::uint16_t> ports() const;

    const diagnose::question& asked_;
    const diagnose_options& how_;
    diagnose::facts made_;
    std::optional<os::file_identity> file_; // of a UNIX socket
};

// Finds the processes that have these sockets open, and their flags, and puts them in.
void add_owners(diagnose::facts& to, const diagnose_options& how);

} // namespace portico::run
