import logging

import pytest

from beamhub.spawner.accesslog import WithoutTokens, without_tokens


@pytest.mark.promise("access")
@pytest.mark.parametrize("written", ["token=", "token%3D", "token%253D", "TOKEN=", "_token="])
def test_a_token_in_an_address_is_not_in_a_line_of_the_log(written):
    line = without_tokens(f"302 GET /hub/home -> /hub/login?next=%2Fhub%3F{written}0123abc-_.~&a=b (@127.0.0.1)")
    assert line == f"302 GET /hub/home -> /hub/login?next=%2Fhub%3F{written}[secret]&a=b (@127.0.0.1)"


def test_a_line_without_a_token_stays_as_it_is():
    record = logging.LogRecord("tornado.access", logging.INFO, "", 1, "%s GET /hub/token", (200,), None)
    assert WithoutTokens().filter(record)
    assert record.getMessage() == "200 GET /hub/token"
