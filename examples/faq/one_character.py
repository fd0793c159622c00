"""Who keeps the characters until the end of the line? The terminal of the client (IV.14)."""

import os
import pty
import shutil
import subprocess
import tty

import lab

TELNET_OPTIONS = bytes([255, 251, 1, 255, 251, 3])  # IAC WILL ECHO, IAC WILL SUPPRESS-GO-AHEAD


def first_bytes(client, raw=False, says=b""):
    """What a server reads first when somebody types h, i and the return key at a client's terminal."""
    keyboard, terminal = pty.openpty()
    if raw:
        tty.setraw(terminal)
    with lab.listener("127.0.0.1", 7007) as server:
        running = subprocess.Popen([client, *(["dial"] if client == "portico" else []), "127.0.0.1", "7007"], stdin=terminal,
                                   stdout=terminal, stderr=terminal, start_new_session=True)
        accepted = server.accept()[0]
        accepted.sendall(says)
        got = b""
        if says:  # the client agrees: IAC DO ECHO, IAC DO SUPPRESS-GO-AHEAD
            while not got.endswith(bytes([255, 253, 3])):
                got += accepted.recv(100)
        os.write(keyboard, b"h")
        if not raw and not says:
            os.write(keyboard, b"i\r")
        first = accepted.recv(100)
        running.kill()
        running.wait()
        accepted.close()
    os.close(keyboard)
    os.close(terminal)
    return first


lab.private()
if not shutil.which("telnet"):
    lab.skip("telnet is not installed")
print("portico dial:                         ", first_bytes("portico"))
print("portico dial, stty raw:               ", first_bytes("portico", raw=True))
print("telnet:                               ", first_bytes("telnet"))
print("telnet, and the server says WILL ECHO:", first_bytes("telnet", says=TELNET_OPTIONS))
