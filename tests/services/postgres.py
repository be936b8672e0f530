"""A PostgreSQL server for tests: Debian's, in a folder of its own, gone with the tests."""

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

NOT_DURABLE = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "listen_addresses": "",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_connections": "200",
    "autovacuum": "off",  # no database lives long enough
    "dynamic_shared_memory_type": "mmap",  # in the folder, and gone with it
}
START_S = 30.0
MEMORY = Path("/dev/shm")  # a copy of a database takes 0.02 s there, 0.15 s on a disk
ROOM = 2 * 1024**3  # bytes that must be free there


class Postgres:
    """A running server; ``prepare`` fills, once, the database that all others are copies of."""

    def __init__(self, sockets: Path, prepare: Callable[[str], None] | None = None) -> None:
        self._sockets = sockets
        self._numbers = itertools.count(1)
        self._do("CREATE DATABASE prepared")
        if prepare is not None:
            prepare(self.url("prepared"))

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://test@/{database}?host={self._sockets}"

    @contextlib.contextmanager
    def database(self, template: str = "prepared") -> Iterator[str]:
        """The URL of a fresh database, which is dropped afterwards; ``template0`` makes an empty one."""
        name = f"test{next(self._numbers)}"
        self._do(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        try:
            yield self.url(name)
        finally:
            self._do(f"DROP DATABASE {name} WITH (FORCE)")

    def _do(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(f"host={self._sockets} user=test dbname=postgres", autocommit=True) as connection:
            connection.execute(statement)


@contextlib.contextmanager
def postgres(prepare: Callable[[str], None] | None = None) -> Iterator[Postgres]:
    """Start a server, and end it; it also ends if the tests are killed."""
    in_memory = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM
    # short, since a socket's name ends at 107 bytes
    folder = Path(tempfile.mkdtemp(prefix="pg", dir=MEMORY if in_memory else None))
    step_down = _account(folder)
    try:
        command = [_program("initdb"), "-A", "trust", "-U", "test", "--no-sync", "-E", "UTF8", "--locale=C"]
        subprocess.run([*step_down, *command, "-D", folder / "data"], check=True, stdout=subprocess.DEVNULL, cwd=folder)
        with (folder / "log").open("wb") as log, _server(folder, step_down, log) as server:
            _wait(server, folder)
            yield Postgres(folder, prepare)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _server(folder: Path, step_down: list[str], log) -> Iterator[subprocess.Popen]:
    settings = [part for name, value in NOT_DURABLE.items() for part in ("-c", f"{name}={value}")]
    command = [_program("postgres"), "-D", folder / "data", "-k", folder, *settings]
    # QUIT is PostgreSQL's "at once"; setpriv asks for it last, since a change of user forgets it
    with subprocess.Popen(
        [*(step_down or ["setpriv"]), "--pdeathsig", "QUIT", *command], stdout=log, stderr=log, cwd=folder
    ) as server:
        try:
            yield server
        finally:
            server.send_signal(signal.SIGQUIT)
            server.wait(10)


def _wait(server: subprocess.Popen, folder: Path) -> None:
    until = time.monotonic() + START_S
    ready = [_program("pg_isready"), "-q", "-h", folder, "-U", "test", "-d", "postgres"]
    while subprocess.run(ready, check=False).returncode:
        if server.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"PostgreSQL does not start:\n{(folder / 'log').read_text()}")
        time.sleep(0.05)


def _account(folder: Path) -> list[str]:
    """How to step down to a user that the server may run as: it refuses root."""
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam("postgres")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups"]


def _program(name: str) -> str:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    program = str(found[-1]) if found else shutil.which(name)
    if program is None:
        raise FileNotFoundError(f"PostgreSQL's {name} is not here; install it (Debian: apt-get install postgresql)")
    return program
