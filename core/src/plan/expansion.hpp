// One pass over the wishes: each becomes its planned sockets and remarks.
#pragma once

#include "portico/plan/plan.hpp"

#include <map>
#include <string>
#include <tuple>
#include <vector>

namespace portico::plan {

class expansion {
public:
    expansion(const std::vector<wish>& wishes, const facts& known) noexcept
        : wishes_{wishes}, known_{known} {}

    void expand(std::size_t index);
    [[nodiscard]] plan finish() &&;

    // One for each form of ip::listen_address, for std::visit.
    void operator()(const ip::every_address& every);
    void operator()(const ip::address& literal);
    void operator()(const ip::host_name& host);
    void operator()(const ip::interface_name& interface);
    void operator()(const ip::own_addresses& own);
    void operator()(const ip::unix_name& name);
    void operator()(const ip::inherited_fd& descriptor);
    void operator()(const ip::inherited_name& group);

private:
    [[nodiscard]] const wish& asked() const noexcept { return wishes_[index_]; }
    [[nodiscard]] bool wanted(ip::family which) const noexcept;
    [[nodiscard]] bool has(ip::family which) const noexcept;
    [[nodiscard]] std::optional<std::uint16_t> port();

    void say(remark::weight how, std::string text, std::string hint = {});

    [[nodiscard]] planned_socket socket_for(ip::any_endpoint at, std::string reason);
    void add(planned_socket made);
    void add_ip(const ip::address& which, std::uint16_t port, std::string reason);
    void add_if_family(const ip::address& which, std::uint16_t port, std::string reason);
    // What is heard besides: heard_besides.cpp.
    void add_groups(planned_socket& to);
    void add_heard_besides(const planned_socket& one);
    void add_broadcasts(const planned_socket& one, const interface_address& of);
    void add_group_sockets(const planned_socket& one, const interface_address& of);
    [[nodiscard]] planned_socket besides(const planned_socket& one, const ip::address& which,
                                         const interface_address& of, std::string reason);
    void check_joined();
    void adopt(const inherited_socket& given);
    [[nodiscard]] bool can_adopt(const inherited_socket& given);
    [[nodiscard]] bool usable(const interface_address& which);
    template <class Selects>
    [[nodiscard]] bool add_own(const Selects& selects, const std::string& reason);
    [[nodiscard]] int backlog();

    void check_literal(const ip::address& literal);
    void check_on_interface(const ip::address& literal);
    void check_multicast(const ip::address& literal);
    void check_port(std::uint16_t port);
    void group_ports(std::size_t first);
    void note_disabled();
    void note_interface_of(const ip::unix_name& name);
    void drop_covered();

    [[nodiscard]] bool interface_known(const ip::zone& where) const;

    // Two sockets with one key are one socket. A random port is only ever the same within a wish.
    using key = std::tuple<ip::any_endpoint, ip::transport, std::size_t, std::string>;
    [[nodiscard]] key key_of(const planned_socket& which) const;

    const std::vector<wish>& wishes_;
    const facts& known_;
    plan made_;
    std::size_t index_ = 0;
    std::map<key, std::size_t> opened_;
    std::map<int, std::size_t> adopted_;
};

} // namespace portico::plan
