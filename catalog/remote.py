"""A run's output as something that HDF5 can open: the file itself where it is visible here, else read over HTTP."""

import io
import os
from collections import OrderedDict
from pathlib import Path

from beamhub.catalog import requests
from beamhub.catalog.client import Client
from beamhub.catalog.errors import CatalogError
from beamhub.catalog.records import Run

BLOCK = 1 << 20  # bytes asked for at a time
KEPT = 64  # blocks


def open_result(client: Client, run: Run) -> str | io.RawIOBase:
    """What to hand to ``h5py.File``: a path, or a file-like object that reads ranges.

    Raises:
        CatalogError: the run has no output, or the service does not give it.
    """
    if "file" not in run.has:
        raise CatalogError(f"run {run.id} is {run.state} and has no output")
    if not run.output:
        run = client.send(requests.run(run.id))
    if Path(run.output).is_file() and os.access(run.output, os.R_OK):
        return run.output
    return RemoteFile(client, run.id)


class RemoteFile(io.RawIOBase):
    """The output of a run, read in blocks as they are needed."""

    def __init__(self, client: Client, number: int) -> None:
        self._client, self._number, self._at = client, number, 0
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._size = self._find_size()

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
        """Go somewhere else."""
        self._at = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence] + offset
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer from here on, as far as the file goes."""
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
            end = min((number + 1) * BLOCK, self._size)
            self._blocks[number] = self._client.send(requests.result_file(self._number, number * BLOCK, end))
            while len(self._blocks) > KEPT:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(number)
        return self._blocks[number]

    def _find_size(self) -> int:
        return self._client.size(requests.result_file(self._number))
