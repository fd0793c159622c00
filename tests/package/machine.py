"""A machine for a test: systemd as process 1 over this system's files, in namespaces of its own.

What it writes to the disk goes to a layer in memory and is gone at its end: this system's files, its packages and its
users are only read. Its network has a loopback device and nothing else, and /proc/sys and /sys cannot be written.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

SYSTEMD = "/lib/systemd/systemd"
# What could reach beyond the namespaces.
DENIED = ",".join(f"-{each}" for each in ("sys_time", "sys_boot", "sys_module", "sys_rawio", "syslog", "wake_alarm",
                                          "audit_control", "audit_read", "audit_write"))

# In a mount namespace of its own: a control group for the machine, and then its other namespaces.
OUTSIDE = r"""
set -e
mkdir $1/cgroup && mount -t cgroup2 cgroup2 $1/cgroup
mkdir $1/cgroup/$2
echo 0 >$1/cgroup/$2/cgroup.procs
exec unshare --mount --pid --fork --kill-child --net --uts --ipc --cgroup sh -c "$3" machine $1
"""

# In all of them. Of the units that would run here none is needed but the journal; what follows /mnt is the test's own.
INSIDE = r"""
set -e
mkdir $1/memory && mount -t tmpfs -o mode=755 tmpfs $1/memory
cd $1/memory
mkdir upper work root
mount -t overlay overlay -o lowerdir=/,upperdir=$PWD/upper,workdir=$PWD/work root
cd root
mount -t proc proc proc
mount --bind proc/sys proc/sys && mount -o remount,bind,ro proc/sys
if [ -e proc/sysrq-trigger ]; then mount --bind /dev/null proc/sysrq-trigger; fi
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
for each in run tmp dev; do mount -t tmpfs -o mode=755 tmpfs $each; done
chmod 1777 tmp
for each in null zero full random urandom tty; do : >dev/$each; mount --bind /dev/$each dev/$each; done
mkdir dev/pts dev/shm run/test
chmod 1777 dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount --bind $1/share run/test
mkdir run/upper && mount --bind $1/memory/upper run/upper

rm -rf usr/lib/systemd/system-generators lib/systemd/system-generators etc/systemd/system-generators
rm -rf etc/systemd/system etc/tmpfiles.d etc/systemd/journald.conf.d
rm -rf usr/lib/systemd/system/*.wants lib/systemd/system/*.wants
mkdir -p etc/systemd/system etc/systemd/journald.conf.d lib/systemd/system/sysinit.target.wants
printf '[Journal]\nStorage=volatile\n' >etc/systemd/journald.conf.d/test.conf
ln -s ../systemd-journald.service lib/systemd/system/sysinit.target.wants/
: >etc/machine-id
echo portico-test >etc/hostname
rm -f usr/sbin/policy-rc.d

mkdir .outside
pivot_root . .outside
umount -l /.outside
rmdir /.outside
exec env -i container=portico-test NOTIFY_SOCKET=/run/test/notify PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    setpriv --bounding-set @DENIED@ --inh-caps @DENIED@ @SYSTEMD@ --unit=multi-user.target --show-status=no
""".replace("@DENIED@", DENIED).replace("@SYSTEMD@", SYSTEMD)


def why_not():
    """What is missing here for a machine, or None."""
    if os.geteuid() != 0:
        return "only root can make a machine"
    if not os.path.exists(SYSTEMD):
        return "there is no systemd"
    for tool in ("unshare", "nsenter", "setpriv"):
        if not shutil.which(tool):
            return f"there is no {tool}"
    if len({os.stat(each).st_dev for each in ("/", "/usr", "/etc", "/var")}) != 1:
        return "/usr, /etc or /var are not in the same file system as /"
    tried = subprocess.run(
        ["unshare", "--mount", "--net", "--pid", "--fork", "--cgroup", "sh", "-ec",
         "mount -t tmpfs t /mnt; mkdir /mnt/u /mnt/w /mnt/m /mnt/c; mount -t cgroup2 c /mnt/c;"
         "mkdir /mnt/c/portico-probe; rmdir /mnt/c/portico-probe;"
         "mount -t overlay o -o lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w /mnt/m"],
        capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        return "namespaces, an overlay or a control group cannot be made: " + tried.stderr.strip().split("\n")[-1]
    return None


class Machine:
    def __init__(self):
        self.place = Path(tempfile.mkdtemp(prefix="portico-machine."))
        self.share = self.place / "share"  # /run/test of the machine
        self.share.mkdir()
        self.group = f"portico-test-{os.getpid()}-{self.place.name.rsplit('.')[-1]}"
        told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        told.bind(str(self.share / "notify"))
        told.settimeout(0.5)
        self.outer = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--fork", "--kill-child",
             "sh", "-c", OUTSIDE, "machine", self.place, self.group, INSIDE],
            stdin=subprocess.DEVNULL, stdout=sys.stderr)
        with told:
            self._wait_until_started(told)
        # unshare (outer) > unshare (with its namespaces) > systemd
        self.systemd = self._child(self._child(self.outer.pid))

    def _wait_until_started(self, told):
        while True:
            try:
                if b"READY=1" in told.recv(4096).split(b"\n"):
                    return
            except socket.timeout:
                if self.outer.poll() is not None:
                    self.stop()
                    raise AssertionError("systemd ended before it had started; its reason is above") from None

    @staticmethod
    def _child(pid):
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])

    def stop(self):
        self.outer.kill()
        self.outer.wait()
        # The kernel ends the processes of a namespace with its first one, but not at once.
        subprocess.run(
            ["unshare", "--mount", "sh", "-c",
             f"mount -t cgroup2 cgroup2 /mnt && cd /mnt/{self.group} || exit; "
             "while grep -q 'populated 1' cgroup.events; do sleep 0.05; done; "
             "find . -depth -type d -exec rmdir '{}' ';'; cd .. && rmdir " + self.group],
            check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.place)

    def enter(self, *command):
        # With its root, for in a chroot that of the mount namespace is another one; and outside nothing is ever run.
        return ["nsenter", "--target", str(self.systemd), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup",
                "--root", "--wd", "sh", "-c", 'test -d /run/upper && exec "$@"', "machine",
                "env", "-i", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8",
                "SYSTEMD_PAGER=", "DEBIAN_FRONTEND=noninteractive", *map(str, command)]

    def run(self, *command, **more):
        """What the command said, whatever its exit code."""
        return subprocess.run(self.enter(*command), capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, **more)

    def do(self, *command):
        """What the command printed; it has to succeed."""
        done = self.run(*command)
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stdout}{done.stderr}\n"
                                 + self.run("journalctl", "--no-pager", "-n", "40").stdout)
        return done.stdout

    def write(self, path, text):
        """A file of the machine."""
        subprocess.run(self.enter("sh", "-c", 'mkdir -p "$(dirname "$1")"; cat >"$1"', "write", path), input=text, text=True,
                       check=True)

    def show(self, unit, what):
        return self.do("systemctl", "show", "--value", f"--property={what}", unit).strip()
