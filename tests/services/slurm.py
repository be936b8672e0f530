"""A real Slurm for tests: Debian's, munge and all, in a folder of its own, with four nodes that are this computer.

    with slurm(people=["anna"]) as cluster:
        cluster.run("sinfo")                      # as the Hub's account would ask
        cluster.stop("slurmctld"); cluster.start("slurmctld")

Several may run side by side: ``SLURM_CONF`` alone says which one is meant.
"""

import contextlib
import fcntl
import grp
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from services.ports import free_ports
from services.software import closed

NODES = 4
START_S = 30.0
PROGRAMS = ("munged", "slurmctld", "slurmd", "slurmdbd", "mariadbd", "sbatch", "ch-run", "podman", "runc", "shellcheck")
PEOPLE = {"bhanna": 4201, "bhbob": 4202, "bhcarl": 4203, "bhdora": 4204}  # accounts that tests act as
GROUP = "bhusers"
HUB = "bhhub"
CONF = """
ClusterName={name}
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={daemon}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/sock
CredType=cred/munge
SlurmUser=slurm
SlurmdUser=root
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd.%n.pid
SlurmdSpoolDir={folder}/spool/%n
StateSaveLocation={folder}/state
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
MpiDefault=none
SwitchType=switch/none
JobCompType=jobcomp/none
ReturnToService=2
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=0,batch_sched_delay=0,sched_interval=1,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=100
GresTypes=gpu
MinJobAge={keeps}
SlurmdTimeout=10
KillWait=3
MessageTimeout=5
EnforcePartLimits=ALL
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PluginDir=/usr/lib/x86_64-linux-gnu/slurm-wlm
{extra}
NodeName=DEFAULT CPUs={cpus} RealMemory=50000 State=UNKNOWN
NodeName={name}[1-3] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{third}] Feature=cpu
NodeName={name}4 NodeHostname={host} NodeAddr=127.0.0.1 Port={fourth} Feature=gpunode Gres=gpu:a100:4
PartitionName=short Nodes={name}[1-4] Default=YES MaxTime=0-02:00:00 DefaultTime=10 PriorityTier=1 State=UP
PartitionName=long Nodes={name}[1-3] MaxTime=7-00:00:00 AllowGroups={group} State=UP
PartitionName=closed Nodes={name}[1-3] MaxTime=1-00:00:00 AllowGroups=root State=UP
PartitionName=low Nodes={name}[1-4] MaxTime=1-00:00:00 PriorityTier=1 PreemptMode=REQUEUE State=UP
PartitionName=high Nodes={name}[1-4] MaxTime=1-00:00:00 PriorityTier=10 PreemptMode=OFF State=UP
"""


