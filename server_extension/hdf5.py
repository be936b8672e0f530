"""``hdf5/{run}/…``: the content of a run's output in h5grove's words, read beside the event loop."""

import asyncio
import json
import os
import tempfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, ClassVar

from jupyter_server.auth.decorator import authorized
from tornado import web

from beamhub.server_extension.handlers import RESOURCE, Handler
from beamhub.server_extension.upstream import Down

LARGEST = 64 * 2**20  # bytes of one answer, and of an output that is fetched
KEPT = 8  # fetched outputs


class Hdf5(Handler):
    """Meta, attributes, data and paths of an output."""

    _fetched: ClassVar[OrderedDict[int, Path]] = OrderedDict()

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    async def get(self, number: str, what: str) -> None:
        """One of them at ``path``, of a ``selection`` where given."""
        try:
            path = await self._path(int(number))
        except (Down, OSError) as error:
            self.refuse(503, "down", str(error))
            return
        if path is None:
            return
        asked = {
            name: self.get_query_argument(name, None) for name in ("path", "selection", "format", "dtype", "flatten")
        }
        try:
            content, headers = await asyncio.to_thread(_read, path, what, asked)
        except (KeyError, ValueError, TypeError, OSError, IndexError) as error:
            self.refuse(400, "bad-request", f"{what} of {asked['path'] or '/'}: {str(error)[:300]}")
            return
        for name, value in headers.items():
            self.set_header(name, value)
        self.finish(content, set_content_type=headers.get("Content-Type", "application/json"))

    async def _path(self, number: int) -> Path | None:
        """The output where it is visible, else fetched; None after a refusal was sent."""
        answer = await self.shared.upstream.send("GET", f"runs/{number}")
        if answer.code != 200:
            self.set_status(answer.code)
            self.finish(answer.body)
            return None
        run = json.loads(answer.body)
        if run["output"] and os.access(run["output"], os.R_OK):
            return Path(run["output"])
        if number in self._fetched:
            return self._fetched[number]
        answer = await self.shared.upstream.send("GET", f"results/{number}/file")
        if answer.code != 200 or len(answer.body) > LARGEST:
            self.refuse(409, "no-output", f"run {number} has no output that could be read here")
            return None
        self._fetched[number] = await asyncio.to_thread(_keep, answer.body)
        while len(self._fetched) > KEPT:
            self._fetched.popitem(last=False)[1].unlink(missing_ok=True)
        return self._fetched[number]


def _keep(content: bytes) -> Path:
    handle, name = tempfile.mkstemp(".h5", "beamhub-")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    return Path(name)


def _read(path: Path, what: str, asked: dict[str, str | None]) -> tuple[bytes, dict[str, str]]:
    """What h5grove makes of one place in a file, with the headers that say what it is."""
    from h5grove.content import get_content_from_file, get_list_of_paths
    from h5grove.encoders import encode

    where = asked["path"] or "/"
    if what == "paths":
        with get_list_of_paths(str(path), where, _not_there) as paths:
            return _sent(encode(paths, "json"))
    with get_content_from_file(str(path), where, _not_there) as content:
        if what == "meta":
            return _sent(encode(content.metadata(), "json"))
        return _sent(_of_data(content, what, asked))


def _of_data(content: Any, what: str, asked: dict[str, str | None]) -> Any:
    """Attributes, statistics or values of what a path leads to."""
    from h5grove.content import DatasetContent, ResolvedEntityContent
    from h5grove.encoders import encode

    if not isinstance(content, ResolvedEntityContent):
        raise ValueError("is a link that leads nowhere")
    if what == "attr":
        return encode(content.attributes(), "json")
    if not isinstance(content, DatasetContent):
        raise TypeError("is no dataset")
    if what == "stats":
        return encode(content.data_stats(asked["selection"]), "json")
    data = content.data(asked["selection"], asked["flatten"] == "true", asked["dtype"] or "origin")
    if getattr(data, "nbytes", 0) > LARGEST:
        raise ValueError(f"is larger than {LARGEST} bytes; select a part of it")
    return encode(data, asked["format"] or "json")


def _sent(response: Any) -> tuple[bytes, dict[str, str]]:
    return response.content, response.headers


def _not_there(code: int, message: str) -> Exception:
    return KeyError(message)
