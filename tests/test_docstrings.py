"""The examples in docstrings are true."""

import doctest
import importlib
import pkgutil
from collections.abc import Iterator

import pytest

PACKAGES = ("catalog", "config", "processing", "server_extension", "spawner", "widgets")
RUN_BY_OTHERS = {"beamhub.processing.migrations.env"}  # alembic runs it, and gives it what it needs


def modules() -> Iterator[str]:
    """All modules; beneath a namespace only the packages themselves can be walked."""
    for name in PACKAGES:
        package = importlib.import_module(f"beamhub.{name}")
        yield package.__name__
        yield from (found.name for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."))


@pytest.mark.parametrize("name", [name for name in modules() if name not in RUN_BY_OTHERS])
def test_the_examples_of(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = finder.find(importlib.import_module("beamhub.config.quantities"))
    assert sum(len(test.examples) for test in found) >= 4