class Cluster:
    """A running cluster; its files are in ``folder``, ``conf`` is its ``SLURM_CONF``."""

    def __init__(self, folder: Path, name: str, extra: str = "", keeps: int = 15, cpus: int = 16) -> None:
        self.folder, self.name = folder, name
        self.conf = folder / "etc/slurm.conf"
        ports = free_ports(2 + NODES)
        spools = [f"spool/{name}{number}" for number in range(1, NODES + 1)]
        for part in ("etc", "state", "log", "run", "munge", *spools):
            (folder / part).mkdir(parents=True)
        self.conf.write_text(
            CONF.format(
                name=name, host=socket.gethostname().split(".")[0], folder=folder, port=ports, daemon=ports + 1,
                first=ports + 2, third=ports + 4, fourth=ports + 5, extra=extra, group=GROUP, keeps=keeps,
                cpus=cpus,
            )
        )  # fmt: skip
        (folder / "etc/gres.conf").write_text(f"NodeName={name}4 Name=gpu Type=a100 File=/dev/tty[0-3]\n")
        for part in ("state", "log", "run"):
            shutil.chown(folder / part, "slurm", "slurm")
            (folder / part).chmod(0o777 if part == "run" else 0o755)
        (folder / "munge").chmod(0o755)

    def start_all(self) -> None:
        """Start everything, and wait until its nodes are idle."""
        self.start("munged")
        self.start("slurmctld")
        for number in range(1, NODES + 1):
            self.start(f"slurmd.{self.name}{number}")
        self.wait_idle()

    def wait_idle(self, count: int = NODES, within_s: float = START_S) -> None:
        """Wait until so many nodes take jobs."""
        until = time.monotonic() + within_s
        while True:
            done = self.run("sinfo", "-h", "-N", "-p", "low", "-o", "%T", check=False)
            if done.stdout.split().count("idle") >= count:
                return
            if time.monotonic() > until:
                raise TimeoutError(f"Slurm's nodes are not idle: {done.stdout} {done.stderr}\n{self.log()}")
            time.sleep(0.05)

    def log(self) -> str:
        """The end of the controller's log."""
        path = self.folder / "log/slurmctld.log"
        return path.read_text(errors="replace")[-3000:] if path.exists() else ""

    def start(self, part: str) -> None:
        """Start ``munged``, ``slurmctld`` or ``slurmd.NODE``."""
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SLURM_CONF": str(self.conf)}
        munge = self.folder / "munge"
        if part == "munged":
            if not (munge / "key").exists():
                subprocess.run(["mungekey", "-c", "-k", munge / "key"], check=True)
            command = [
                "munged", f"--socket={munge}/sock", f"--key-file={munge}/key", f"--pid-file={munge}/pid",
                f"--log-file={munge}/log", f"--seed-file={munge}/seed", "--force",
            ]  # fmt: skip
        elif part == "slurmctld":
            command = ["runuser", "-u", "slurm", "--", "slurmctld"]
        else:
            command = ["slurmd", "-N", part.partition(".")[2]]
        subprocess.run(command, env=environment, check=True, cwd="/", stdout=-3, stderr=-3, timeout=60)

    def pid(self, part: str) -> int | None:
        """The process of a part, where it runs."""
        path = self.folder / ("munge/pid" if part == "munged" else f"run/{part}.pid")
        try:
            number = int(path.read_text())
            state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, ValueError):
            return None
        return None if state == "Z" else number

    def stop(self, part: str, how: int = signal.SIGTERM) -> None:
        """End a part, and wait until it is gone; ``SIGSTOP`` and ``SIGCONT`` do what they do."""
        number = self.pid(part)
        if number is None:
            return
        os.kill(number, how)
        until = time.monotonic() + 20
        while how in (signal.SIGTERM, signal.SIGKILL) and self.pid(part) is not None:
            if time.monotonic() > until:
                os.kill(number, signal.SIGKILL)
            time.sleep(0.02)

    def stop_all(self) -> None:
        """End everything, jobs first."""
        if self.pid("slurmctld"):
            os.kill(self.pid("slurmctld") or 0, signal.SIGCONT)
        self.run("scancel", "--user=root", *(f"--user={name}" for name in PEOPLE), check=False)
        self._end_jobs()
        for number in range(1, NODES + 1):
            self.stop(f"slurmd.{self.name}{number}", signal.SIGKILL)
        self.stop("slurmctld", signal.SIGKILL)
        self.stop("munged")

    def _end_jobs(self) -> None:
        """Kill what runs in jobs: their environment names this cluster."""
        mark = f"SLURM_CONF={self.conf}".encode()
        for path in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                found = path.read_bytes().split(b"\0")
                if mark in found and any(one.startswith(b"SLURM_JOB_ID=") for one in found):
                    os.kill(int(path.parent.name), signal.SIGKILL)

    def run(self, *command: str, user: str = "", check: bool = True, text: str = "") -> Any:
        """Run a command of Slurm's, as somebody; as ``subprocess.run`` does."""
        environment = {"PATH": "/usr/bin:/bin", "SLURM_CONF": str(self.conf)}
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

    def reconfigure(self, line: str) -> None:
        """Have a line in the configuration as well, at once; "" takes the last one out again."""
        text, _, _ = self.conf.read_text().partition("# added\n")
        self.conf.write_text(f"{text}# added\n{line}\n")
        self.run("scontrol", "reconfigure")

    def jobs(self, *which: str) -> dict[str, str]:
        """The state of each job that the controller knows."""
        out = self.run("squeue", "-h", "-t", "all", "-o", "%i %T", *which).stdout
        return dict(line.split() for line in out.splitlines())

    def submit(self, script: str = "#!/bin/sh\nsleep 600\n", *options: str, user: str = "") -> str:
        """Hand a job in that is nobody's server; its id."""
        done = self.run("sbatch", "--parsable", "-o", "/dev/null", *options, user=user, text=script)
        return re.sub(r"\D.*", "", done.stdout.strip())


Kind = TypeVar("Kind", bound=Cluster)


def accounts() -> None:
    """Make the accounts that tests act as, where they are not there yet; they stay."""
    with open("/run/lock/bhaccounts", "w") as lock:  # another lane may be at it
        fcntl.flock(lock, fcntl.LOCK_EX)
        _accounts()


def _accounts() -> None:
    try:
        grp.getgrnam(GROUP)
    except KeyError:
        subprocess.run(["groupadd", "-f", GROUP], check=True)
    for name, number in PEOPLE.items():
        with contextlib.suppress(KeyError):
            pwd.getpwnam(name)
            continue
        command = ["useradd", "-m", "-u", str(number), "-G", GROUP, "-s", "/bin/bash", name]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    try:
        pwd.getpwnam(HUB)
    except KeyError:
        subprocess.run(["useradd", "-r", "-m", "-s", "/usr/sbin/nologin", HUB], check=True)


def missing() -> str:
    """Why there can be no Slurm here, "" where there can."""
    if os.geteuid() != 0:
        return "Slurm's tests act as other accounts: they need root"
    if why := closed():
        return why
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    lacking = [name for name in (*PROGRAMS, "sudo") if not shutil.which(name, path=path)]
    return f"not installed: {', '.join(lacking)} (tests/install_services)" if lacking else ""


@contextlib.contextmanager
def slurm(
    name: str = "bha",
    extra: str = "",
    keeps: int = 15,
    cpus: int = 16,
    kind: type[Kind] = Cluster,  # type: ignore[assignment]
) -> Iterator[Kind]:
    """Start a cluster, of a kind of its own where that is needed, and end it with all its jobs."""
    accounts()
    folder = Path(tempfile.mkdtemp(prefix="bhslurm"))
    folder.chmod(0o755)
    cluster = kind(folder, name, extra, keeps, cpus)
    try:
        cluster.start_all()
        yield cluster
    finally:
        cluster.stop_all()
        shutil.rmtree(folder, ignore_errors=True)


def address() -> str:
    """An address of this computer that is not loopback, by which nodes are reached in tests; nothing leaves it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # sends nothing
        return str(probe.getsockname()[0])
    return ""


__all__: Sequence[str] = ("GROUP", "HUB", "PEOPLE", "Cluster", "accounts", "address", "missing", "slurm")
