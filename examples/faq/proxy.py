"""A client without a route to the service, and a proxy that has one (III.2)."""

import lab

lab.private()
inside, proxy, outside = lab.host(), lab.host(), lab.host()
with proxy:
    lab.cable("lan", inside, "10.0.0.1/24", "10.0.0.2/24")
    lab.cable("wan", outside, "192.0.2.1/24", "192.0.2.2/24")
with outside, lab.service("192.0.2.2:7007", "--hello"), proxy, lab.service("10.0.0.1:1080", "--socks"), inside:
    lab.show("portico dial 192.0.2.2 7007")
    lab.show("portico dial --via socks5://10.0.0.1:1080 192.0.2.2 7007")
