"""portico why on a real kernel: every cause made for real, and the nearest situation that is another one."""

import os
import pathlib
import pty
import signal
import socket
import subprocess
import unittest

import why_situations
from why_situations import COMMAND, NOBODY, PYTHON, Situation, free_port, ip, run, sysctl, wait_until

PORT = 8080  # each test has a network of its own
LISTEN = f"s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(('127.0.0.1', {PORT})); s.listen()"
ID = "0123456789abcdef" * 4  # of a container


class Bind(Situation):
    def test_somebody_listens(self):
        server = self.nginx(f"0.0.0.0:{PORT}")
        answer = self.expect("in_use", f":{PORT}")
        self.assertIn(f"nginx (pid {server.pid}", answer.sentence)
        self.assertIn(f"listens at 0.0.0.0:{PORT}", answer.sentence)
        self.assertEqual(answer.sure, "certain")
        self.assertIn("queue 0 of 511", answer.evidence)
        self.assertIn("SO_REUSEADDR set", answer.evidence)
        self.assertIn("SO_REUSEPORT not set", answer.evidence)
        self.assertIn("nginx: master process", answer.evidence)
        self.assertEqual(self.why(f"127.0.0.1:{PORT}").cause, "in_use")

    def test_somebody_who_listens_at_another_address_is_not_in_the_way(self):
        self.nginx(f"127.0.0.2:{PORT}")
        self.expect("none", f"127.0.0.1:{PORT}")
        self.expect("none", f"127.0.0.2:{PORT + 1}")
        self.expect("none", f"127.0.0.2:{PORT}", "--udp")
        self.expect("in_use", f"0.0.0.0:{PORT}")

    def test_a_socket_of_udp(self):
        self.needs("socat")
        self.start("socat", f"UDP4-RECV:{PORT}", "STDOUT")
        wait_until(lambda: f":{PORT} " in subprocess.run(["ss", "-Hlnu"], capture_output=True, text=True).stdout, "socat")
        self.assertIn("socat (pid", self.expect("in_use", f"0.0.0.0:{PORT}", "--udp").sentence)
        self.expect("none", f"0.0.0.0:{PORT}")

    def test_sockets_of_udp_that_share_a_port(self):
        self.socket(port=PORT, kind=socket.SOCK_DGRAM)
        self.assertEqual(self.expect("in_use", f"127.0.0.1:{PORT}", "--udp").sure, "certain")
        self.socket(port=PORT + 1, kind=socket.SOCK_DGRAM, SO_REUSEADDR=1)
        answer = self.expect("in_use", f"127.0.0.1:{PORT + 1}", "--udp")
        self.assertEqual(answer.sure, "likely")
        self.assertIn("if both programs set SO_REUSEADDR", answer.evidence)
        self.socket(port=PORT + 1, kind=socket.SOCK_DGRAM, SO_REUSEADDR=1)

    def test_a_socket_of_udp_that_is_connected(self):
        self.socket(port=PORT, kind=socket.SOCK_DGRAM).connect(("127.0.0.1", 9))
        answer = self.expect("in_use", f"127.0.0.1:{PORT}", "--udp")
        self.assertIn(f"has bound 127.0.0.1:{PORT}, connected to 127.0.0.1:9", answer.sentence)
        self.assertIn(f"kill {os.getpid()}", answer.fixes)
        self.assertNotIn("listen", answer.sentence + answer.fixes)
        with self.assertRaises(OSError):
            self.socket(port=PORT, kind=socket.SOCK_DGRAM)

    def test_an_ipv4_mapped_address_is_the_one_of_ipv4(self):
        self.socket(port=PORT, listen=4)
        self.expect("in_use", f"[::ffff:127.0.0.1]:{PORT}", "--bind")
        with self.assertRaises(OSError):
            self.socket("::ffff:127.0.0.1", PORT)
        for what in ("--accept", "--connect"):
            self.expect("none", f"[::ffff:127.0.0.1]:{PORT}", what)

    def test_every_process_of_a_socket_is_told_with_v(self):
        self.needs_users()  # nginx gives its workers another one
        server = self.nginx(f"127.0.0.1:{PORT}")
        children = pathlib.Path(f"/proc/{server.pid}/task/{server.pid}/children")
        wait_until(lambda: children.read_text().split(), "a worker of nginx")
        worker = children.read_text().split()[0]
        self.assertNotIn(f"pid {worker} ", self.why(f"127.0.0.1:{PORT}").evidence)
        self.assertIn(f"pid {worker} nginx", self.why(f"127.0.0.1:{PORT}", "-v").evidence)

    def test_an_ipv6_wildcard_takes_ipv4_too(self):
        server = self.start(why_situations.PYTHON, "-m", "http.server", "--bind", "::", PORT)
        self.await_listener(PORT)
        answer = self.expect("v6_wildcard_takes_v4", f"0.0.0.0:{PORT}")
        self.assertIn(f"(pid {server.pid}", answer.sentence)
        self.assertIn("IPV6_V6ONLY not set", answer.evidence)
        self.expect("in_use", f"[::]:{PORT}")
        self.expect("in_use", f":{PORT}")  # it is met at its own address

    def test_an_ipv6_wildcard_with_v6only_does_not(self):
        self.needs("socat")
        self.start("socat", f"TCP6-LISTEN:{PORT},ipv6only=1,fork", "PIPE")
        self.await_listener(PORT)
        self.expect("none", f"0.0.0.0:{PORT}")
        self.assertIn("IPV6_V6ONLY set", self.expect("in_use", f"[::]:{PORT}").evidence)

    def test_a_dual_wildcard_wants_the_ipv4_port(self):
        self.needs("nc")
        self.start("nc", "-4", "-l", "127.0.0.1", PORT)
        self.await_listener(PORT)
        answer = self.expect("in_use", f"[::]:{PORT}")
        self.assertEqual(answer.sure, "possible")
        self.assertIn("IPV6_V6ONLY", answer.fixes)
        sysctl("net/ipv6/bindv6only", 1)
        self.expect("none", f"[::]:{PORT}")

    def test_a_child_that_has_inherited_the_socket(self):
        server = self.python(f"import os; s = socket.socket(); s.bind(('127.0.0.1', {PORT})); s.listen()\n"
                             "if os.fork() == 0:\n    sys.stdin.read()")
        answer = self.expect("in_use", f"127.0.0.1:{PORT}")
        self.assertIn(f"kill {server.pid}", answer.fixes)
        self.assertIn("1 other process that has it open", answer.fixes)
        self.assertIn("and 1 more process has it open", answer.evidence)

    def test_the_process_that_a_container_is_made_for(self):
        server = self.start("unshare", "--pid", "--fork", "--mount-proc", PYTHON, "-c",
                            "import socket, sys; s = socket.socket(); "
                            f"s.bind(('127.0.0.1', {PORT})); s.listen(); print('ready', flush=True);"
                            f"import subprocess; sys.stdin.readline(); subprocess.run([{COMMAND!r}, 'why', '127.0.0.1:{PORT}'])")
        self.assertEqual(server.stdout.readline(), "ready\n")
        told, _ = server.communicate("go on\n", timeout=60)
        self.assertIn("(pid 1", told)
        self.assertIn("stop the container", told)
        self.assertNotIn("systemctl", told)

    def test_the_unit_of_a_process_that_may_not_be_seen(self):
        self.needs_users()
        member = self.python(LISTEN, prefix=self.member(self.group("system.slice/portico-test.service")))
        answer = self.expect("in_use", f"127.0.0.1:{PORT}", user=NOBODY)
        self.assertIn("(portico-test.service, by its control group)", answer.sentence)
        self.assertIn(f"(pid {member.pid}, portico-test.service)", self.expect("in_use", f"127.0.0.1:{PORT}").sentence)

    def test_the_unit_of_a_process(self):
        for path, unit, fix in (("system.slice/portico-test.service", "portico-test.service", "systemctl stop portico-test.service"),
                                ("system.slice/a\\x2db@c.service", "a\\x2db@c.service", "systemctl stop 'a\\x2db@c.service'"),
                                ("user.slice/user-0.slice/user@0.service/app.slice/own.service", "own.service",
                                 "systemctl --user stop own.service   (as user 0)"),
                                ("user.slice/user-0.slice/session-3.scope", "session-3.scope", "kill PID"),
                                ("system.slice", None, "kill PID")):
            group = self.group(path)
            server = self.python(LISTEN, prefix=self.member(group))
            answer = self.expect("in_use", f"127.0.0.1:{PORT}")
            self.assertIn(f"(pid {server.pid}{', ' + unit if unit else ''}) listens", answer.sentence)
            self.assertEqual(answer.fixes.replace(str(server.pid), "PID"), fix)
            self.end(server, group)

    def test_the_container_of_a_process(self):
        for path, container, fix in (
                (f"system.slice/docker-{ID}.scope", f"docker {ID[:12]}", f"docker stop {ID[:12]}"),
                (f"docker/{ID}", f"docker {ID[:12]}", f"docker stop {ID[:12]}"),
                (f"machine.slice/libpod-{ID}.scope/container", f"podman {ID[:12]}", f"podman stop {ID[:12]}"),
                (f"kubepods.slice/kubepods-pod7.slice/cri-containerd-{ID}.scope", f"containerd {ID[:12]}",
                 f"crictl stop {ID[:12]}"),
                ("lxc.payload.web/system.slice/nginx.service", "lxc web", "lxc-stop -n web")):
            inside = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--cgroup"]
            group = self.group(path)
            server = self.python(LISTEN, prefix=self.member(group, *inside))  # on the network of this host
            child = pathlib.Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().strip()
            answer = self.expect("in_use", f"127.0.0.1:{PORT}")
            self.assertIn(f"(pid {child}, {container}) listens", answer.sentence)
            self.assertEqual(answer.fixes, fix)
            self.end(server, group)
            server = self.python(LISTEN, prefix=self.member(group, *inside, "--net"))  # on its own
            answer = self.expect("other_namespace", f"127.0.0.1:{PORT}", "--connect")
            self.assertTrue(answer.sentence.endswith(f"in another network namespace, {container}"), answer)
            self.assertIn("container " + container, answer.evidence)
            self.expect("none", f"127.0.0.1:{PORT}", "--bind")
            self.end(server, group)

    def test_a_socket_of_the_kernel(self):
        made = subprocess.run(["ip", "link", "add", "vx", "type", "vxlan", "id", "7", "dstport", str(PORT), "dev", "lo"],
                              capture_output=True)
        if made.returncode != 0:
            self.skipTest("this kernel has no vxlan")
        ip("link set vx up")
        answer = self.expect("in_use", "-u", f"0.0.0.0:{PORT}")
        self.assertNotIn("sudo", answer.fixes)

    def test_freebind_needs_no_address_and_one_family_is_one(self):
        self.expect("address_not_here", f"192.0.2.7:{PORT}", "--bind")
        self.expect("none", f"192.0.2.7:{PORT}", "--bind", "--freebind")
        self.socket("0.0.0.0", PORT, listen=1)
        self.expect("in_use", f":{PORT}", "-4")
        self.assertEqual(self.why(f":{PORT}", "-6").all["excluded"][0]["why"].count("0.0.0.0"), 0)
        self.assertNotEqual(self.why(f":{PORT}", "-6").sure, "certain")

    def test_time_wait(self):
        server = self.socket(port=PORT, listen=4)
        client, accepted = self.connected(server)
        accepted.close()  # the server's side closes first, and keeps it
        self.assertEqual(client.recv(1), b"")
        client.close()
        server.close()
        answer = self.expect("time_wait", f"127.0.0.1:{PORT}")
        self.assertIn("1 connection in TIME-WAIT keeps", answer.sentence)
        self.assertRegex(answer.evidence, r"gone in [1-5]?\d\.\d s")
        with self.assertRaises(OSError):  # what it says is what the kernel does
            self.socket(port=PORT)

    def test_a_port_in_time_wait_is_shared_by_reuseport_of_both(self):
        for port, before in ((PORT, {}), (PORT + 1, {"SO_REUSEPORT": 1})):
            server = self.socket(port=port, listen=4, **before)
            client, accepted = self.connected(server)
            accepted.close()
            self.assertEqual(client.recv(1), b"")
            client.close()
            server.close()
        with self.assertRaises(OSError):
            self.socket(port=PORT, SO_REUSEPORT=1)
        for port in (PORT, PORT + 1):  # which of them it is cannot be seen
            answer = self.expect("time_wait", f"127.0.0.1:{port}", "--reuseport")
            self.assertEqual(answer.sure, "possible")
            self.assertIn("set SO_REUSEPORT, unless the one before had set it, too", answer.sentence)
        self.socket(port=PORT + 1, SO_REUSEPORT=1, listen=1)
        self.assertIn("time_wait", self.expect("none", f"127.0.0.1:{PORT + 1}", "--reuseport").excluded)
        self.socket(port=PORT + 1, SO_REUSEPORT=1)

    def test_time_wait_of_the_client_is_not_the_servers(self):
        server = self.socket(port=PORT, listen=4)
        client, accepted = self.connected(server)
        client.close()
        self.assertEqual(accepted.recv(1), b"")
        accepted.close()
        server.close()
        self.assertIn("time_wait", self.expect("none", f"127.0.0.1:{PORT}").excluded)
        self.socket(port=PORT)

    def test_what_a_dual_wildcard_left_keeps_the_next_one_out(self):
        server = self.socket("::", PORT, listen=4, v6only=0)
        client = self.held.enter_context(socket.create_connection(("127.0.0.1", PORT)))
        accepted = server.accept()[0]
        server.close()
        self.assertEqual(self.expect("connections_left", f"[::]:{PORT}").sure, "likely")
        accepted.close()
        self.assertEqual(client.recv(1), b"")
        client.close()
        answer = self.expect("time_wait", f"[::]:{PORT}")
        self.assertIn(f"keeps the IPv4 port of [::]:{PORT}", answer.sentence)
        self.assertIn("IPV6_V6ONLY", answer.fixes)
        with self.assertRaises(OSError):
            self.socket("::", PORT, v6only=0)
        self.expect("time_wait", f":{PORT}")  # whose IPv6 socket is no dual one
        sysctl("net/ipv6/bindv6only", 1)
        self.expect("none", f"[::]:{PORT}")
        self.socket("::", PORT, v6only=1)

    def test_bound_and_not_listening(self):
        holder = self.python(f"s = socket.socket(); s.bind(('127.0.0.1', {PORT}))")
        answer = self.why(f"127.0.0.1:{PORT}")
        if answer.cause == "none":
            self.skipTest("this kernel does not tell of bound sockets (6.8 does)")
        self.assertEqual(answer.cause, "bound_not_listening", answer)
        self.assertIn(f"(pid {holder.pid}", answer.sentence)
        self.expect("bound_not_listening", f"127.0.0.1:{PORT}", "--connect")

    def test_bound_and_listening_is_in_use(self):
        self.socket(port=PORT, listen=1)
        self.assertEqual(self.expect("in_use", f"127.0.0.1:{PORT}").causes, ["in_use"])

    def test_the_source_port_of_a_connection(self):
        server = self.socket(port=PORT, listen=4)
        client, _ = self.connected(server)
        port = client.getsockname()[1]
        answer = self.expect("ephemeral_source_port", f"0.0.0.0:{port}")
        self.assertIn(f"made to 127.0.0.1:{PORT}", answer.sentence)
        self.assertIn(f"(pid {os.getpid()}", answer.sentence)
        self.assertIn(f"ip_local_reserved_ports={port}", answer.fixes)
        self.expect("none", f"127.0.0.2:{port}")

    def test_ports_that_are_reserved_stay_so(self):
        sysctl("net/ipv4/ip_local_reserved_ports", "9000-9010,50000")
        client, _ = self.connected(self.socket(port=PORT, listen=4))
        port = client.getsockname()[1]
        answer = self.expect("ephemeral_source_port", f"127.0.0.1:{port}")
        run(*answer.fixes.splitlines()[0].split("   ")[0].split())
        now = pathlib.Path("/proc/sys/net/ipv4/ip_local_reserved_ports").read_text().split()[0]
        self.assertEqual(set(now.split(",")), {"9000-9010", "50000", str(port)})
        self.assertNotIn("sysctl", self.expect("ephemeral_source_port", f"127.0.0.1:{port}").fixes)

    def test_a_server_that_is_gone_may_have_had_a_port_of_clients(self):
        server = self.socket(port=40000, listen=4)
        client = self.socket(port=62000)  # which is none
        client.connect(("127.0.0.1", 40000))
        self.held.enter_context(server.accept()[0])
        server.close()
        answer = self.expect("ephemeral_source_port", "127.0.0.1:40000")
        self.assertEqual(answer.sure, "likely", answer)
        self.assertIn("unless a server at port 40000", answer.evidence)

    def test_connections_of_a_server_that_is_gone(self):
        server = self.socket(port=PORT, listen=4)
        self.connected(server)
        server.close()
        answer = self.expect("connections_left", f"127.0.0.1:{PORT}")
        self.assertIn("1 connection of a server", answer.sentence)
        self.assertNotIn("ephemeral_source_port", answer.causes)

    def test_reuseport_of_another_user(self):
        self.needs_users()
        self.python("s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1);"
                    f"s.bind(('127.0.0.1', {PORT})); s.listen()", user=NOBODY)
        answer = self.expect("reuse_port_other_user", f"127.0.0.1:{PORT}", "--reuseport")
        self.assertEqual(answer.sure, "certain")
        self.assertIn(f"user {NOBODY}", answer.sentence)
        self.expect("none", f"127.0.0.1:{PORT}", "--reuseport", "--user", NOBODY)
        self.expect("in_use", f"127.0.0.1:{PORT}")

    def test_reuseport_of_one_user_is_shared(self):
        self.socket(port=PORT, listen=1, SO_REUSEPORT=1)
        answer = self.expect("none", f"127.0.0.1:{PORT}", "--reuseport")
        self.assertIn("shares", answer.excluded["in_use"])
        self.expect("in_use", f"127.0.0.1:{PORT}")

    def test_connections_that_are_left_are_shared_by_reuseport(self):
        for port, before in ((PORT, {}), (PORT + 1, {"SO_REUSEPORT": 1})):
            server = self.socket(port=port, listen=4, **before)
            self.connected(server)
            server.close()
        self.expect("connections_left", f"127.0.0.1:{PORT}", "--reuseport")
        with self.assertRaises(OSError):
            self.socket(port=PORT, SO_REUSEPORT=1)
        self.expect("none", f"127.0.0.1:{PORT + 1}", "--reuseport")
        self.socket(port=PORT + 1, SO_REUSEPORT=1)

    def test_bound_sockets_are_shared_by_reuseport(self):
        self.socket(port=PORT)
        if self.why(f"127.0.0.1:{PORT}").cause == "none":
            self.skipTest("this kernel does not tell of bound sockets (6.8 does)")
        self.expect("reuse_port_missing", f"127.0.0.1:{PORT}", "--reuseport")
        self.socket(port=PORT + 1, SO_REUSEPORT=1)
        self.expect("none", f"127.0.0.1:{PORT + 1}", "--reuseport")
        self.socket("0.0.0.0", PORT + 2, listen=1, SO_REUSEPORT=1)
        self.expect("none", f"[::]:{PORT + 2}", "--reuseport")  # a dual wildcard
        self.socket("::", PORT + 2, v6only=0, SO_REUSEPORT=1)

    def test_reuseport_that_one_socket_lacks(self):
        self.socket(port=PORT, listen=1)
        answer = self.expect("reuse_port_missing", f"127.0.0.1:{PORT}", "--reuseport")
        self.assertEqual(answer.sure, "certain")

    def test_a_privileged_port(self):
        self.needs_users()
        answer = self.expect("privileged_port", "127.0.0.1:80", user=NOBODY)
        self.assertIn("below 1024", answer.sentence)
        self.expect("none", "127.0.0.1:80")

    def test_a_port_that_is_not_privileged(self):
        self.needs_users()
        self.expect("none", "127.0.0.1:1024", user=NOBODY)
        sysctl("net/ipv4/ip_unprivileged_port_start", 80)
        self.expect("none", "127.0.0.1:80", user=NOBODY)
        self.expect("privileged_port", "127.0.0.1:79", user=NOBODY)

    def test_root_of_a_user_namespace_may_not_bind_for_the_network_of_another(self):
        inside = ["unshare", "--user", "--map-root-user"]
        if subprocess.run([*inside, "true"], capture_output=True).returncode != 0:
            self.skipTest("no user namespace can be made here")
        for own, cause in (([], "privileged_port"), (["--net"], "none")):
            done = subprocess.run([*inside, *own, COMMAND, "why", "--json", "0.0.0.0:81"], capture_output=True, text=True)
            self.assertEqual(why_situations.Answer(done).cause, cause, done)
            real = "import socket; socket.socket().bind(('0.0.0.0', 81))"
            bound = subprocess.run([*inside, *own, why_situations.PYTHON, "-c", real], capture_output=True)
            self.assertEqual(bound.returncode == 0, cause == "none", bound)

    def test_an_address_of_no_interface(self):
        answer = self.expect("address_not_here", f"192.0.2.7:{PORT}", "--bind")
        self.assertIn("127.0.0.1 on lo", answer.evidence)
        self.expect("address_not_here", f"[2001:db8::7]:{PORT}", "--bind")

    def test_an_address_that_is_there(self):
        ip("addr add 192.0.2.7/24 dev lo")
        self.expect("none", f"192.0.2.7:{PORT}", "--bind")
        self.expect("none", f"127.3.2.1:{PORT}", "--bind")  # all of 127.0.0.0/8 is
        sysctl("net/ipv4/ip_nonlocal_bind", 1)
        self.expect("none", f"192.0.2.8:{PORT}", "--bind")

    def test_an_address_in_duplicate_detection(self):
        ip("link add va type veth peer name vb")
        for name in ("va", "vb"):
            sysctl(f"net/ipv6/conf/{name}/accept_dad", 1)
            sysctl(f"net/ipv6/conf/{name}/dad_transmits", 60)
            ip(f"link set {name} up")
        ip("addr add 2001:db8::7/64 dev va")
        self.expect("address_tentative", f"[2001:db8::7]:{PORT}", "--bind")
        with self.assertRaises(OSError):
            self.socket("2001:db8::7")
        ip("addr add 2001:db8::8/64 dev va nodad")
        self.expect("none", f"[2001:db8::8]:{PORT}", "--bind")

    def test_an_address_that_another_host_has(self):
        ip("link add va type veth peer name vb")
        for name in ("va", "vb"):
            sysctl(f"net/ipv6/conf/{name}/accept_dad", 1)
            sysctl(f"net/ipv6/conf/{name}/addr_gen_mode", 1)
            ip(f"link set {name} up")
        ip("addr add 2001:db8::7/48 dev va nodad")
        ip("addr add 2001:db8::7/48 dev vb")
        wait_until(lambda: "dadfailed" in subprocess.run(["ip", "-6", "addr"], capture_output=True, text=True).stdout,
                   "a failed detection")
        ip("addr del 2001:db8::7/48 dev va")
        answer = self.expect("address_duplicate", f"[2001:db8::7]:{PORT}", "--bind")
        self.assertIn("ip addr del 2001:db8::7/48 dev vb", answer.fixes)

    def test_link_local_without_a_zone(self):
        ip("link add va type veth peer name vb")
        sysctl("net/ipv6/conf/va/addr_gen_mode", 1)
        ip("addr add fe80::7/64 dev va nodad")
        ip("link set va up")
        ip("link set vb up")
        answer = self.expect("zone_missing", f"[fe80::7]:{PORT}")
        self.assertIn(f"[fe80::7%va]:{PORT}", answer.fixes)
        self.expect("zone_missing", f"[fe80::7]:{PORT}", "--connect")
        self.expect("none", f"[fe80::7%va]:{PORT}")
        self.expect("address_not_here", f"[fe80::8%va]:{PORT}", "--bind")

    def test_a_host_without_ipv6(self):
        sysctl("net/ipv6/conf/all/disable_ipv6", 1)
        answer = self.expect("family_missing", f"[::1]:{PORT}")
        self.assertIn("disable_ipv6=0", answer.fixes)
        self.assertEqual(answer.causes, ["family_missing"])
        with self.assertRaises(OSError):
            self.socket("::1", PORT)
        self.expect("none", f"0.0.0.0:{PORT}")
        self.expect("none", f"[::]:{PORT}")
        self.socket("::", PORT, listen=1)
        sysctl("net/ipv6/conf/lo/disable_ipv6", 0)
        self.expect("none", f"[::1]:{PORT + 1}")
        self.socket("::1", PORT + 1, listen=1)

    def test_an_interface_without_ipv6(self):
        sysctl("net/ipv6/conf/lo/disable_ipv6", 1)
        answer = self.expect("address_not_here", f"[::1]:{PORT}", "--bind")
        self.assertIn("IPv6 is disabled on lo", answer.sentence)
        self.assertIn("IPv6 is disabled on lo", self.expect("no_route", f"[::1]:{PORT}", "--connect").sentence)
        run(*answer.fixes.splitlines()[0].split())
        self.expect("none", f"[::1]:{PORT}", "--bind")
        self.socket("::1", PORT)
        self.peer()
        sysctl("net/ipv6/conf/va/disable_ipv6", 1)
        answer = self.expect("address_not_here", f"[fe80::7%va]:{PORT}", "--bind")
        self.assertIn("IPv6 is disabled on va", answer.sentence)
        for fix in answer.fixes.splitlines()[:2]:
            run(*fix.removeprefix("and then: ").split())
        self.assertNotIn("address_not_here", self.why(f"[fe80::7%va]:{PORT}", "--bind").causes)

    def test_an_interface_that_is_not_there(self):
        answer = self.expect("address_not_here", f"[fe80::1%nope]:{PORT}", "--bind")
        self.assertIn("there is no interface nope", answer.sentence)
        self.assertIn("the interfaces are lo", answer.evidence)
        self.assertNotIn("addr add", answer.fixes)

    def test_addresses_that_no_interface_has_and_the_kernel_takes(self):
        ip("link add va type veth peer name vb")
        for name in ("va", "vb"):
            ip(f"link set {name} up")
        ip("addr add 192.0.2.1/24 brd 192.0.2.255 dev va")
        ip("route add local 198.51.100.0/24 dev lo")
        ip("-6 route add local 2001:db8::/64 dev lo")
        for address in ("192.0.2.255", "255.255.255.255", "198.51.100.7"):
            self.expect("none", f"{address}:{PORT}", "--bind", "--udp")
            self.socket(address, PORT, socket.SOCK_DGRAM)
        self.expect("in_use", f"198.51.100.7:{PORT}", "--udp")  # it is of this host
        self.expect("none", f"198.51.100.7:{PORT}", "--bind")
        self.socket("198.51.100.7", PORT, listen=1)
        self.expect("none", f"198.51.100.7:{PORT}", "--connect")
        self.expect("address_not_here", f"192.0.2.0:{PORT}", "--bind")
        self.expect("address_not_here", f"[2001:db8::7]:{PORT}", "--bind")  # such a route does not help IPv6
        with self.assertRaises(OSError):
            self.socket("2001:db8::7")
        self.socket("::", PORT + 1, listen=1)
        self.expect("none", f"[2001:db8::7]:{PORT + 1}", "--accept")

    def test_the_loopback_interface_is_down(self):
        ip("link set lo down")
        answer = self.expect("address_not_here", f"[::1]:{PORT}")
        self.assertIn("ip link set lo up", answer.fixes)
        with self.assertRaises(OSError):
            self.socket("::1")
        self.expect("none", f"127.0.0.1:{PORT}")
        self.socket("127.0.0.1")
        for address in ("[::1]", "127.0.0.1"):
            answer = self.expect("no_route", f"{address}:{PORT}", "--connect")
            self.assertEqual(answer.fixes, "ip link set lo up")

    def test_an_address_of_an_interface_that_is_down(self):
        ip("link add va type veth peer name vb")
        sysctl("net/ipv6/conf/va/accept_dad", 1)
        ip("addr add 2001:db8::7/64 dev va")
        ip("addr add 192.0.2.1/24 dev va")
        answer = self.expect("address_tentative", f"[2001:db8::7]:{PORT}", "--bind")
        self.assertIn("ip link set va up", answer.fixes)
        self.assertNotIn("second", answer.fixes)
        with self.assertRaises(OSError):
            self.socket("2001:db8::7")
        self.expect("none", f"192.0.2.1:{PORT}", "--bind")
        self.socket("192.0.2.1")

    def test_an_optimistic_address(self):
        ip("link add va type veth peer name vb")
        for name in ("va", "vb"):
            sysctl(f"net/ipv6/conf/{name}/accept_dad", 1)
            sysctl(f"net/ipv6/conf/{name}/dad_transmits", 60)
            ip(f"link set {name} up")
        if not pathlib.Path("/proc/sys/net/ipv6/conf/va/optimistic_dad").exists():
            self.skipTest("this kernel has no optimistic addresses")
        sysctl("net/ipv6/conf/va/optimistic_dad", 1)
        ip("addr add 2001:db8::7/64 dev va optimistic")
        self.assertIn("optimistic", subprocess.run(["ip", "-6", "addr"], capture_output=True, text=True).stdout)
        self.expect("none", f"[2001:db8::7]:{PORT}", "--bind")
        self.socket("2001:db8::7")

    def test_a_command_that_adds_an_address_works(self):
        ip("link add aa type veth peer name ab")
        for name in ("aa", "ab"):  # which are down: an IPv6 address of theirs cannot be bound
            sysctl(f"net/ipv6/conf/{name}/accept_dad", 1)
        self.peer()
        self.peer("198.51.100.1/24", "198.51.100.2/24", "vc")
        for address, interface in (("198.51.100.9", "vc"), ("192.0.2.9", "va"), ("203.0.113.1", "v"), ("2001:db8::1", "v")):
            place = f"[{address}]:{PORT}" if ":" in address else f"{address}:{PORT}"
            answer = self.expect("address_not_here", place, "--bind")
            command = answer.fixes.splitlines()[0]
            self.assertRegex(command, f"^ip addr add {address}/(32|128) dev {interface}")
            run(*command.split(), *(["nodad"] if ":" in address else []))
            self.expect("none", place, "--bind")


