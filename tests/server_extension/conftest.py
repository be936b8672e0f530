import pytest
from services.fake_service import fake_service

from beamhub.server_extension.service import ProcessingService


@pytest.fixture
async def fake():
    async with fake_service() as running:
        yield running


@pytest.fixture
async def service(fake):
    asking = ProcessingService(fake.url, fake.token)
    yield asking
    await asking.close()
