"""``beamhub processing`` again and again, each life ended as by SIGKILL at a named point of a run's way.

A program: for each line that it reads, the name of a point or ``none``, it starts the service anew, at once, and says
the process's id; and then its exit code. What a life leaves behind stays below this program, where it can be found.
A name after ``cut`` has the power of the disks cut at that point: the service's folder, and the one of its results.
"""

import functools
import os
import signal
import sqlite3
import sys
from pathlib import Path

POINTS = ("event committed", "submitted", "renamed", "result committed")
CUT = "cut "
FIRST = 4  # runs that a life brings to their end before it is ended, so that none is lost again and again


def end_at(line):
    """Have this process end at a point, once runs are under way."""
    import distributed

    from beamhub.processing import publication
    from beamhub.processing.store import Store

    finished = 0
    point = line.removeprefix(CUT)

    def end():
        if line.startswith(CUT):
            from services.power import cut

            cut(Path("results"), Path())
        os.kill(os.getpid(), signal.SIGKILL)

    def due(here):
        if here != point or finished < FIRST:
            return False
        with sqlite3.connect("file:beamhub.db?mode=ro", uri=True) as connection:
            return connection.execute("SELECT count(*) FROM run WHERE state = 'running'").fetchone()[0] > 0

    def after(owner, name, here, happened=bool):
        method = getattr(owner, name)

        @functools.wraps(method)
        def called(*args, **more):
            nonlocal finished
            answer = method(*args, **more)
            if happened(answer):
                finished += name == "publish" and owner is Store
                if due(here):
                    end()
            return answer

        setattr(owner, name, called)

    after(Store, "intake", "event committed")
    after(distributed.Client, "submit", "submitted", lambda _: True)
    after(publication, "sync_tree", "brought to disk", lambda _: True)
    after(publication, "publish", "renamed", lambda _: True)
    after(Store, "publish", "result committed")


def main():
    from beamhub.config import command
    from beamhub.processing import service  # noqa: F401
    from beamhub.processing.prctl import adopt_orphans, die_with_parent

    die_with_parent(signal.SIGKILL)
    adopt_orphans()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(2, 1)
            end_at(line.strip())
            os._exit(command.main(sys.argv[1:]))
        print(pid, flush=True)
        ended = None
        while ended is None:
            found, status = os.wait()
            ended = os.waitstatus_to_exitcode(status) if found == pid else None
        print(ended, flush=True)


if __name__ == "__main__":
    main()
