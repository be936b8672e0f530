"""compute.yaml: sites where servers run, environments that they run in, profiles that people choose."""

import ipaddress
import re
from collections.abc import Iterable
from importlib.metadata import entry_points
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from beamhub.config.kinds import Kinds, each_of
from beamhub.config.mistakes import did_you_mean
from beamhub.config.quantities import Duration, Size
from beamhub.config.schema import or_bare

Value = TypeVar("Value")
Where = tuple[str | int, ...]
GROUP = "beamhub.sites"
NAME = re.compile(r"[a-z0-9][a-z0-9_\-]{0,39}")
NOWHERE = "192.0.2.0/24"  # RFC 5737: no computer has such an address; stands where the right one is to be filled in


class Part(BaseModel):
    """What all parts of the file share."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _ports(value: object) -> object:
    """``20000-29999`` as first and last."""
    if isinstance(value, str) and (found := re.fullmatch(r"(\d{1,5})\s*-\s*(\d{1,5})", value)):
        first, last = int(found[1]), int(found[2])
        if 1 <= first <= last <= 65535:
            return first, last
    if value is None or isinstance(value, tuple):
        return value
    raise PydanticCustomError(
        "ports", "{value} is no range of ports; write it like 20000-29999", {"value": repr(value)}
    )


def _address(value: object) -> object:
    parts = urlsplit(value) if isinstance(value, str) else None
    if parts is None or (value and (parts.scheme not in ("http", "https") or not parts.hostname)):
        raise PydanticCustomError(
            "url", "{value} is no address; write it like https://jupyter.example.org", {"value": repr(value)}
        )
    return value


def _network(value: object) -> object:
    try:
        return ipaddress.ip_network(str(value), strict=False)
    except ValueError:
        raise PydanticCustomError(
            "network", "{value} is no network; write it like 10.0.0.0/16", {"value": repr(value)}
        ) from None


Network = Annotated[ipaddress.IPv4Network | ipaddress.IPv6Network, BeforeValidator(_network)]
Ports = Annotated[
    tuple[int, int] | None,
    BeforeValidator(_ports),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,5} *- *[0-9]{1,5}$", "examples": ["20000-29999"]}),
]
Address = Annotated[str, BeforeValidator(_address)]


class SiteConfig(Part):
    """What every site says; each kind adds its own keys.

    ``hub_url`` and ``service_url`` are how its servers reach the Hub and the processing service, by default the Hub's
    public address. ``networks`` are where its servers may be, ``ports`` which ports they may take.
    """

    kind: str
    title: str = ""
    hub_url: Address = ""
    service_url: Address = ""
    networks: list[Network] = []
    ports: Ports = None
    data: list[str] = []
    start_timeout: Duration = 120.0
    queue_timeout: Duration = 0.0

    @field_validator("networks")
    @classmethod
    def _filled_in(cls, value: list[Network]) -> list[Network]:
        if NOWHERE in map(str, value):
            raise PydanticCustomError(
                "nowhere",
                "{nowhere} is to be filled in: say where the nodes are, like 10.0.0.0/16",
                {"nowhere": NOWHERE},
            )
        return value

    @model_validator(mode="after")
    def _reachable(self) -> "SiteConfig":
        for url in (self.hub_url, self.service_url):
            if self.kind != "local" and url and _is_loopback(urlsplit(url).hostname or ""):
                raise PydanticCustomError(
                    "loopback",
                    "servers of this site cannot reach {url}; give an address of the Hub's machine",
                    {"url": url},
                )
        return self


class Choice(Part, Generic[Value]):
    """What people can choose from; a single value in the file is a choice of one."""

    choices: list[Value] = Field(min_length=1)
    default: Value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The mapping, or a single value."""
        return or_bare(core, handler, "default")

    @model_validator(mode="before")
    @classmethod
    def _single(cls, value: Any) -> Any:
        if isinstance(value, dict) and "choices" in value:
            first = value["choices"][0] if isinstance(value["choices"], list) and value["choices"] else None
            return {"default": first, **value}
        return {"choices": [value], "default": value}

    @model_validator(mode="after")
    def _one_of_them(self) -> "Choice[Value]":
        if self.default not in self.choices:
            raise PydanticCustomError("default", "the default is none of the choices; take one of them")
        return self


class Memory(Part):
    """Bytes for each core, or bytes to choose from."""

    per_core: Size | None = None
    amounts: Choice[Size] | None = None

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """``per_core``, or a choice of amounts."""
        return or_bare(core, handler, "amounts")

    @model_validator(mode="before")
    @classmethod
    def _either(cls, value: Any) -> Any:
        if isinstance(value, dict) and "per_core" in value:
            return value
        return {"amounts": value}


class Environment(Part):
    """Software, in the forms that sites can start: a folder of programs, a container image, modules."""

    title: str
    description: str = ""
    python: str = ""
    image: str = ""
    modules: list[str] = []


class Profile(Part):
    """What a scientist chooses; ``groups`` says who may, nobody named means everybody."""

    title: str
    description: str = ""
    sites: list[str] = Field(min_length=1)
    environments: list[str] = Field(min_length=1)
    cores: Choice[Annotated[int, Field(ge=1, le=4096)]] = Choice[int](choices=[1], default=1)
    memory: Memory = Memory(per_core=2 * 2**30)
    gpus: Choice[Annotated[int, Field(ge=0, le=64)]] = Choice[int](choices=[0], default=0)
    walltime: Choice[Duration] | None = None
    groups: list[str] = []


class Catalogue(Part):
    """The whole file."""

    sites: Annotated[dict[str, Any], Kinds(lambda: site_kinds())] = Field(min_length=1)
    environments: dict[str, Environment] = Field(min_length=1)
    profiles: dict[str, Profile] = Field(min_length=1)

    @field_validator("sites")
    @classmethod
    def _kinds(cls, sites: dict[str, Any], info: ValidationInfo) -> dict[str, SiteConfig]:
        kinds = (info.context or {}).get("kinds") or site_kinds()
        return each_of(sites, lambda value: _kind(value, kinds), info.context)

    def mistakes(self) -> Iterable[tuple[Where, str, str]]:
        """What does not fit together."""
        for part in ("sites", "environments", "profiles"):
            for name in getattr(self, part):
                if not NAME.fullmatch(name):
                    yield (part, name), f"{name!r} is no name", "up to 40 of a-z, 0-9, - and _, a letter or digit first"
        for name, profile in self.profiles.items():
            for key in ("sites", "environments"):
                known = getattr(self, key)
                for number, wanted in enumerate(getattr(profile, key)):
                    if wanted not in known:
                        where = ("profiles", name, key, number)
                        yield where, f"there is no {key[:-1]} {wanted!r}", did_you_mean(wanted, known)


def site_kinds() -> dict[str, Any]:
    """The models of the installed kinds of sites, by kind."""
    return {point.name: point.load().Config for point in entry_points(group=GROUP)}


def _kind(value: Any, kinds: dict[str, type[SiteConfig]]) -> type[SiteConfig]:
    """The model of one site.

    Raises:
        PydanticCustomError: its kind is none that is installed.
    """
    if isinstance(value, SiteConfig):
        return type(value)
    if not isinstance(value, dict):
        raise PydanticCustomError("site", "a site is a mapping; write {{kind: local, title: This computer}}")
    kind = str(value.get("kind", ""))
    if kind not in kinds:
        raise PydanticCustomError(
            "site", "unknown kind of site {kind}; {remedy}", {"kind": repr(kind), "remedy": did_you_mean(kind, kinds)}
        )
    return kinds[kind]


def _is_loopback(host: str) -> bool:
    if host in ("localhost", ""):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