class UnixSockets(Situation):
    def path(self):
        return f"{self.directory}/s"

    def listener(self, backlog=4):
        made = self.held.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        made.bind(self.path())
        made.listen(backlog)
        return made

    def test_somebody_listens(self):
        self.needs("socat")
        server = self.start("socat", f"UNIX-LISTEN:{self.path()},fork", "PIPE")
        wait_until(lambda: self.path() in subprocess.run(["ss", "-Hlx"], capture_output=True, text=True).stdout, "socat")
        answer = self.expect("in_use", self.path())
        self.assertIn(f"socat (pid {server.pid}", answer.sentence)
        self.expect("none", self.path(), "--connect")

    def test_a_file_that_was_left(self):
        self.listener().close()
        self.assertIn("rm " + self.path(), self.expect("stale_socket_file", self.path()).fixes)
        self.expect("stale_socket_file", self.path(), "--connect")

    def test_a_socket_under_another_name(self):
        self.listener()
        link = self.directory / "link"
        link.symlink_to(self.directory)
        for name in (f"{link}/s", f"{self.directory}/../{self.directory.name}/s", os.path.relpath(self.path())):
            answer = self.expect("in_use", f"unix:{name}", "--bind")
            self.assertIn(f"(pid {os.getpid()}", answer.sentence)
            self.assertNotIn("rm ", answer.fixes)
            self.expect("none", f"unix:{name}", "--connect")
        done = subprocess.run([COMMAND, "listen", f"unix:{link}/s", "--echo"], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 111, done)
        self.assertNotIn("was left by", done.stderr)

    def test_a_link_to_a_socket_can_be_connected_to(self):
        self.listener()
        link = self.directory / "link"
        link.symlink_to(self.path())
        for what in ("--connect", "--accept"):
            self.expect("none", f"unix:{link}", what)
        self.expect("not_a_socket", f"unix:{link}", "--bind")  # bind(2) does not follow it
        link.unlink()
        link.symlink_to(self.directory / "nothing")
        self.expect("nobody_listens", f"unix:{link}", "--connect")

    def test_a_socket_of_another_network_namespace(self):
        server = self.python(f"s = socket.socket(socket.AF_UNIX); s.bind({self.path()!r}); s.listen()",
                             prefix=["unshare", "--net"])
        self.assertIn(f"(pid {server.pid}", self.expect("in_use", self.path()).sentence)
        self.expect("none", self.path(), "--connect")
        self.needs_users()  # another one may not look there, and says no more than it knows
        self.directory.chmod(0o777)
        pathlib.Path(self.path()).chmod(0o777)
        answer = self.expect("in_use", self.path(), user=NOBODY)
        self.assertIn("a program that cannot be seen from here", answer.sentence)
        self.expect("none", self.path(), "--connect", user=NOBODY)
        pathlib.Path(self.path()).chmod(0o700)
        answer = self.expect("stale_socket_file", self.path(), user=NOBODY)
        self.assertEqual(answer.sure, "possible")
        self.assertNotIn("rm ", answer.fixes)
        self.expect("no_permission", self.path(), "--connect", user=NOBODY)

    def test_what_another_user_may_do_with_it(self):
        self.needs_users()
        self.expect("no_permission", self.path(), "--user", NOBODY)
        self.listener()
        pathlib.Path(self.path()).chmod(0o755)
        self.expect("no_permission", self.path(), "--connect", "--user", NOBODY)
        pathlib.Path(self.path()).chmod(0o777)
        self.expect("none", self.path(), "--connect", "--user", NOBODY)
        self.directory.chmod(0o700)
        self.assertIn("may not look at", self.expect("no_permission", self.path(), "--connect", "--user", NOBODY).sentence)
        self.expect("none", self.path(), "--connect")

    def test_no_file(self):
        self.expect("none", self.path())
        self.expect("nobody_listens", self.path(), "--connect")

    def test_another_file(self):
        pathlib.Path(self.path()).write_text("bytes")
        self.expect("not_a_socket", self.path())

    def test_no_directory(self):
        path = f"{self.directory}/a b/c/s"
        fixes = self.expect("no_directory", path).fixes
        self.assertEqual(fixes, f"make it: mkdir -p '{self.directory}/a b/c'")
        self.assertNotIn("mkdir", self.expect("no_directory", path, "--connect").fixes)
        subprocess.run(["sh", "-c", fixes.removeprefix("make it: ")], check=True)
        self.expect("none", path)

    def test_a_file_in_the_place_of_the_directory(self):
        pathlib.Path(self.path()).write_text("bytes")
        for path in (self.path() + "/x", self.path() + "/x/y"):
            answer = self.expect("no_directory", path)
            self.assertIn("a file is in its place", answer.sentence)
            self.assertNotIn("mkdir", answer.fixes)

    def test_a_directory_that_may_not_be_written(self):
        self.needs_users()
        self.expect("no_permission", self.path(), user=NOBODY)
        self.directory.chmod(0o777)
        self.expect("none", self.path(), user=NOBODY)

    def test_an_abstract_name(self):
        made = self.held.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        made.bind("\0portico-why")
        made.listen()
        self.assertIn(f"(pid {os.getpid()}", self.expect("in_use", "unix:@portico-why").sentence)
        self.expect("none", "unix:@portico-why-not")

    def test_a_full_queue(self):
        self.listener(0)
        clients = [self.held.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(2)]
        for each in clients:
            each.setblocking(False)
        clients[0].connect(self.path())
        self.expect("accept_queue_full", self.path(), "--accept")
        with self.assertRaises(BlockingIOError):
            clients[1].connect(self.path())

    def test_a_queue_with_room(self):
        self.listener(1)
        client = self.held.enter_context(socket.socket(socket.AF_UNIX))
        client.connect(self.path())
        self.expect("none", self.path(), "--accept")


