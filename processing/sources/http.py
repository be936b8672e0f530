"""CloudEvents that services post: reading them, and whether the sender may tell of that path."""

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, Literal
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from beamhub.processing.api.body import first_mistake, read_json, refuse_unstorable
from beamhub.processing.errors import BadRequest, NotAllowed
from beamhub.processing.event import LONGEST_PATH, FileEvent
from beamhub.processing.settings import HttpSettings, Settings
from beamhub.processing.spelling import on_disk, shown, spelled

TYPES: dict[str, Literal["closed", "removed", "restored"]] = {
    "org.beamhub.file.closed": "closed",
    "org.beamhub.file.removed": "removed",
    "org.beamhub.file.restored": "restored",
}
MOST_EVENTS = 1000  # in one batch


class FileData(BaseModel):
    """The data of an event: which storage, and how large the file is."""

    model_config = ConfigDict(extra="allow")
    storage: str = Field(min_length=1, max_length=200)
    size: int = Field(default=0, ge=0, lt=2**63, strict=True)


class CloudEvent(BaseModel):
    """A CloudEvent 1.0 of a file; ``subject`` is the path below the storage's root."""

    model_config = ConfigDict(extra="allow")
    specversion: Literal["1.0"]
    id: str = Field(min_length=1, max_length=1000)
    source: str = Field(min_length=1, max_length=1000)
    type: str
    subject: str = Field(min_length=1, max_length=4096)
    time: datetime | None = None
    data: FileData


def read_events(content_type: str, headers: Mapping[str, str], body: bytes) -> list[CloudEvent]:
    """The events of a request: structured, batch, or binary (``ce-`` headers).

    Raises:
        BadRequest: there is none, or one is not right; the message names the first place.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/cloudevents-batch+json":
        found = read_json(body)
        if not isinstance(found, list):
            raise BadRequest("a batch is a JSON list of events")
        if len(found) > MOST_EVENTS:
            raise BadRequest(f"{len(found)} events in one batch are too many; send up to {MOST_EVENTS}")
        return [_event(one, str(number)) for number, one in enumerate(found)]
    if kind == "application/cloudevents+json":
        return [_event(read_json(body), "")]
    attributes = {
        name[3:].lower(): shown(unquote(value, errors="surrogateescape"))
        for name, value in headers.items()
        if name.lower().startswith("ce-")
    }
    if not attributes:
        raise BadRequest(
            "no CloudEvent: send application/cloudevents+json, a batch of them, or ce- headers with JSON data"
        )
    refuse_unstorable(attributes)
    return [_event({**attributes, "data": read_json(body)}, "")]


def file_event(event: CloudEvent, sender: str, settings: Settings) -> FileEvent:
    """What a CloudEvent of a sender says of a file, whose version the sender, the event's source and its id name.

    Raises:
        BadRequest: its type, storage or path is none of ours.
        NotAllowed: the sender is not named, or not for this storage or path.
    """
    if event.type not in TYPES:
        raise BadRequest(f"type {event.type[:100]!r} is unknown; possible: {', '.join(TYPES)}")
    storage = settings.storages.get(event.data.storage)
    if storage is None:
        raise BadRequest(f"data.storage: there is no storage {event.data.storage[:100]!r}")
    path = PurePosixPath(spelled(on_disk(event.subject)))  # which may be written in two ways
    too_long = len(str(path).encode()) > LONGEST_PATH
    if path.is_absolute() or ".." in path.parts or not path.parts or too_long:
        raise BadRequest(f"subject: {event.subject[:100]!r} is no path below the storage's root")
    version = f"{sender}|{event.source}|{event.id}" if event.type.endswith(".closed") else ""  # others tell of a path
    return FileEvent(
        source=source_for(settings, sender, event.data.storage, str(path)),
        instance=storage.instance or event.data.storage,
        file_id=version,
        storage=event.data.storage,
        path=str(path),
        size=event.data.size,
        time=_moment(event.time),
        kind=TYPES[event.type],
        raw=event.model_dump(mode="json"),
    )


def source_for(settings: Settings, sender: str, storage: str, path: str) -> str:
    """The name of the source by which a sender may tell of a path.

    Raises:
        NotAllowed: none; the sender is not named, or not for this storage or path.
    """
    known = False
    for name, source in settings.sources.items():
        allowed = source.senders.get(sender) if isinstance(source, HttpSettings) else None
        if allowed is None:
            continue
        known = True
        if storage in allowed.storages and any(_below(path, prefix) for prefix in allowed.prefixes):
            return name
    if known:
        raise NotAllowed(f"{sender} may not tell of {path[:200]!r} in storage {storage}", "path")
    raise NotAllowed(f"{sender} is named as a sender in no source of processing.yaml", "sender")


def _below(path: str, prefix: str) -> bool:
    parts, wanted = PurePosixPath(path).parts, PurePosixPath(prefix).parts
    return parts[: len(wanted)] == wanted


def _event(found: Any, where: str) -> CloudEvent:
    if isinstance(found, dict) and "data_base64" in found and "data" not in found:
        try:
            data = base64.b64decode(str(found["data_base64"]), validate=True)
        except (binascii.Error, ValueError):
            raise BadRequest(f"{where}.data_base64: no base64".lstrip(".")) from None
        found = {**found, "data": read_json(data)}
    try:
        return CloudEvent.model_validate(found)
    except ValidationError as error:
        raise BadRequest(first_mistake(error, where)) from None


def _moment(time: datetime | None) -> datetime:
    if time is None:
        return datetime.now(UTC)
    if not 1970 <= time.year <= 2200:
        raise BadRequest(f"time: {time.isoformat()} is no time at which a file was written")
    return time if time.tzinfo else time.replace(tzinfo=UTC)
