"""The service as the extension asks it: with the server's token, and nobody else in its place."""

import pytest

from beamhub.server_extension import service as module
from beamhub.server_extension.service import Down, ProcessingService


async def test_requests_carry_the_servers_token_and_what_was_asked(service, fake):
    answer = await service.send("GET", "runs", "proposal=a%20b&sort=file", headers={"If-None-Match": '"x"'})
    assert answer.code == 200
    method, path, query, headers = fake.asked[0]
    assert (method, path, query) == ("GET", "runs", "proposal=a%20b&sort=file")
    assert (headers["Authorization"], headers["If-None-Match"]) == (f"token {fake.token}", '"x"')


async def test_a_refusal_is_an_answer_with_its_sentence(service, fake):
    fake.refuse("runs", 404, "there is no proposal 'blue' that you may see")
    answer = await service.send("GET", "runs")
    assert (answer.code, answer.message) == (404, "there is no proposal 'blue' that you may see")


@pytest.mark.parametrize("code", [404, 500, 502, 503])
async def test_a_proxy_that_answers_in_the_services_place_is_an_outage(service, fake, code):
    fake.answers["runs"] = (code, b"<html>Bad Gateway</html>", {"Content-Type": "text/html"})
    with pytest.raises(Down, match=f"may be restarting.*{code}"):
        await service.send("GET", "runs")


async def test_the_token_follows_no_redirection(service, fake):
    fake.answers["runs"] = (302, b"", {"Location": "/elsewhere"})
    with pytest.raises(Down):
        await service.send("GET", "runs")
    assert [path for _, path, _, _ in fake.asked] == ["runs"]


async def test_the_token_is_sent_through_no_proxy_of_the_environment(fake, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    service = ProcessingService(fake.url, fake.token)
    assert (await service.send("GET", "proposals")).code == 200
    await service.close()


async def test_an_answer_that_would_fill_the_memory_is_refused(service, fake, monkeypatch):
    monkeypatch.setattr(module, "LARGEST", 5)
    with pytest.raises(Down, match="larger than 5 bytes"):
        await service.send("GET", "results/1/file")


async def test_nobody_there_is_an_outage():
    service = ProcessingService("http://127.0.0.1:9/", "t")
    with pytest.raises(Down, match="does not answer"):
        await service.send("GET", "runs")
    await service.close()


async def test_no_address_says_what_to_do():
    with pytest.raises(Down, match="BeamHub Hub"):
        await ProcessingService("", "").send("GET", "runs")
