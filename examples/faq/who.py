"""Who is the client? (IV.9)"""

import socket

import lab

lab.private()
both = socket.create_server(("::", 7007), family=socket.AF_INET6, dualstack_ipv6=True)
socket.create_connection(("127.0.0.1", 7007))
print("one socket for both families, accept:    ", both.accept()[1][0])
both.close()
ASK = "echo $TCPREMOTEIP by $PROTO"
with lab.service("localhost:7007", "--", "sh", "-c", ASK, lines=2):
    lab.show("portico dial -4 localhost 7007")
    lab.show("portico dial -6 localhost 7007")
    print("behind a relay:")
    with lab.service("127.0.0.2:7008", "--to", "127.0.0.1:7007"):
        lab.show("portico dial --from 127.0.0.9 127.0.0.2 7008")
print("behind a relay that says who it is, in the first line:")
with lab.service("127.0.0.1:7007", "--", "sh", "-c", "read line; echo ${line% * *}"):
    with lab.service("127.0.0.2:7008", "--to", "127.0.0.1:7007", "--proxy-out", "v1"):
        lab.show("portico dial --from 127.0.0.9 127.0.0.2 7008")