class Accept(Situation):
    def test_nobody_listens(self):
        for what in ("--accept", "--connect"):
            self.expect("nobody_listens", f"127.0.0.1:{PORT}", what)

    def test_somebody_listens(self):
        self.needs("nc")
        self.start("nc", "-l", "-k", "127.0.0.1", PORT)
        self.await_listener(PORT)
        for what in ("--accept", "--connect"):
            self.assertIn("nc (pid", self.expect("none", f"127.0.0.1:{PORT}", what).excluded["nobody_listens"])

    def test_nobody_on_that_family(self):
        self.needs("socat")
        self.start("socat", f"TCP6-LISTEN:{PORT},bind=[::1],ipv6only=1,fork", "PIPE")
        self.await_listener(PORT)
        answer = self.expect("other_family", f"127.0.0.1:{PORT}", "--connect")
        self.assertIn("not on IPv4", answer.sentence)
        self.expect("none", f"[::1]:{PORT}", "--connect")

    def test_one_family_of_a_wildcard(self):
        self.nginx(f"0.0.0.0:{PORT}")
        answer = self.expect("other_family", f":{PORT}", "--accept")
        self.assertIn("not on IPv6", answer.sentence)
        self.expect("none", f":{PORT}", "--accept", "-4")

    def test_localhost_on_the_other_family(self):
        self.name("127.0.0.1 localhost\n::1 localhost\n")
        server = self.start(why_situations.PYTHON, "-m", "http.server", "--bind", "127.0.0.1", PORT)
        self.await_listener(PORT)
        answer = self.expect("localhost_other_family", f"localhost:{PORT}", "--connect")
        self.assertIn("localhost is ::1 first", answer.sentence)
        self.assertIn(f"(pid {server.pid}", answer.sentence)
        self.expect("none", f"127.0.0.1:{PORT}", "--connect")

    def test_localhost_is_what_the_host_says(self):
        self.socket(port=PORT, listen=4)
        self.name("127.0.0.1 localhost\n::1 ip6-localhost\n")
        self.expect("none", f"localhost:{PORT}", "--connect")
        self.name("::1 localhost\n127.0.0.1 localhost\n")
        self.expect("localhost_other_family", f"localhost:{PORT}", "--connect")
        sysctl("net/ipv6/conf/all/disable_ipv6", 1)
        self.expect("none", f"localhost:{PORT}", "--connect")
        self.expect("none", f":{PORT}", "--connect")

    def test_to_connect_to_an_unspecified_address_is_to_connect_to_the_loopback_one(self):
        self.socket(port=PORT, listen=4)
        self.socket("::1", PORT + 1, listen=4)
        self.expect("none", f"0.0.0.0:{PORT}", "--connect")
        self.expect("none", f"[::]:{PORT + 1}", "--connect")
        self.expect("other_family", f"[::]:{PORT}", "--connect")

    def test_somebody_listens_on_another_interface(self):
        self.peer()
        server = self.socket("0.0.0.0")
        server.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"va\0")
        server.listen()
        port = server.getsockname()[1]
        for what in ("--connect", "--accept"):
            answer = self.expect("listens_elsewhere", f"127.0.0.1:{port}", what)
            self.assertIn("on the interface va only", answer.sentence)
            self.expect("none", f"192.0.2.1:{port}", what)
        with self.assertRaises(OSError):
            socket.create_connection(("127.0.0.1", port))
        self.held.enter_context(socket.create_connection(("192.0.2.1", port)))
        answer = self.expect("in_use", f"0.0.0.0:{port}")
        self.assertIn("bound to the interface va", answer.evidence)

    def test_localhost_on_both_families(self):
        self.nginx(f"127.0.0.1:{PORT}", f"[::1]:{PORT}")
        self.expect("none", f"localhost:{PORT}", "--connect")

    def test_node_listens_on_both_by_one_socket(self):
        self.needs("node")
        self.start("node", "-e", f"require('net').createServer().listen({PORT})")
        self.await_listener(PORT)
        self.expect("none", f"localhost:{PORT}", "--connect")
        self.expect("v6_wildcard_takes_v4", f"127.0.0.1:{PORT}")

    def test_somebody_listens_at_another_address(self):
        ip("addr add 192.0.2.1/24 dev lo")
        self.nginx(f"127.0.0.1:{PORT}")
        answer = self.expect("listens_elsewhere", f"192.0.2.1:{PORT}", "--connect")
        self.assertIn(f"127.0.0.1:{PORT} only", answer.sentence)
        self.expect("none", f"127.0.0.1:{PORT}", "--connect")

    def test_somebody_listens_in_another_namespace(self):
        there = self.peer()
        server = self.python(f"s = socket.socket(); s.bind(('0.0.0.0', {PORT})); s.listen()", prefix=there)
        answer = self.expect("other_namespace", f"127.0.0.1:{PORT}", "--connect")
        self.assertIn(f"0.0.0.0:{PORT} in another network namespace", answer.sentence)
        self.assertIn("nsenter", answer.fixes)
        self.assertIsNone(server.poll())
        self.expect("nobody_listens", f"127.0.0.1:{PORT + 1}", "--connect")

    def test_a_nat_rule_takes_the_packets_away(self):
        self.needs("nft")
        self.nginx(f"0.0.0.0:{PORT}")
        run("nft", "add table ip t; add chain ip t pre { type nat hook prerouting priority -100; };"
                   f"add rule ip t pre tcp dport {PORT} counter redirect to :9090")
        answer = self.expect("nat_rule", f"0.0.0.0:{PORT}", "--accept")
        self.assertEqual(answer.sure, "certain")
        self.assertIn("this host, port 9090", answer.sentence)
        self.assertIn("nft delete rule ip t pre handle", answer.fixes)
        self.expect("none", f"127.0.0.1:{PORT}", "--connect")  # packets of this host do not meet it

    def test_a_nat_rule_for_packets_of_this_host(self):
        self.needs("nft")
        self.nginx(f"0.0.0.0:{PORT}")
        run("nft", "add table ip t; add chain ip t out { type nat hook output priority -100; };"
                   "add chain ip t jumped; add rule ip t out jump jumped;"
                   f"add rule ip t jumped ip daddr 127.0.0.0/8 tcp dport {PORT}-{PORT + 1} dnat to 192.0.2.9:99")
        answer = self.expect("nat_rule", f"127.0.0.1:{PORT}", "--connect")
        self.assertIn("192.0.2.9:99", answer.sentence)
        self.expect("none", f"0.0.0.0:{PORT}", "--accept", "-4")

    def test_a_nat_rule_with_sets_of_ports(self):
        self.needs("nft")
        self.nginx(f"0.0.0.0:{PORT}")
        run("nft", "add table inet t; add chain inet t pre { type nat hook prerouting priority -100; };"
                   "add set inet t named { type inet_service; flags interval; elements = { 100-200, 9000-9010 }; };"
                   f"add rule inet t pre tcp dport {{ 80, {PORT} }} redirect to :9090;"
                   "add rule inet t pre tcp dport @named redirect to :9090")
        for port, cause in ((PORT, "nat_rule"), (9010, "nat_rule"), (9011, "nobody_listens"), (81, "nobody_listens")):
            answer = self.expect(cause, f"0.0.0.0:{port}", "--accept", "-4")
            self.assertEqual(answer.sure, "certain", answer)

    def test_a_rule_of_iptables(self):
        self.needs("iptables-nft")
        ip("addr add 192.0.2.1/24 dev lo")
        nat = ["iptables-nft", "-t", "nat"]
        run(*nat, "-A", "PREROUTING", "-p", "tcp", "--dport", str(PORT), "-j", "DNAT", "--to-destination", "198.51.100.2:80")
        run(*nat, "-N", "DOCKER")  # as Docker publishes a port
        run(*nat, "-A", "OUTPUT", "!", "-d", "127.0.0.0/8", "-m", "addrtype", "--dst-type", "LOCAL", "-j", "DOCKER")
        run(*nat, "-A", "DOCKER", "!", "-i", "docker0", "-p", "tcp", "--dport", str(PORT + 1), "-j", "DNAT",
            "--to-destination", "198.51.100.2:81")
        self.assertIn("198.51.100.2:80", self.expect("nat_rule", f"192.0.2.1:{PORT}", "--accept").sentence)
        answer = self.expect("nat_rule", f"192.0.2.1:{PORT + 1}", "--connect")
        self.assertIn("198.51.100.2:81", answer.sentence)
        self.assertEqual(answer.sure, "likely")
        self.expect("nobody_listens", f"192.0.2.1:{PORT}", "--connect")

    def test_a_nat_rule_for_something_else(self):
        self.needs("nft")
        self.nginx(f"0.0.0.0:{PORT}")
        run("nft", "add table ip t; add chain ip t pre { type nat hook prerouting priority -100; };"
                   f"add rule ip t pre tcp dport {PORT + 1} redirect to :9090;"
                   f"add rule ip t pre udp dport {PORT} redirect to :9090;"
                   f"add rule ip t pre ip daddr 198.51.100.0/24 tcp dport {PORT} redirect to :9090")
        ip("addr add 192.0.2.1/24 dev lo")
        self.expect("none", f"192.0.2.1:{PORT}", "--accept")

    def nat(self, rules, hook="prerouting"):
        """These rules in a chain of this hook, and others without one as they need them."""
        subprocess.run(["nft", "delete", "table", "ip", "t"], capture_output=True)
        run("nft", f"add table ip t; add chain ip t sub; add chain ip t base {{ type nat hook {hook} priority -100; }};"
                   + rules.replace("BASE", "add rule ip t base").replace("SUB", "add rule ip t sub"))

    def test_what_comes_before_a_nat_rule_is_heeded(self):
        self.needs("nft")
        ip("addr add 192.0.2.1/24 dev lo")
        self.nginx(f"0.0.0.0:{PORT}")
        for rules, sure in (
                (f"BASE tcp dport {PORT} accept; BASE tcp dport {PORT} redirect to :9090", None),
                (f"BASE tcp dport {PORT + 1} accept; BASE tcp dport {PORT} redirect to :9090", "certain"),
                (f"BASE ip saddr 198.51.100.1 accept; BASE tcp dport {PORT} redirect to :9090", "likely"),
                (f"BASE jump sub; SUB tcp dport {PORT} return; SUB tcp dport {PORT} redirect to :9090", None),
                (f"BASE jump sub; BASE tcp dport {PORT} redirect to :9090; SUB tcp dport {PORT} return", "certain"),
                (f"BASE goto sub; BASE tcp dport {PORT} redirect to :9090; SUB counter", None),
                (f"BASE tcp dport {PORT + 1} jump sub; SUB meta l4proto tcp redirect to :9090", None),
                (f"BASE tcp dport {PORT} jump sub; SUB meta l4proto tcp redirect to :9090", "certain")):
            self.nat(rules)
            answer = self.expect("nat_rule" if sure else "none", f"192.0.2.1:{PORT}", "--accept")
            self.assertEqual(answer.sure, sure, rules)

    def test_nat_rules_with_maps(self):
        self.needs("nft")
        ip("addr add 192.0.2.1/24 dev lo")
        self.nginx(f"0.0.0.0:{PORT}")
        for rules, sure in (
                (f"BASE meta l4proto tcp redirect to :tcp dport map {{ {PORT} : 9090 }}", "likely"),
                (f"BASE dnat to tcp dport map {{ {PORT} : 198.51.100.7 }}", "likely"),
                (f"BASE dnat to tcp dport map {{ {PORT + 1} : 198.51.100.7 }}", None),
                (f"BASE tcp dport vmap {{ {PORT} : jump sub }}; SUB dnat to 198.51.100.7", "certain"),
                (f"BASE tcp dport vmap {{ {PORT + 1} : jump sub }}; SUB dnat to 198.51.100.7", None),
                (f"BASE tcp dport vmap {{ {PORT} : accept }}; BASE dnat to 198.51.100.7", None)):
            self.nat(rules, hook="output")
            answer = self.expect("nat_rule" if sure else "none", f"192.0.2.1:{PORT}", "--connect")
            self.assertEqual(answer.sure, sure, rules)

    def test_a_nat_rule_for_packets_that_come_in_is_none_for_the_loopback(self):
        self.needs("nft")
        self.nginx(f"0.0.0.0:{PORT}")
        self.nat(f"BASE tcp dport {PORT} redirect to :9090")
        self.expect("none", f"127.0.0.1:{PORT}", "--accept")
        with socket.create_connection(("127.0.0.1", PORT)):  # it is really let in
            pass
        self.expect("nat_rule", f"0.0.0.0:{PORT}", "--accept")

    def test_a_nat_rule_for_one_address_is_not_for_all(self):
        self.needs("nft")
        ip("addr add 192.0.2.1/24 dev lo")
        server = self.socket("0.0.0.0", PORT, listen=1)
        self.nat(f"BASE ip daddr 198.51.100.1 tcp dport {PORT} dnat to 198.51.100.7")
        self.expect("none", f"0.0.0.0:{PORT}", "--accept")
        self.nat(f"BASE ip daddr 192.0.2.1 tcp dport {PORT} dnat to 198.51.100.7")
        answer = self.expect("nat_rule", f"0.0.0.0:{PORT}", "--accept")
        self.assertEqual(answer.sure, "likely")
        self.assertIn(f"192.0.2.1:{PORT}", answer.sentence)
        for _ in range(4):  # what is wrong with the listener itself is told all the same
            self.client(server)
        self.expect("accept_queue_full", f"0.0.0.0:{PORT}", "--accept")

    def test_a_transparent_proxy_takes_the_packets(self):
        self.needs("nft")
        ip("addr add 192.0.2.1/24 dev lo")
        self.nginx(f"0.0.0.0:{PORT}")
        rules = ("add table ip t; add chain ip t pre { type filter hook prerouting priority -150; };"
                 f"add rule ip t pre tcp dport {PORT} tproxy to 127.0.0.1:9090")
        if subprocess.run(["nft", rules], capture_output=True).returncode != 0:
            self.skipTest("this kernel has no tproxy")
        answer = self.expect("nat_rule", f"192.0.2.1:{PORT}", "--accept")
        self.assertIn("127.0.0.1:9090", answer.sentence)

    def test_a_stopped_program_does_not_accept(self):
        server = self.python(f"s = socket.socket(); s.bind(('127.0.0.1', {PORT})); s.listen(100)")
        os.kill(server.pid, signal.SIGSTOP)
        while "\nState:\tT" not in pathlib.Path(f"/proc/{server.pid}/status").read_text():
            pass
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            clients = [self.held.enter_context(socket.socket()) for _ in range(120)]
        for each in clients:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", PORT))
        answer = self.expect("accept_queue_full", f"127.0.0.1:{PORT}", "--accept")
        self.assertIn("is stopped", answer.sentence)
        self.assertRegex(answer.sentence, r"oldest connection waits \d+(\.\d)? m?s")
        self.assertIn(f"kill -CONT {server.pid}", answer.fixes)
        self.assertIn("queue 101 of 100", answer.evidence)
        self.assertRegex(answer.evidence, r"ListenOverflows [1-9]")

    def test_any_process_of_a_full_queue_may_be_the_one_that_is_stopped(self):
        server = self.python("import os, signal\n"
                             f"s = socket.socket(); s.bind(('127.0.0.1', {PORT})); s.listen(3)\n"
                             "child = os.fork()\n"
                             "if child == 0:\n    signal.pause()\n"
                             "os.kill(child, signal.SIGSTOP); os.waitpid(child, os.WUNTRACED)")
        child = pathlib.Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()[0]
        for _ in range(6):
            made = self.held.enter_context(socket.socket())
            made.setblocking(False)
            made.connect_ex(("127.0.0.1", PORT))
        answer = self.expect("accept_queue_full", f"127.0.0.1:{PORT}", "--accept")
        self.assertIn(f"of pid {child})", answer.sentence)
        self.assertIn(f"kill -CONT {child}", answer.fixes)
        # Of all addresses it is the answer as well: nobody on the other family is the lesser evil.
        answer = self.expect("accept_queue_full", f":{PORT}", "--accept")
        self.assertIn("other_family", answer.causes)

    def test_a_short_queue(self):
        server = self.socket(port=PORT, listen=1)
        for _ in range(4):
            self.client(server)
        answer = self.expect("accept_queue_full", f"127.0.0.1:{PORT}", "--connect")
        self.assertIn("its queue is short", answer.sentence)

    def test_a_program_without_descriptors(self):
        program = self.python(
            "import resource; s = socket.socket();"
            f"s.bind(('127.0.0.1', {PORT})); s.listen(20)\n"
            "resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40)); kept = []\n"
            "try:\n    while True: kept.append(open('/dev/null'))\nexcept OSError: pass")
        clients = [self.held.enter_context(socket.socket()) for _ in range(30)]
        for each in clients:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", PORT))
        self.assertIsNone(program.poll())
        self.assertIn("no descriptor left: 40 of 40",
                      self.expect("accept_queue_full", f"127.0.0.1:{PORT}", "--accept").sentence)

    def test_a_queue_that_is_nearly_full(self):
        server = self.socket(port=PORT, listen=2)
        for _ in range(2):
            self.client(server)
        answer = self.expect("none", f"127.0.0.1:{PORT}", "--accept")
        self.assertIn("has 2 of 2", answer.excluded["accept_queue_full"])

    def test_requests_pile_up_half_open(self):
        self.needs("nft")
        run("nft", "add table ip f; add chain ip f in { type filter hook input priority 0; };"
                   f"add rule ip f in tcp sport {PORT} drop")  # the answers never arrive
        server = self.socket(port=PORT, listen=8)
        for _ in range(40):
            self.client(server)
        answer = self.expect("half_open_queue_full", f"127.0.0.1:{PORT}", "--accept")
        self.assertRegex(answer.sentence, r"\d+ are half-open, of 8")
        self.assertRegex(answer.evidence, r"TCPReqQFullDoCookies [1-9]")

    def test_few_half_open_requests(self):
        self.needs("nft")
        run("nft", "add table ip f; add chain ip f in { type filter hook input priority 0; };"
                   f"add rule ip f in tcp sport {PORT} drop")
        server = self.socket(port=PORT, listen=8)
        for _ in range(3):
            self.client(server)
        answer = self.expect("none", f"127.0.0.1:{PORT}", "--accept")
        self.assertIn("3 of 8", answer.excluded["half_open_queue_full"])

    def test_requests_were_dropped_before(self):
        server = self.socket(port=PORT, listen=1)
        clients = [self.client(server) for _ in range(6)]
        self.expect("accept_queue_full", f"127.0.0.1:{PORT}", "--accept")
        for each in clients[2:]:
            each.close()
        for _ in range(2):
            server.accept()[0].close()
        self.expect("requests_dropped", f"127.0.0.1:{PORT}", "--accept")

    def test_the_reverse_path_filter(self):
        self.peer()
        self.peer("198.51.100.1/24", "198.51.100.2/24", "vc")
        server = self.socket("0.0.0.0", PORT, listen=4)
        sysctl("net/ipv4/conf/va/rp_filter", 1)
        answer = self.expect("reverse_path", f"192.0.2.1:{PORT}", "--accept", "--from", "198.51.100.2")
        self.assertEqual(answer.sure, "certain")
        self.assertIn("come in by va", answer.sentence)
        self.expect("none", f"192.0.2.1:{PORT}", "--accept", "--from", "192.0.2.2")
        sysctl("net/ipv4/conf/va/rp_filter", 0)
        self.expect("none", f"192.0.2.1:{PORT}", "--accept", "--from", "198.51.100.2")
        self.assertGreaterEqual(server.fileno(), 0)


    def test_the_reverse_path_filter_of_an_interface_with_a_dot(self):
        self.peer(name="va.5")
        self.peer("198.51.100.1/24", "198.51.100.2/24", "vc")
        self.socket("0.0.0.0", PORT, listen=4)
        sysctl("net/ipv4/conf/va.5/rp_filter", 1)
        question = (f"192.0.2.1:{PORT}", "--accept", "--from")
        answer = self.expect("reverse_path", *question, "198.51.100.2")
        run(*answer.fixes.splitlines()[0].split())
        self.expect("none", *question, "198.51.100.2")
        answer = self.expect("reverse_path", *question, "203.0.113.1")  # there is no way at all
        self.assertNotIn("=2", answer.fixes)
        self.assertIn("no way back", answer.sentence)


