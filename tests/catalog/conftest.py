import asyncio
from contextlib import aclosing, closing
from itertools import islice

import pytest
from services.scripted import scripted

from beamhub.catalog import AsyncClient, Client, Service


class Sync:
    """Questions to the client that waits."""

    def send(self, service, question):
        with closing(Client(service)) as client:
            return client.send(question)

    def follow(self, service, number, *where):
        with closing(Client(service)) as client, closing(client.follow(*where)) as stream:
            return list(islice(stream, number))


class Async:
    """The same questions to the client that works beside others."""

    def send(self, service, question):
        async def go():
            async with aclosing(_Closing(service)) as client:
                return await client.send(question)

        return asyncio.run(go())

    def follow(self, service, number, *where):
        async def go():
            found = []
            async with aclosing(_Closing(service)) as client, aclosing(client.follow(*where)) as stream:
                async for event in stream:
                    found.append(event)
                    if len(found) == number:
                        return found

        return asyncio.run(go())


class _Closing(AsyncClient):
    async def aclose(self):
        await self.close()


@pytest.fixture(params=[Sync, Async], ids=["sync", "async"])
def way(request):
    """The same question by both clients."""
    return request.param()


@pytest.fixture(scope="session")
def _script():
    with scripted() as script:
        yield script


@pytest.fixture
def script(_script):
    """A server that answers as it is told."""
    _script.say()
    return _script


@pytest.fixture
def service(script):
    return Service(script.url, "secret")
