"""A Slurm whose nodes hold jobs in cgroups (of version 1): their memory is the kernel's to keep.

with slurm("bhg", kind=CgroupCluster) as cluster: ...
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from services.slurm import Cluster

MOUNTED = Path("/sys/fs/cgroup")
CONF = """CgroupPlugin=cgroup/v1
CgroupAutomount=no
ConstrainRAMSpace=yes
ConstrainSwapSpace=yes
ConstrainCores=no
ConstrainDevices=no
"""
INSTEAD = {
    "ProctrackType=proctrack/linuxproc": "ProctrackType=proctrack/cgroup",
    "TaskPlugin=task/none": "TaskPlugin=task/cgroup",
    "JobAcctGatherParams=OverMemoryKill\n": "",
}


class CgroupCluster(Cluster):
    """A cluster whose jobs are held in cgroups; none is left of them."""

    def __init__(self, folder: Path, name: str, extra: str = "", keeps: int = 15, cpus: int = 16) -> None:
        super().__init__(folder, name, extra, keeps, cpus)
        (folder / "etc/cgroup.conf").write_text(CONF)
        text = self.conf.read_text()
        for line, other in INSTEAD.items():
            assert line in text
            text = text.replace(line, other)
        self.conf.write_text(text)

    def cgroups(self) -> Iterator[Path]:
        """Those of this cluster's nodes, the innermost first."""
        for top in MOUNTED.glob(f"*/slurm_{self.name}[0-9]*"):
            yield from (Path(path) for path, _, _ in os.walk(top, topdown=False))

    def stop_all(self) -> None:
        """Also what is in cgroups, and these."""
        super().stop_all()
        until = time.monotonic() + 10
        while (left := list(self.cgroups())) and time.monotonic() < until:
            for path in left:
                with contextlib.suppress(OSError):
                    for number in (path / "cgroup.procs").read_text().split():
                        os.kill(int(number), signal.SIGKILL)
                with contextlib.suppress(OSError):
                    path.rmdir()
            time.sleep(0.02)


def missing() -> str:
    """Why nodes cannot hold jobs in cgroups here, "" where they can."""
    lacking = [name for name in ("memory", "freezer") if not os.access(MOUNTED / name / "cgroup.procs", os.W_OK)]
    return f"no cgroups of version 1 that may be written: {', '.join(lacking)}" if lacking else ""


__all__: Sequence[str] = ("CgroupCluster", "missing")