class Filters(Situation):
    """What rules of filters do with new connections, and what is said of it."""

    def setUp(self):
        super().setUp()
        self.needs("nft")
        self.there = self.peer()
        self.socket("0.0.0.0", PORT, listen=100)

    def filters(self, rules, hook="input", policy="accept"):
        """These rules in a chain of this hook, and others without one as they need them."""
        subprocess.run(["nft", "delete", "table", "inet", "t"], capture_output=True)
        run("nft", "add table inet t; add chain inet t sub;"
                   f"add chain inet t base {{ type filter hook {hook} priority 0; policy {policy}; }};"
                   + rules.replace("BASE", "add rule inet t base").replace("SUB", "add rule inet t sub"))

    def filter_finding(self, *words):
        """What it says of filters: clients that did not get in may have left other findings."""
        return next((each for each in self.why(*words).all["findings"] if each["cause"] == "filter_rule"), None)

    def gets_in(self, address="192.0.2.1", by=None):
        """Whether the kernel lets a client in, of the other host unless another prefix is given."""
        tries = f"import socket; socket.create_connection(('{address}', {PORT}), timeout=1)"
        prefix = self.there if by is None else by
        return subprocess.run([*prefix, PYTHON, "-c", tries], capture_output=True).returncode == 0

    def test_a_rule_for_the_port_and_what_lets_packets_pass(self):
        for verdict, does in (("drop", "drops"), ("reject", "rejects"), ("reject with tcp reset", "rejects")):
            self.filters(f"BASE tcp dport {PORT} {verdict}")
            answer = self.expect("filter_rule", f"192.0.2.1:{PORT}", "--accept")
            self.assertEqual(answer.sure, "certain")
            self.assertIn(f"a firewall of this host {does} packets to 192.0.2.1:{PORT}", answer.sentence)
            self.assertFalse(self.gets_in())
            run("sh", "-c", answer.fixes.splitlines()[1].removeprefix("let them pass: "))
            self.assertIn("filter_rule", self.expect("none", f"192.0.2.1:{PORT}", "--accept").excluded)
            self.assertTrue(self.gets_in())

    def test_a_policy_and_what_lets_packets_pass(self):
        self.filters("", policy="drop")
        answer = self.expect("filter_rule", f"192.0.2.1:{PORT}", "--accept")
        self.assertIn("that is its policy", answer.sentence)
        self.assertFalse(self.gets_in())
        run("sh", "-c", answer.fixes.splitlines()[1].removeprefix("let them pass: "))
        self.expect("none", f"192.0.2.1:{PORT}", "--accept")
        self.assertIn("filter_rule", self.why(f"127.0.0.1:{PORT + 1}", "--connect").causes)

    def test_what_the_rules_of_a_policy_accept(self):
        state = "BASE ct state established,related accept; BASE ct state invalid drop;"
        states = "BASE ct state vmap { established : accept, related : accept, invalid : drop };"
        for rules, sure, real in (
                (f"{state} BASE iif lo accept; BASE tcp dport {PORT} accept", None, True),
                (f"{state} BASE iif lo accept; BASE tcp dport {PORT + 1} accept", "certain", False),
                (f"{states} BASE tcp dport {{ 22, {PORT} }} accept", None, True),
                (f"{states} BASE tcp dport {{ 22, {PORT + 1} }} accept", "certain", False),
                ("BASE ct state vmap { new : accept }", None, True),
                (f"{state} BASE jump sub; SUB tcp dport {PORT} accept", None, True),
                (f"{state} BASE jump sub; SUB tcp dport {PORT} return", "certain", False),
                ("BASE ip daddr 192.0.0.0/20 accept", None, True),
                ("BASE ip daddr 192.0.16.0/20 accept", "certain", False),
                (f"BASE udp dport {PORT} accept; BASE ip6 nexthdr tcp accept", "certain", False),
                (f'BASE iifname "lo" accept; BASE iifname != "va" accept', "possible", False),
                (f"BASE ip saddr 192.0.2.0/24 tcp dport {PORT} accept", "possible", True),
                ("BASE limit rate 1000/second accept", "possible", True)):
            self.filters(rules, policy="drop")
            answer = self.expect("filter_rule" if sure else "none", f"192.0.2.1:{PORT}", "--accept")
            self.assertEqual(answer.sure, sure, rules)
            self.assertEqual(self.gets_in(), real, rules)

    def test_rules_for_something_else(self):
        for rules in (f"BASE tcp dport {PORT + 1} drop", f"BASE udp dport {PORT} drop", f"BASE tcp sport {PORT} drop",
                      "BASE ip daddr 198.51.100.1 drop", "BASE ct state invalid drop", "BASE ip saddr 198.51.100.0/24 drop",
                      f"BASE tcp dport {PORT} accept; BASE tcp dport {PORT} drop", "SUB drop"):
            self.filters(rules)
            self.expect("none", f"192.0.2.1:{PORT}", "--accept")
            self.assertTrue(self.gets_in(), rules)
        self.assertEqual(self.why(f"192.0.2.1:{PORT}", "--accept").unseen, "")
        self.filters("BASE ip saddr 198.51.100.0/24 drop")
        for what in ("--accept", "--connect"):
            self.assertIn("filter rules", self.why(f"192.0.2.1:{PORT}", what).unseen)
        self.assertEqual(self.why(f"192.0.2.1:{PORT}", "--bind").unseen, "")
        self.filters("")
        run("nft", "add table bridge b; add chain bridge b in { type filter hook input priority 0; }; add rule bridge b in drop")
        run("nft", f"add table netdev n; add chain netdev n in {{ type filter hook ingress device va priority 0; }};"
                   f"add rule netdev n in tcp dport {PORT + 1} drop")
        self.assertIn("filter rules", self.why(f"192.0.2.1:{PORT}", "--accept").unseen)

    def test_a_rule_for_some_clients_or_one_interface_is_possible(self):
        for rules in (f"BASE ip saddr 198.51.100.0/24 tcp dport {PORT} drop", f'BASE iifname "va" tcp dport {PORT} reject',
                      f"BASE ip saddr 192.0.2.7 accept; BASE tcp dport {PORT} drop"):
            self.filters(rules)
            self.assertEqual(self.expect("filter_rule", f"192.0.2.1:{PORT}", "--accept").sure, "possible", rules)
        self.filters(f"BASE ip saddr 198.51.100.0/24 tcp dport {PORT} drop")
        self.expect("none", f"192.0.2.1:{PORT}", "--connect")  # from here none of them comes

    def test_what_others_may_not_this_host_may(self):
        self.filters(f'BASE iifname != "lo" tcp dport {PORT} drop')
        self.assertEqual(self.expect("filter_rule", f"192.0.2.1:{PORT}", "--accept").sure, "certain")
        self.assertFalse(self.gets_in())
        for address in ("127.0.0.1", "192.0.2.1"):
            self.expect("none", f"{address}:{PORT}", "--connect")
            self.assertTrue(self.gets_in(address=address, by=[]))
        self.expect("none", f"127.0.0.1:{PORT}", "--accept")
        self.filters(f'BASE iif lo tcp dport {PORT} drop')
        self.expect("none", f"192.0.2.1:{PORT}", "--accept")
        self.assertTrue(self.gets_in())
        self.expect("filter_rule", f"192.0.2.1:{PORT}", "--connect")
        self.assertFalse(self.gets_in(by=[]))

    def test_every_chain_has_to_let_them_pass(self):
        self.filters(f"BASE accept; add chain inet t last {{ type filter hook input priority 10; }};"
                     f"add rule inet t last tcp dport {PORT} drop")
        self.assertIn("chain last", self.expect("filter_rule", f"192.0.2.1:{PORT}", "--accept").evidence)
        self.assertFalse(self.gets_in())
        self.filters(f"BASE tcp dport {PORT} drop", hook="prerouting")
        self.expect("filter_rule", f"192.0.2.1:{PORT}", "--accept")
        self.assertFalse(self.gets_in())
        for hook in ("forward", "postrouting"):
            self.filters(f"BASE tcp dport {PORT} drop", hook=hook)
            self.expect("none", f"192.0.2.1:{PORT}", "--accept")
            self.assertTrue(self.gets_in())

    def test_the_answers_have_to_get_out(self):
        place = f"192.0.2.1:{PORT}"
        established = "BASE ct state established,related accept;"
        for rules, policy, sure, real in (
                ("", "drop", "certain", False),
                (f"BASE tcp sport {PORT} drop", "accept", "certain", False),
                (f"BASE tcp sport {{ 22, {PORT} }} drop", "accept", "certain", False),
                (f"BASE ip saddr 192.0.2.1 tcp sport {PORT} reject", "accept", "certain", False),
                (f"BASE ct state new tcp sport {PORT} drop", "accept", None, True),
                ("BASE ct state established drop", "accept", "certain", False),
                (established, "drop", None, True),
                (f"BASE tcp sport {{ 22, {PORT} }} accept", "drop", None, True),
                (f"BASE tcp sport {PORT + 1} accept; BASE tcp dport {{ 53, 80 }} accept", "drop", "certain", False),
                ('BASE oifname { "lo", "vx" } accept', "drop", "possible", False),
                ('BASE oifname "lo" accept', "drop", "certain", False)):
            self.filters(rules, hook="output", policy=policy)
            found = self.filter_finding(place, "--accept")
            self.assertEqual(found and found["sureness"], sure, rules)
            self.assertEqual(self.gets_in(), real, rules)
            if sure:
                self.assertIn(f"the answers from {place}", found["sentence"])
            if sure == "certain":
                run("sh", "-c", found["fixes"][1].removeprefix("let them pass: "))
                self.assertIsNone(self.filter_finding(place, "--accept"), rules)
                self.assertTrue(self.gets_in(), rules)
        for rules in ("BASE ip daddr 192.0.2.2 drop", "BASE meta mark 0 drop", "BASE tcp dport != 22 drop"):
            self.filters(rules, hook="output")
            self.assertIsNone(self.filter_finding(place, "--accept"), rules)
            self.assertIn("nft list ruleset", self.why(place, "--accept").unseen)
            self.assertFalse(self.gets_in(), rules)
        self.filters("BASE ip daddr 192.0.2.2 drop", hook="output")
        self.assertEqual(self.expect("filter_rule", place, "--accept", "--from", "192.0.2.2").sure, "certain")
        self.assertIsNone(self.filter_finding(place, "--accept", "--from", "192.0.2.3"))
        self.assertEqual(self.why(place, "--accept", "--from", "192.0.2.3").unseen, "")

    def test_a_rule_for_some_clients_and_the_one_who_does_not_get_in(self):
        place = f"192.0.2.1:{PORT}"
        self.filters(f"BASE ip saddr 192.0.2.7 tcp dport {PORT} accept", policy="drop")
        answer = self.expect("filter_rule", place, "--accept")
        self.assertEqual(answer.sure, "possible")
        self.assertIn("handle ", answer.evidence)
        self.assertIn("for clients of 192.0.2.7 alone", answer.evidence)
        self.assertIn(f"ip saddr CLIENT tcp dport {PORT} accept", answer.fixes)  # for all it would open more
        self.assertIn("for every client at once", answer.fixes)
        self.expect("none", place, "--accept", "--from", "192.0.2.7")
        answer = self.expect("filter_rule", place, "--accept", "--from", "192.0.2.2")
        self.assertEqual(answer.sure, "certain")
        self.assertFalse(self.gets_in())
        run("sh", "-c", answer.fixes.splitlines()[1].removeprefix("let this client pass: "))
        self.expect("none", place, "--accept", "--from", "192.0.2.2")
        self.assertTrue(self.gets_in())
        self.expect("filter_rule", place, "--accept", "--from", "192.0.2.3")
        self.filters(f"BASE ip6 saddr 2001:db8::/32 drop; BASE ip saddr 192.0.2.0/28 tcp dport {PORT} drop")
        self.assertEqual(self.expect("filter_rule", place, "--accept", "--from", "192.0.2.2").sure, "certain")
        self.expect("none", place, "--accept", "--from", "192.0.2.16")
        self.filters('BASE iifname "vx" accept', policy="drop")  # there is no such interface
        self.assertEqual(self.expect("filter_rule", place, "--accept").sure, "certain")

    def test_what_leaves_this_host(self):
        self.filters(f"BASE ip daddr 192.0.2.2 tcp dport {PORT} drop", hook="output")
        answer = self.expect("filter_rule", f"192.0.2.2:{PORT}", "--connect")
        self.assertEqual(answer.sure, "certain")
        self.expect("none", f"192.0.2.1:{PORT}", "--connect")
        self.expect("none", f"192.0.2.1:{PORT}", "--accept")
        self.filters(f'BASE oifname "lo" accept; BASE oifname "va" tcp dport {PORT} accept', hook="output", policy="drop")
        self.expect("refused_there", f"192.0.2.2:{PORT}", "--connect")  # it gets there
        self.expect("none", f"127.0.0.1:{PORT}", "--connect")

    def test_rules_of_iptables(self):
        self.needs("iptables-nft")
        tables = ["iptables-nft", "-A", "INPUT"]
        run("iptables-nft", "-P", "INPUT", "DROP")
        run(*tables, "-i", "lo", "-j", "ACCEPT")
        run(*tables, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT")
        self.assertEqual(self.expect("filter_rule", f"192.0.2.1:{PORT}", "--accept").sure, "certain")
        self.assertFalse(self.gets_in())
        self.expect("none", f"127.0.0.1:{PORT}", "--connect")
        run(*tables, "-p", "tcp", "--dport", str(PORT), "-j", "ACCEPT")
        self.expect("none", f"192.0.2.1:{PORT}", "--accept")
        self.assertTrue(self.gets_in())
        run("iptables-nft", "-I", "INPUT", "-p", "tcp", "--dport", str(PORT), "-j", "REJECT")
        answer = self.expect("filter_rule", f"192.0.2.1:{PORT}", "--accept")
        self.assertIn("rejects", answer.sentence)
        self.assertIn(f"iptables -I INPUT NUMBER -p tcp --dport {PORT} -j ACCEPT", answer.fixes)
        self.assertNotIn("nft", answer.fixes)  # which is not to touch the tables of iptables
        self.assertFalse(self.gets_in())

    def test_without_root_they_are_not_seen(self):
        self.needs_users()
        self.filters(f"BASE tcp dport {PORT} drop")
        self.assertIn("filters (nftables)", self.why(f"192.0.2.1:{PORT}", "--accept", user=NOBODY).unseen)


class Connect(Situation):
    def test_no_route(self):
        answer = self.expect("no_route", "203.0.113.9:80")
        self.assertIn("ip route get 203.0.113.9", answer.fixes)
        self.assertIn("--bind", answer.err)

    def test_a_route_that_says_no(self):
        for kind in ("unreachable", "blackhole", "prohibit"):
            for prefix, place in (("203.0.113.0/24", "203.0.113.9"), ("2001:db8:7::/48", "2001:db8:7::9")):
                ip(f"route add {kind} {prefix}")
                answer = self.expect("no_route", f"[{place}]:80" if ":" in place else f"{place}:80", "--connect")
                self.assertIn(f"of the kind {kind}", answer.sentence)
                self.assertIn(f"route del {kind} ", answer.fixes)
                self.assertNotIn("ROUTER", answer.fixes)
                seen = answer.fixes.splitlines()[0].removeprefix("see it: ").split(";")[0].split()
                self.assertIn(prefix, subprocess.run(seen, capture_output=True, text=True).stdout)
                ip(f"route del {kind} {prefix}")

    def test_the_other_host_refuses(self):
        self.peer()
        self.expect("refused_there", f"192.0.2.2:{PORT}", "--connect")

    def test_who_refuses_may_be_a_firewall(self):
        self.needs("nft")
        there = self.peer()
        self.python(f"s = socket.socket(); s.bind(('0.0.0.0', {PORT})); s.listen()", prefix=there)
        run(*there, "nft", "add table ip f; add chain ip f in { type filter hook input priority 0; };"
                           f"add rule ip f in tcp dport {PORT} reject with tcp reset")
        answer = self.expect("refused_there", f"192.0.2.2:{PORT}", "--connect")
        self.assertEqual(answer.sure, "likely")
        self.assertIn("nft list ruleset", answer.fixes)

    def test_the_other_host_serves(self):
        there = self.peer()
        self.python(f"s = socket.socket(); s.bind(('0.0.0.0', {PORT})); s.listen()", prefix=there)
        self.expect("none", f"192.0.2.2:{PORT}", "--connect")

    def test_the_other_host_does_not_answer(self):
        self.peer()
        answer = self.expect("no_answer", f"192.0.2.3:{PORT}", "--connect", "-w", "300ms")
        self.assertIn("va", answer.evidence)
        self.expect("none", f"192.0.2.3:{PORT}", "--connect", "--no-try")

    def test_the_first_address_of_a_name_cannot_be_reached(self):
        there = self.peer()
        self.peer("2001:db8::1/64", "2001:db8::2/64", "vc")
        self.python(f"s = socket.socket(); s.bind(('0.0.0.0', {PORT})); s.listen()", prefix=there)
        self.name("2001:db8::9 both.example\n192.0.2.2 both.example\n")
        answer = self.expect("first_address_unreachable", f"both.example:{PORT}", "--connect", "-w", "1s")
        self.assertIn("2001:db8::9, cannot be reached", answer.sentence)
        self.assertIn(f"192.0.2.2:{PORT} can", answer.sentence)

    def test_all_addresses_of_a_name_can_be_reached(self):
        there = self.peer()
        run(*there, "ip", "addr", "add", "192.0.2.3/24", "dev", "vab")
        self.python(f"s = socket.socket(); s.bind(('0.0.0.0', {PORT})); s.listen()", prefix=there)
        self.name("192.0.2.2 both.example\n192.0.2.3 both.example\n")
        self.expect("none", f"both.example:{PORT}", "--connect", "-w", "1s")

    def test_no_source_port_is_left(self):
        server = self.socket(port=PORT, listen=16)
        sysctl("net/ipv4/ip_local_port_range", "40000 40003")
        for _ in range(4):
            self.connected(server)
        answer = self.expect("ephemeral_ports_used_up", f"127.0.0.1:{PORT}", "--connect")
        self.assertIn("4 of 4 are used from 127.0.0.1", answer.sentence)
        with self.assertRaises(OSError):
            self.connected(server)
        self.expect("nobody_listens", f"127.0.0.1:{PORT + 1}", "--connect")

    def test_a_port_that_a_program_has_bound_is_none_for_clients(self):
        server = self.socket(port=PORT, listen=16)
        sysctl("net/ipv4/ip_local_port_range", "40000 40003")
        self.socket(port=40001, listen=1)
        for _ in range(3):
            self.connected(server)
        answer = self.expect("ephemeral_ports_used_up", f"127.0.0.1:{PORT}", "--connect")
        self.assertIn("3 of 3 are used from 127.0.0.1", answer.sentence)
        self.assertIn("1 more of the range", answer.evidence)
        with self.assertRaises(OSError):
            self.connected(server)

    def test_one_source_port_is_left(self):
        server = self.socket(port=PORT, listen=16)
        sysctl("net/ipv4/ip_local_port_range", "40000 40003")
        for _ in range(3):
            self.connected(server)
        answer = self.expect("none", f"127.0.0.1:{PORT}", "--connect")
        self.assertIn("3 of 4", answer.excluded["ephemeral_ports_used_up"])


class Telling(Situation):
    def text(self, *words, **how):
        return subprocess.run([COMMAND, "why", *map(str, words)], capture_output=True, text=True, timeout=60, **how)

    def test_without_root_it_says_what_it_cannot_see(self):
        self.needs_users()
        self.socket(port=PORT, listen=1)
        answer = self.expect("in_use", f"127.0.0.1:{PORT}", user=NOBODY)
        self.assertIn("of user 0 that cannot be seen from here", answer.sentence)
        self.assertIn("SO_REUSEPORT not known", answer.evidence)
        self.assertIn("as root they can be seen", answer.unseen)
        self.assertIn("sudo", answer.fixes)
        self.assertEqual(self.expect("in_use", f"127.0.0.1:{PORT}").unseen, "")

    def test_text_has_the_cause_the_sureness_the_evidence_and_what_to_do(self):
        self.socket(port=PORT, listen=1)
        done = self.text(f"127.0.0.1:{PORT}")
        lines = done.stdout.splitlines()
        self.assertRegex(lines[0], rf"\(pid {os.getpid()}.*\) listens at 127\.0\.0\.1:{PORT}$")
        self.assertEqual(lines[1], "  sure:     certain (in_use, exit code 10)")
        self.assertTrue(lines[2].startswith("  evidence: tcp 127.0.0.1"), lines)
        self.assertIn("  fix:      kill", done.stdout)
        self.assertNotIn("\033", done.stdout)
        self.assertNotIn("not:", done.stdout)
        self.assertIn("not:      time_wait: ", self.text(f"127.0.0.1:{PORT}", "-v").stdout)

    def test_colour_is_for_terminals(self):
        main, sub = pty.openpty()
        with os.fdopen(main, "rb", buffering=0) as reader:
            subprocess.run([COMMAND, "why", f":{PORT}"], stdout=sub, env=dict(os.environ, NO_COLOR=""), check=True)
            self.assertIn(b"\033[1m", reader.read(65536))
            subprocess.run([COMMAND, "why", f":{PORT}"], stdout=sub, env=dict(os.environ, NO_COLOR="1"), check=True)
            self.assertNotIn(b"\033", reader.read(65536))
            os.close(sub)

    def test_every_place_of_a_process(self):
        server = self.nginx(f"127.0.0.1:{PORT}", f"[::1]:{PORT + 1}")
        done = self.text("--pid", server.pid)
        self.assertEqual(done.returncode, 0, done)
        self.assertIn(f"pid {server.pid} nginx", done.stdout)
        self.assertIn(f"tcp 127.0.0.1:{PORT}: listening", done.stdout)
        self.assertIn(f"tcp [::1]:{PORT + 1}: listening", done.stdout)
        self.assertEqual(done.stdout.count("nothing stands in the way"), 2, done.stdout)

    def test_a_process_in_another_namespace(self):
        server = self.python(f"s = socket.socket(); s.bind(('0.0.0.0', {PORT})); s.listen()", prefix=self.peer())
        self.assertIn(f"nsenter --net=/proc/{server.pid}/ns/net", self.why("--pid", server.pid).unseen)
        self.assertEqual(self.why("--pid", os.getpid()).unseen, "")

    def test_a_process_with_a_full_queue(self):
        server = self.socket(port=PORT, listen=0)
        for _ in range(3):
            self.client(server)
        self.socket("::1", PORT, listen=5)
        answer = self.why("--pid", os.getpid())
        self.assertEqual(answer.code, 46, answer)
        self.assertEqual([each["diagnosis"]["cause"] for each in answer.all["sockets"]], ["accept_queue_full", "none"])

    def test_wrong_words_are_explained(self):
        for words, said in ((["--pid", 999999999], "--pid 999999999"), ([], "give the address that fails"),
                            ([":0"], "port 0"), ([":80", "--pid", 1], "not both"), ([":80", "--from", "x"], "--from"),
                            ([":http-x"], "no service called"), (["fd:3"], "inherited"), ([":80", "--bnd"], "--bind"),
                            (["@eth9:80"], "eth9"), (["@lo:80", "--connect"], "whom to reach")):
            done = self.text(*words)
            self.assertEqual((done.returncode, done.stdout), (100, ""), (words, done))
            self.assertIn(said, done.stderr)

    def test_a_question_that_cannot_be_read_is_told_in_json_too(self):
        for words, said in (([":0"], "port 0"), (["--pid", 999999999], "--pid 999999999"), ([], "give the address that fails"),
                            (["x y"], "the address cannot be read"), ([":80", "--from", "x"], "--from")):
            answer = self.why(*words)
            self.assertEqual(sorted(answer.all), ["error", "exit_code"], answer)
            self.assertEqual((answer.code, answer.all["exit_code"]), (100, 100))
            self.assertIn(said, answer.all["error"])
            self.assertEqual(answer.err, f"portico: why: {answer.all['error']}\n")

    def test_the_places_of_a_process_are_in_order_of_their_ports(self):
        server = self.python(f"made = [socket.socket() for _ in range(9)]\n"
                             f"for i, s in enumerate(made): s.bind(('127.0.0.1', {PORT} + i * 7 % 9)); s.listen()")
        told = [each["socket"].split(": ")[0] for each in self.why("--pid", server.pid).all["sockets"]]
        self.assertEqual(told, [f"tcp 127.0.0.1:{PORT + i}" for i in range(9)])

    def test_a_process_with_a_relative_unix_socket(self):
        server = self.python("import os; os.chdir(%r); s = socket.socket(socket.AF_UNIX); s.bind('s'); s.listen()"
                             % str(self.directory))
        self.assertEqual(self.why("--pid", server.pid).all["sockets"][0]["diagnosis"]["cause"], "none")

    def test_it_changes_nothing(self):
        server = self.socket(port=PORT, listen=1)

        def state():
            return subprocess.run("ss -Hanptu; nft list ruleset; ip addr; ip route", shell=True, capture_output=True,
                                  text=True).stdout

        before = state()
        for what in ("--bind", "--accept", "--connect"):
            self.why(f":{PORT}", what, "-v")
        self.assertEqual(state(), before)
        self.connected(server)

    def test_each_of_many_places_has_its_cause(self):
        for i in range(18):
            self.socket(port=PORT + i, listen=1)
        places = [f"127.0.0.1:{PORT + i}" for i in range(18)]
        done = subprocess.run([COMMAND, "listen", *places, "--echo"], capture_output=True, text=True, timeout=60)
        for place in places[:16]:
            self.assertRegex(done.stderr, rf"python3? ?\S* \(pid {os.getpid()}.*\) listens at {place}\n")
        for place in places[16:]:
            self.assertIn(f"not looked at: portico why {place} says it", done.stderr)

    def test_what_was_asked_wrongly(self):
        def asked(*words):
            done = subprocess.run([COMMAND, "why", *words], capture_output=True, text=True, timeout=60)
            return done.returncode, done.stderr

        code, text = asked("--pid", "nginx")
        self.assertEqual(code, 100)
        self.assertIn("'nginx' is no number", text)
        code, text = asked("u/live")
        self.assertEqual(code, 100)
        self.assertIn("write unix:u/live", text)
        for what in ("--bind", "--accept", "--connect"):  # a name may have an address later
            self.assertEqual(asked(f"nohost.invalid:{PORT}", what)[0], 111)

    def test_evidence_is_about_who_was_asked_for(self):
        answer = self.expect("privileged_port", ":443", "--user", "1000")
        self.assertNotIn("this process", answer.evidence)
        client = self.socket("127.0.0.1", PORT + 1)
        client.connect(self.socket(port=PORT, listen=1).getsockname())
        self.assertIn("or of clients that had bound", self.expect("connections_left", f"127.0.0.1:{PORT + 1}", "--bind").evidence)

    def test_root_is_not_told_to_be_root(self):
        self.needs("setpriv")
        self.needs_users()
        self.start("unshare", "--net", "sleep", "600")
        done = subprocess.run(["setpriv", "--bounding-set", "-sys_ptrace,-sys_admin", COMMAND, "why", f":{PORT}", "--accept"],
                              capture_output=True, text=True, timeout=60)
        self.assertIn("other network namespaces: ", done.stdout)
        self.assertIn("this root lacks capabilities", done.stdout)
        self.assertNotIn("sudo", done.stdout)

    def test_portico_says_it_of_its_own_errors(self):
        self.nginx(f"127.0.0.1:{PORT}")
        done = subprocess.run([COMMAND, "listen", f"127.0.0.1:{PORT}", "--echo"], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 111)
        self.assertRegex(done.stderr, rf"Address already in use\n    nginx \(pid \d+.*\) listens at 127\.0\.0\.1:{PORT}")
        done = subprocess.run([COMMAND, "dial", "127.0.0.2", str(PORT)], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=60)
        self.assertEqual(done.returncode, 111)
        self.assertRegex(done.stderr, rf"nobody listens at 127\.0\.0\.2:{PORT}: nginx \(pid \d+")


if __name__ == "__main__":
    why_situations.enter_private_network()
    unittest.main()
