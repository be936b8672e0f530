"""Whether a notebook server answers at an address."""

import asyncio
import contextlib
from urllib.parse import urlsplit

PATIENCE = 5.0  # seconds


async def speaks_http(url: str, path: str) -> bool:
    """Whether something speaks HTTP there; what listens before the server does (``bootstrap``) does not."""
    parts = urlsplit(url)
    with contextlib.suppress(OSError, TimeoutError, ValueError):
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            try:
                writer.write(f"GET {path}api HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n".encode())
                return (await reader.readline()).startswith(b"HTTP/")
            finally:
                writer.close()
    return False
