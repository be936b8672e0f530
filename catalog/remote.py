"""A run's output as something that HDF5 can open: the file itself where it is visible here, else read over HTTP."""

import io
import os
from collections import OrderedDict
from pathlib import Path

from beamhub.catalog import requests
from beamhub.catalog.client import Client
from beamhub.catalog.errors import NoOutput, ServiceDown
from beamhub.catalog.records import Run

BLOCK = 1 << 20  # bytes asked for at a time
KEPT = 64  # blocks


def open_result(client: Client, run: Run) -> str | io.RawIOBase:
    """What to hand to ``h5py.File``: a path, or a file-like object that reads ranges.

    Raises:
        NoOutput: the run has none.
        CatalogError: the service does not give it.
    """
    if "file" not in run.has:
        raise NoOutput(f"run {run.id} is {run.state} and has no output; choose one that is done")
    if not run.output:
        run = client.send(requests.run(run.id))
    if Path(run.output).is_file() and os.access(run.output, os.R_OK):
        return run.output
    return RemoteFile(client, run.id)


class RemoteFile(io.RawIOBase):
    """The output of a run, read in blocks as they are needed; a published output never changes."""

    def __init__(self, client: Client, number: int) -> None:
        self._client, self._number, self._at = client, number, 0
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._size = client.size(requests.result_file(number))

    def __repr__(self) -> str:
        return f"<output of run {self._number}, {self._size} bytes, read over HTTP>"

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Where the next byte is read."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go somewhere else.

        Raises:
            ValueError: that lies before the beginning.
        """
        at = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence] + offset
        if at < 0:
            raise ValueError(f"byte {at} lies before the beginning of the file")
        self._at = at
        return at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer from here on, as far as the file goes.

        Raises:
            CatalogError: the service does not give it.
        """
        wanted = max(0, min(len(buffer), self._size - self._at))
        done = 0
        while done < wanted:
            number, offset = divmod(self._at, BLOCK)
            part = self._block(number)[offset : offset + wanted - done]
            buffer[done : done + len(part)] = part
            done += len(part)
            self._at += len(part)
        return done

    def _block(self, number: int) -> bytes:
        if number not in self._blocks:
            self._blocks[number] = self._fetch(number * BLOCK, min((number + 1) * BLOCK, self._size))
            while len(self._blocks) > KEPT:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(number)
        return self._blocks[number]

    def _fetch(self, begin: int, end: int) -> bytes:
        found = self._client.send(requests.result_file(self._number, begin, end))
        if len(found) == self._size:  # something between us and the service does not know ranges
            found = found[begin:end]
        if len(found) != end - begin:
            got = f"{len(found)} bytes instead of {end - begin}"
            raise ServiceDown(f"the output of run {self._number} came in the wrong size ({got}); try again")
        return found
