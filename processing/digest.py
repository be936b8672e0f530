"""The digest of a function's version: its module, the modules beside it, and what is installed."""

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

LOCK = "environment.lock"  # in each copy, beside the modules


@cache
def environment_lock() -> str:
    """Every installed distribution with its version, one a line, sorted; read once per process."""
    names = {(d.metadata["Name"] or "").lower(): d.version for d in distributions()}
    return "".join(f"{name}=={version}\n" for name, version in sorted(names.items()) if name)


def digest_of(files: Mapping[str, bytes], lock: str) -> str:
    """Name this content: SHA-256 over the lock and over each file's name and content, in the order of the names.

    >>> digest_of({"a.py": b"1"}, "") == digest_of({"a.py": b"2"}, "")
    False
    """
    total = hashlib.sha256(lock.encode())
    for name in sorted(files):
        total.update(hashlib.sha256(name.encode() + b"\0" + files[name]).digest())
    return total.hexdigest()


def digest_of_copy(copy: Path) -> str:
    """The digest of what lies in a copy that the library made."""
    files = {str(path.relative_to(copy)): path.read_bytes() for path in copy.rglob("*.py")}
    return digest_of(files, (copy / LOCK).read_text())
