"""What compute.yaml says of a site whose servers are jobs."""

from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from beamhub.config.quantities import Duration
from beamhub.spawner.catalogue import SiteConfig
from beamhub.spawner.sites import jobscript


class BatchConfig(SiteConfig):
    """A site whose servers are jobs.

    ``launcher`` is the program that ``beamhub launcher`` made, ``commands`` the folder of the batch system's commands.
    ``partitions`` are offered to it all at once: the job starts in the one that has room first.
    """

    which: ClassVar[tuple[str, ...]] = ()  # the keys that say which cluster it is
    partitions: list[str] = Field(default=[])
    account: str = ""
    directives: list[str] = Field(default=[])
    prologue: str = ""
    epilogue: str = ""
    module_init: str = ""
    runtime: Literal["", "apptainer", "charliecloud", "podman"] = ""
    runtime_options: list[str] = Field(default=[])
    commands: str = "/usr/bin"
    launcher: str = "/opt/beamhub/launcher"
    token_dir: str = "{home}/.beamhub"  # noqa: S105 - a folder
    queue_timeout: Duration = 3600.0

    def needs(self) -> dict[str, str]:
        """What the batch system's commands need in their environment."""
        return {}

    @field_validator("partitions")
    @classmethod
    def _words(cls, value: list[str]) -> list[str]:
        for one in value:
            _word(one)
        return value

    @field_validator("account")
    @classmethod
    def _account(cls, value: str) -> str:
        return _word(value)

    @field_validator("directives")
    @classmethod
    def _directives(cls, value: list[str]) -> list[str]:
        for one in value:
            if not jobscript.DIRECTIVE.fullmatch(one):
                raise PydanticCustomError(
                    "directive", "{one} is no directive; write it like --comment=jupyter", {"one": repr(one)}
                )
        return value

    @field_validator("token_dir")
    @classmethod
    def _folder(cls, value: str) -> str:
        try:
            path = value.format(home="/home/anna", user="anna")
        except (KeyError, IndexError, ValueError):
            path = ""
        if not jobscript.PATH.fullmatch(path):
            raise PydanticCustomError(
                "folder", "{value} is no folder; write it like {{home}}/.beamhub or /scratch/{{user}}",
                {"value": repr(value)},
            )  # fmt: skip
        return value

    @field_validator("runtime_options")
    @classmethod
    def _options(cls, value: list[str]) -> list[str]:
        for one in value:
            if not jobscript.OPTION.fullmatch(one):
                raise PydanticCustomError(
                    "option", "{one} is no option; write it like --bind=/beamline", {"one": repr(one)}
                )
        return value

    @model_validator(mode="after")
    def _somewhere(self) -> "BatchConfig":
        if self.runtime and not self.token_dir.startswith("{home}"):
            raise PydanticCustomError("token_dir", "token_dir must begin with {{home}}: images see no other folder")
        if not self.networks:
            raise PydanticCustomError("networks", "networks is missing; say where the nodes are, like [10.0.0.0/16]")
        return self


def _word(value: str) -> str:
    if value and not jobscript.WORD.fullmatch(value):
        raise PydanticCustomError("word", "{value} is no name that a batch system can have", {"value": repr(value)})
    return value
