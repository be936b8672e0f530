"""Who listens at an address of this computer: the one thing about a port that no other account can pretend."""

import contextlib
import ipaddress
import sys
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

LISTENING = "0A"  # as the kernel writes it, see proc_pid_net(5)
TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))


def accounts(address: str, port: int) -> set[int]:
    """User ids of those that get what is sent to an IP address and port; empty when nobody listens there.

    Who listens at that very address gets it before those that listen at every address. Blocks for some milliseconds.
    """
    at = ipaddress.ip_address(address)
    found = [(where, uid) for where, number, uid in _listening() if number == port]
    exact = {uid for where, uid in found if where == at}
    return exact or {uid for where, uid in found if where.is_unspecified and where.version >= at.version}


def _listening() -> Iterator[tuple[IPv4Address | IPv6Address, int, int]]:
    """Address, port and user id of every socket that listens."""
    for table in TABLES:
        with contextlib.suppress(FileNotFoundError):  # a computer without IPv6
            for line in table.read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == LISTENING:
                    where, port = fields[1].split(":")
                    yield _address(where), int(port, 16), int(fields[7])


def _address(text: str) -> IPv4Address | IPv6Address:
    """An address as the kernel writes it: words of 32 bits, each in this computer's order of bytes."""
    words = [int(text[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(text), 8)]
    found = ipaddress.ip_address(b"".join(words))
    return getattr(found, "ipv4_mapped", None) or found
