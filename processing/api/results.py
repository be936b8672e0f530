"""Results: the output file, the preview, the image and its values, the default plot."""

import asyncio
import hashlib
import io
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image as Picture
from tornado.web import StaticFileHandler

from beamhub.catalog.records import Problem, Run
from beamhub.processing.api.runs import RunHandler
from beamhub.processing.colours import MAPS, SCALES
from beamhub.processing.errors import Away, BadRequest, NotFound
from beamhub.processing.image_reader import Busy
from beamhub.processing.reading_child import Answer, NoAnswer
from beamhub.processing.storage import OutsideStorage, resolve_beneath

WIDTHS = (16, 2048)
SIZES = (1, 64)  # pixels of a side of what is told by value
IMAGE = "BeamHub-Image"  # the header that says how a picture was made
KEEP = "private, max-age=31536000, immutable"  # of a result, which never changes


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

    def within(self, name: str, bounds: tuple[int, int]) -> int | None:
        """A query parameter as a number of pixels."""
        value = self.number(name)
        if value is not None and not bounds[0] <= value <= bounds[1]:
            raise BadRequest(f"{name}={value} is not between {bounds[0]} and {bounds[1]} pixels")
        return value

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
        self.set_header("Cache-Control", KEEP)


class Preview(ResultHandler):
    """``results/{id}/preview.png``: a picture of it."""

    known = ("width",)

    async def get(self, number: str) -> None:
        """The picture, at most ``width`` pixels wide."""
        width = self.within("width", WIDTHS)
        run, path = await self.place(number, "preview")
        picture = await asyncio.to_thread(_resized, path, width)
        self.set_header("Content-Type", "image/png")
        self.set_header("Cache-Control", KEEP)
        self.tag = f'"{run.id}-{run.attempts}-{width}"'
        self.finish(picture)


class ImageHandler(ResultHandler):
    """Base of what is made of the image in an output."""

    async def made(self, number: str, make: str, **how: Any) -> Answer:
        """What a function of :mod:`beamhub.processing.images` makes of it; the answer's tag is of all that was asked.

        Raises:
            NotFound: there is no image in the output, or none that can be drawn; says why.
            Away: it takes too long.
        """
        run, path = await self.place(number, "output")
        try:
            told, content = await self.service.images.ask(make, path, **how)
        except Busy as error:
            raise Away(str(error), "busy") from None
        except NoAnswer as error:
            raise Away(f"the output of run {run.id} {error}", "image") from None
        if "wrong" in told:
            raise NotFound(f"run {run.id} has no image: {told['wrong']}", "image")
        asked = hashlib.sha256(json.dumps([make, how]).encode()).hexdigest()[:16]
        self.tag = f'"{run.id}-{run.attempts}-{asked}"'
        self.set_header("Cache-Control", KEEP)
        return told, content


class Image(ImageHandler):
    """``results/{id}/image``: a picture of the image in the output, as asked."""

    known = ("frame", "width", "scale", "low", "high", "colours")

    async def get(self, number: str) -> None:
        """The picture; the header ``BeamHub-Image`` says how it was made."""
        low, high = self.decimal("low"), self.decimal("high")
        if low is not None and high is not None and low >= high:
            raise BadRequest(f"low={low:g} is not below high={high:g}")
        how = {
            "frame": self.number("frame") or 0,
            "width": self.within("width", WIDTHS) or 512,
            "scale": self.one_of("scale", SCALES) or "",
            "low": low,
            "high": high,
            "colour_map": self.one_of("colours", MAPS) or "viridis",
        }
        told, content = await self.made(number, "picture", **how)
        self.set_header("Content-Type", "image/png")
        self.set_header(IMAGE, json.dumps(told))
        self.finish(content)


class Pixels(ImageHandler):
    """``results/{id}/pixels``: the values of a small part of it."""

    known = ("frame", "x", "y", "size")

    async def get(self, number: str) -> None:
        """``size`` by ``size`` values from column ``x`` and row ``y`` on, null where there is none."""
        how = {"frame": self.number("frame") or 0, "x": self.number("x") or 0, "y": self.number("y") or 0}
        _, content = await self.made(number, "pixels", **how, size=self.within("size", SIZES) or 32)
        self.finish(content)


class DefaultPlot(ResultHandler):
    """``results/{id}/plot``: the default plot's arrays."""

    async def get(self, number: str) -> None:
        """The plot, as it was made when the function ended."""
        _, path = await self.place(number, "plot")
        self.finish(await asyncio.to_thread(path.read_bytes))


@lru_cache(maxsize=256)
def _resized(path: Path, width: int | None) -> bytes:
    content = path.read_bytes()
    with Picture.open(io.BytesIO(content)) as picture:
        if width is None or width >= picture.width:
            return content
        smaller = picture.resize((width, max(1, round(picture.height * width / picture.width))))
    out = io.BytesIO()
    smaller.save(out, "PNG", optimize=True)
    return out.getvalue()
