"""Results: the output file, the preview, the default plot."""

import asyncio
import io
from functools import lru_cache
from pathlib import Path

from PIL import Image
from tornado.web import StaticFileHandler

from beamhub.catalog.records import Problem, Run
from beamhub.processing.api.runs import RunHandler
from beamhub.processing.errors import BadRequest, NotFound
from beamhub.processing.storage import OutsideStorage, resolve_beneath

WIDTHS = (16, 2048)


class ResultHandler(RunHandler):
    """Base of the handlers of results."""

    async def place(self, number: str, what: str) -> tuple[Run, Path]:
        """The run, and one of its files."""
        run = await self.one(number)
        name = run.provenance[what]
        if not name:
            raise NotFound(f"run {run.id} is {run.state} and has no {what}")
        where = f"{run.provenance['folder']}/{name}"
        try:
            path = await asyncio.to_thread(resolve_beneath, self.service.settings.results, where)
        except (OSError, OutsideStorage):
            raise NotFound(f"the {what} of run {run.id} is not on disk any more") from None
        self.tag = f'"{run.id}-{run.attempts}"'
        return run, path

    def compute_etag(self) -> str | None:
        """A published result never changes, so its run and attempt name its content."""
        return getattr(self, "tag", None)


class ResultFile(ResultHandler, StaticFileHandler):
    """``results/{id}/file``: the output, whole or a range of it."""

    def initialize(self, service: object) -> None:  # type: ignore[override]
        """Called by tornado for each request."""
        super().initialize(service)  # type: ignore[arg-type]
        self.default_filename = None

    async def get(self, number: str, include_body: bool = True) -> None:
        """The file."""
        run, path = await self.place(number, "output")
        self.root = str(path.parent)
        name = "".join(c if c.isascii() and (c.isalnum() or c in "._- ") else "_" for c in path.name)
        self.set_header("Content-Disposition", f'attachment; filename="run-{run.id}-{name}"')
        await StaticFileHandler.get(self, path.name, include_body)
        if self.get_status() == 416:
            self.set_header("Content-Type", "application/json; charset=utf-8")
            asked, size = self.request.headers["Range"][:100], path.stat().st_size
            told = f"the range {asked!r} lies outside of the file's {size} bytes"
            self.refuse(Problem(message=told, reason="range", code=416))

    async def head(self, number: str) -> None:
        """Its size."""
        await self.get(number, include_body=False)

    def get_content_type(self) -> str:
        """HDF5 has a type of its own."""
        return "application/x-hdf5"

    def set_extra_headers(self, path: str) -> None:
        """A published result never changes."""
        self.set_header("Cache-Control", "private, max-age=31536000, immutable")


class Preview(ResultHandler):
    """``results/{id}/preview.png``: a picture of it."""

    known = ("width",)

    async def get(self, number: str) -> None:
        """The picture, at most ``width`` pixels wide."""
        width = self.number("width")
        if width is not None and not WIDTHS[0] <= width <= WIDTHS[1]:
            raise BadRequest(f"width={width} is not between {WIDTHS[0]} and {WIDTHS[1]} pixels")
        run, path = await self.place(number, "preview")
        picture = await asyncio.to_thread(_resized, path, width)
        self.set_header("Content-Type", "image/png")
        self.set_header("Cache-Control", "private, max-age=31536000, immutable")
        self.tag = f'"{run.id}-{run.attempts}-{width}"'
        self.finish(picture)


class DefaultPlot(ResultHandler):
    """``results/{id}/plot``: the default plot's arrays."""

    async def get(self, number: str) -> None:
        """The plot, as it was made when the function ended."""
        _, path = await self.place(number, "plot")
        self.finish(await asyncio.to_thread(path.read_bytes))


@lru_cache(maxsize=256)
def _resized(path: Path, width: int | None) -> bytes:
    content = path.read_bytes()
    with Image.open(io.BytesIO(content)) as picture:
        if width is None or width >= picture.width:
            return content
        smaller = picture.resize((width, max(1, round(picture.height * width / picture.width))))
    out = io.BytesIO()
    smaller.save(out, "PNG", optimize=True)
    return out.getvalue()
