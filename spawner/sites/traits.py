"""Settings of a parent's class (``c.SlurmSpawner…``) that were written and would have no effect."""

from collections.abc import Mapping

from traitlets.config import Config


def refused_traits(config: Config, kind: type, remedies: Mapping[str, str]) -> list[str]:
    """One sentence for each, with what to write instead; ``remedies`` says that of each trait that is not honoured."""
    sections = [one.__name__ for one in kind.__mro__ if one.__name__ in config]
    return [
        f"c.{section}.{name} has no effect: {remedy}"
        for section in sections
        for name, remedy in remedies.items()
        if name in config[section]
    ]
