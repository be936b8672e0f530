"""Slurm's accounting for tests: a cluster with slurmdbd, and MariaDB below it, in the same folder.

with slurm("bhc", kind=AccountedCluster) as cluster:
    cluster.account("physics", "GrpTRES=cpu=2", people=["bhanna"])
    cluster.stop("slurmdbd"); cluster.stop("mariadbd")
"""

import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from services.ports import free_ports
from services.slurm import NODES, START_S, Cluster

CONF = """
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={port}
AccountingStoragePass={folder}/munge/sock
AccountingStorageTRES=gres/gpu
AccountingStorageEnforce=associations,limits,qos
"""
DAEMON = """
AuthType=auth/munge
AuthInfo=socket={folder}/munge/sock
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={port}
SlurmUser=slurm
PidFile={folder}/run/slurmdbd.pid
LogFile={folder}/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database}
StorageUser=slurm
StoragePass=pw
StorageLoc=sacct
"""
ACCESS = "create database sacct; " + "".join(
    f"create user slurm@{host} identified by 'pw'; grant all on sacct.* to slurm@{host}; "
    for host in ("127.0.0.1", "localhost")
)


class AccountedCluster(Cluster):
    """A cluster whose jobs are allowed, limited and written down by an accounting database."""

    def __init__(self, folder: Path, name: str, extra: str = "", keeps: int = 15, cpus: int = 16) -> None:
        port = free_ports(2)
        super().__init__(folder, name, extra + CONF.format(folder=folder, port=port), keeps, cpus)
        self.database = folder / "database"
        self.database.mkdir()
        shutil.chown(self.database, "mysql", "mysql")
        self._port = port + 1
        daemon = folder / "etc/slurmdbd.conf"
        daemon.write_text(DAEMON.format(folder=folder, port=port, database=self._port))
        daemon.chmod(0o600)
        shutil.chown(daemon, "slurm", "slurm")

    def start_all(self) -> None:
        """Start the database first: a controller learns its users from it."""
        self.start("munged")
        options = ["--no-defaults", "--user=mysql", f"--datadir={self.database}", "--skip-test-db"]
        options.append("--auth-root-authentication-method=normal")
        subprocess.run(["mariadb-install-db", *options], check=True, capture_output=True, cwd="/")
        self.start("mariadbd")
        self._sql(ACCESS)
        self.start("slurmdbd")
        self.manage("add", "cluster", self.name)
        self.start("slurmctld")
        for number in range(1, NODES + 1):
            self.start(f"slurmd.{self.name}{number}")
        self.wait_idle()

    def start(self, part: str) -> None:
        """Also ``mariadbd`` and ``slurmdbd``, until they answer."""
        if part == "mariadbd":
            options = ["--no-defaults", "--user=mysql", "--bind-address=127.0.0.1", f"--port={self._port}"]
            options += [f"--datadir={self.database}", f"--socket={self.database}/sock"]
            options += [f"--pid-file={self.folder}/run/mariadbd.pid", "--innodb-buffer-pool-size=64M"]
            with (self.folder / "log/mariadbd.log").open("ab") as log:
                subprocess.run(["setsid", "--fork", "mariadbd", *options], check=True, stdout=log, stderr=log, cwd="/")
            self._until(lambda: self._sql("select 1", check=False), part)
        elif part == "slurmdbd":
            environment = {"PATH": "/usr/sbin:/usr/bin", "SLURM_CONF": str(self.conf)}
            command = ["runuser", "-u", "slurm", "--", "slurmdbd"]
            subprocess.run(command, env=environment, check=True, cwd="/", stdout=-3, stderr=-3, timeout=60)
            self._until(lambda: self.run("sacctmgr", "-n", "show", "cluster", check=False).returncode == 0, part)
        else:
            super().start(part)

    def stop_all(self) -> None:
        """Jobs first, the database last."""
        super().stop_all()
        self.stop("slurmdbd", 9)
        self.stop("mariadbd", 9)

    def manage(self, *command: str) -> None:
        """A change by ``sacctmgr``."""
        self.run("sacctmgr", "-i", *command)

    def account(self, name: str, *limits: str, people: Sequence[str] = ()) -> None:
        """An account with its limits and the people in it."""
        self.manage("add", "account", name, f"Cluster={self.name}", *limits)
        for person in people:
            self.manage("add", "user", person, f"Account={name}")

    def _sql(self, text: str, check: bool = True) -> bool:
        command = ["mariadb", "--no-defaults", "-u", "root", "-S", self.database / "sock", "-e", text]
        return subprocess.run(command, check=check, capture_output=True, cwd="/").returncode == 0

    def _until(self, answers: Callable[[], bool], part: str) -> None:
        until = time.monotonic() + START_S
        while not answers():
            if time.monotonic() > until:
                log = self.folder / f"log/{part}.log"
                raise TimeoutError(f"{part} does not answer:\n{log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.05)


__all__: Sequence[str] = ("AccountedCluster",)
