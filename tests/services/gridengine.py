"""A real Grid Engine for tests: Debian's, in a folder and a cell of its own, with one node that is this computer.

    with gridengine() as cluster:
        cluster.run("qstat", "-u", "*")            # as the Hub's account would ask
        cluster.stop("qmaster"); cluster.start("qmaster")

Several may run side by side: ``SGE_ROOT``, ``SGE_CELL`` and two ports say which one is meant (``cluster.environment``).
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from services.ports import free_ports
from services.slurm import accounts
from services.software import closed

from beamhub.spawner.sites.gridengine_text import NotRead, document

START_S = 30.0
STOP_S = 30.0
SLOTS = 16
CELL = "test"
ADMIN = "sgeadmin"
DEBIAN = Path("/usr/share/gridengine")
BINARIES = Path("/usr/lib/gridengine")
PROGRAMS = ("sge_qmaster", "sge_execd", "qsub", "sudo", "shellcheck")
BOOTSTRAP = """admin_user              sgeadmin
default_domain          none
ignore_fqdn             true
spooling_method         berkeleydb
spooling_lib            libspoolb
spooling_params         {folder}/spooldb
binary_path             /usr/sbin
qmaster_spool_dir       {folder}/qmaster
security_mode           none
listener_threads        2
worker_threads          2
scheduler_threads       1
"""
HOST = """hostname              {host}
load_scaling          NONE
complex_values        NONE
user_lists            NONE
xuser_lists           NONE
projects              NONE
xprojects             NONE
usage_scaling         NONE
report_variables      NONE
"""
HOSTS = "group_name @allhosts\nhostlist {host}\n"
TOGETHER = """pe_name            smp
slots              999
user_lists         NONE
xuser_lists        NONE
start_proc_args    /bin/true
stop_proc_args     /bin/true
allocation_rule    $pe_slots
control_slaves     FALSE
job_is_first_task  TRUE
urgency_slots      min
accounting_summary FALSE
qsort_args         NONE
"""
CLOSED = "name    nobody\ntype    ACL\nfshare  0\noticket 0\nentries {admin}\n"


class Cluster:
    """A running cluster; its files are in ``folder``, ``environment`` says to its commands which it is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.host = socket.gethostname().split(".")[0]
        port = free_ports(2)
        self.environment = {
            "SGE_ROOT": str(folder), "SGE_CELL": CELL, "SGE_QMASTER_PORT": str(port), "SGE_EXECD_PORT": str(port + 1),
        }  # fmt: skip
        common = folder / CELL / "common"
        for part in (common, folder / "bin", folder / "lib", folder / "run", folder / "execd"):
            part.mkdir(parents=True)
        for part in ("qmaster/job_scripts", "spooldb"):
            (folder / part).mkdir(parents=True)
        (folder / "util").symlink_to(DEBIAN / "util")
        for part in ("bin", "lib"):
            (folder / part / "lx-amd64").symlink_to(BINARIES)
        (common / "bootstrap").write_text(BOOTSTRAP.format(folder=folder))
        (common / "act_qmaster").write_text(f"{self.host}\n")
        # all names that this computer's own address may have are one host, or nothing is allowed to it
        names = {line for one in _names() for line in one} - {self.host}
        (common / "host_aliases").write_text(f"{self.host} {' '.join(sorted(names))}\n")
        for path in (folder, *folder.rglob("*")):
            if not path.is_symlink():
                shutil.chown(path, ADMIN, ADMIN)

    def start_all(self) -> None:
        """Make the cluster, start everything, and wait until its node takes jobs."""
        self._admin(str(DEBIAN / "scripts/init_cluster"), str(self.folder), CELL, str(self.folder / "spooldb"), ADMIN)
        self.start("qmaster")
        self._configure()
        self.start("execd")
        self.wait_up()

    def _configure(self) -> None:
        """One host, one parallel environment, and two queues, one of which nobody may use."""
        self._admin("qconf", "-as", self.host)
        self._add("-Ae", HOST.format(host=self.host))
        self._add("-Ahgrp", HOSTS.format(host=self.host))
        self._add("-Ap", TOGETHER)
        self._add("-Au", CLOSED.format(admin=ADMIN))
        template = self.run("qconf", "-sq").stdout
        for name in ("all.q", "closed.q"):
            changed = {
                "qname": name, "hostlist": "@allhosts", "slots": str(SLOTS), "pe_list": "smp",
                "load_thresholds": "NONE", "user_lists": "nobody" if name == "closed.q" else "NONE",
            }  # fmt: skip
            self._add("-Aq", _changed(template, changed))
        quick = {
            "schedule_interval": "0:0:1", "flush_submit_sec": "1", "flush_finish_sec": "1",
            "job_load_adjustments": "NONE",
        }  # fmt: skip
        self._add("-Msconf", _changed(self.run("qconf", "-ssconf").stdout, quick))
        settings = self.run("qconf", "-sconf").stdout
        changed = {
            "execd_spool_dir": str(self.folder / "execd"), "load_report_time": "00:00:02", "max_unheard": "00:00:20",
            "mailer": "/bin/true",
            "reporting_params": "accounting=true reporting=false flush_time=00:00:01 joblog=false sharelog=00:00:00",
        }  # fmt: skip
        path = self.folder / "global"
        path.write_text(_changed(settings.partition("\n")[2] if settings.startswith("#") else settings, changed))
        self._admin("qconf", "-Mconf", str(path))

    def _add(self, option: str, text: str) -> None:
        path = self.folder / "given"
        path.write_text(text)
        self._admin("qconf", option, str(path))

    def _admin(self, *command: str) -> None:
        done = self.run(*command, user=ADMIN, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}\n{self.log()}")

    def wait_up(self, within_s: float = START_S) -> None:
        """Wait until the node takes jobs."""
        until = time.monotonic() + within_s
        while True:
            done = self.run("qstat", "-f", "-q", "all.q", "-xml", check=False)
            with contextlib.suppress(NotRead):
                queues = list(document(done.stdout, "job_info").iter("Queue-List"))
                if queues and all(one.findtext("state") is None and one.findtext("arch") for one in queues):
                    return
            if time.monotonic() > until:
                raise TimeoutError(f"Grid Engine's node takes no jobs: {done.stdout} {done.stderr}\n{self.log()}")
            time.sleep(0.1)

    def log(self) -> str:
        """The end of the master's log."""
        path = self.folder / "qmaster/messages"
        return path.read_text(errors="replace")[-3000:] if path.exists() else ""

    def start(self, part: str) -> None:
        """Start ``qmaster`` or ``execd``; the master answers when this returns."""
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **self.environment,
            "SGE_MASTER_PIDFILE": f"{self.folder}/run/qmaster.pid", "SGE_EXECD_PIDFILE": f"{self.folder}/run/execd.pid",
        }  # fmt: skip
        subprocess.run([f"sge_{part}"], env=environment, check=True, cwd="/", stdout=-3, stderr=-3, timeout=60)
        until = time.monotonic() + START_S
        while part == "qmaster" and self.run("qstat", check=False).returncode:
            if time.monotonic() > until:
                raise TimeoutError(f"Grid Engine does not answer\n{self.log()}")
            time.sleep(0.1)

    def pid(self, part: str) -> int | None:
        """The process of a part, where it runs: its environment names this cluster."""
        mark = f"SGE_ROOT={self.folder}".encode()
        for path in Path("/proc").glob("[0-9]*/comm"):
            with contextlib.suppress(OSError):
                if path.read_text().strip() == f"sge_{part}" and mark in _environ(path.parent):
                    return int(path.parent.name)
        return None

    def stop(self, part: str, how: int = signal.SIGTERM) -> None:
        """End a part, and wait until it is gone; ``SIGSTOP`` and ``SIGCONT`` do what they do."""
        number = self.pid(part)
        if number is None:
            return
        os.kill(number, how)
        until = time.monotonic() + STOP_S
        while how in (signal.SIGTERM, signal.SIGKILL) and self.pid(part) is not None:
            if time.monotonic() > until:
                os.kill(number, signal.SIGKILL)
            time.sleep(0.05)

    def stop_all(self) -> None:
        """End everything, jobs first."""
        for part in ("execd", "qmaster"):
            if number := self.pid(part):
                os.kill(number, signal.SIGCONT)
            self.stop(part, signal.SIGKILL)
        mark = f"SGE_ROOT={self.folder}".encode()
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if int(path.name) != os.getpid() and mark in _environ(path):
                    os.kill(int(path.name), signal.SIGKILL)

    def run(self, *command: str, user: str = "", check: bool = True, text: str = "") -> Any:
        """Run a command of Grid Engine's, as somebody; as ``subprocess.run`` does."""
        environment = {"PATH": "/usr/bin:/bin", **self.environment}
        account: dict[str, object] = {}
        if user:
            found = pwd.getpwnam(user)
            groups = os.getgrouplist(user, found.pw_gid)
            account = {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": groups}
            environment |= {"HOME": found.pw_dir, "USER": user}
        return subprocess.run(
            command, env=environment, input=text, capture_output=True, text=True, check=check, cwd="/", timeout=120,
            **account,
        )  # fmt: skip

    def jobs(self) -> dict[str, str]:
        """The state of each job that the master knows."""
        tree = document(self.run("qstat", "-xml", "-u", "*").stdout, "job_info")
        return {one.findtext("JB_job_number", ""): one.findtext("state", "") for one in tree.iter("job_list")}

    def submit(self, script: str = "#!/bin/sh\nsleep 600\n", *options: str, user: str = "bhanna") -> str:
        """Hand a job in that is nobody's server; its id."""
        done = self.run("qsub", "-terse", "-j", "y", "-o", "/dev/null", *options, user=user, text=script)
        return str(done.stdout).strip()


def _names() -> Iterator[list[str]]:
    """The names of this computer's own addresses."""
    for line in Path("/etc/hosts").read_text().splitlines():
        words = line.partition("#")[0].split()
        if words and words[0] in ("127.0.0.1", "127.0.1.1"):
            yield words[1:]


def _changed(text: str, values: dict[str, str]) -> str:
    """Lines of ``name value`` with other values."""
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    kept = [f"{line.split()[0]} {values[line.split()[0]]}" if line.split()[0] in values else line for line in lines]
    return "\n".join(kept) + "\n"


def _environ(process: Path) -> list[bytes]:
    return (process / "environ").read_bytes().split(b"\0")


def missing() -> str:
    """Why there can be no Grid Engine here, "" where there can."""
    if os.geteuid() != 0:
        return "Grid Engine's tests act as other accounts: they need root"
    if why := closed():
        return why
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    lacking = [name for name in PROGRAMS if not shutil.which(name, path=path)]
    return f"not installed: {', '.join(lacking)} (tests/install_services)" if lacking else ""


@contextlib.contextmanager
def gridengine() -> Iterator[Cluster]:
    """Start a cluster, and end it with all its jobs."""
    accounts()
    folder = Path(tempfile.mkdtemp(prefix="bhgrid"))
    folder.chmod(0o755)
    cluster = Cluster(folder)
    try:
        cluster.start_all()
        yield cluster
    finally:
        cluster.stop_all()
        shutil.rmtree(folder, ignore_errors=True)
