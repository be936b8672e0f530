import contextlib
import json
import re
from importlib.resources import files

import httpx
import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance
from services.api import Bench, serving

from beamhub.processing import openapi
from beamhub.processing.api.handler import ApiHandler
from beamhub.processing.api.routes import ROUTES
from beamhub.processing.errors import Refused

EVERY = list(hypothesis.HealthCheck)
STREAM = "/changes"  # does not end by itself


def test_the_file_says_what_the_routes_and_records_say():
    """Else: python -m beamhub.processing.openapi"""
    assert files("beamhub.processing").joinpath("openapi.json").read_text() == openapi.text()


def test_every_handlers_method_has_a_route_and_every_route_a_handler():
    written = {
        (method.upper(), handler)
        for handler in {route.handler for route in ROUTES}
        for method in ("get", "head", "post", "put", "patch", "delete")
        if getattr(handler, method) is not getattr(ApiHandler, method)
    }
    assert written == {(route.method, route.handler) for route in ROUTES}


def test_every_route_is_in_the_document_once():
    paths = openapi.document()["paths"]
    assert {(path[1:], method.upper()) for path, methods in paths.items() for method in methods} == {
        (route.path, route.method) for route in ROUTES
    }


def test_every_kind_of_refusal_is_described():
    def kinds(kind):
        return {kind.code, *(code for sub in kind.__subclasses__() for code in kinds(sub))}

    assert {str(code) for code in kinds(Refused)} <= set(openapi.REFUSALS)


def test_every_query_parameter_of_a_handler_is_described():
    for route in ROUTES:
        told = openapi.document()["paths"]["/" + route.path][route.method.lower()]["parameters"]
        if route.method == "GET":
            assert {one["name"] for one in told if one["in"] == "query"} == set(route.handler.known)
        assert {one["name"] for one in told if one["in"] == "path"} == set(re.findall(r"\{(\w+)\}", route.path))


@pytest.fixture(scope="module")
def bench(tmp_path_factory, module_store_url):
    made = Bench(tmp_path_factory.mktemp("openapi"), module_store_url)
    done, failed, _ = made.arrive("red/scan1/a.nxs", "red/scan1/b.nxs", "red/scan1/c.nxs")
    made.finish(done, {"total": 5.0})
    made.fail(failed, quarantined=True)
    made.store.recover()
    with serving(made):
        yield made


@pytest.fixture(scope="module")
def api(bench):
    document = json.loads(openapi.text())
    document["servers"] = [{"url": bench.url}]
    return schemathesis.openapi.from_dict(document)


def begun(bench, case):
    """The status with which a stream begins."""
    query, headers = dict(case.query or {}), dict(case.headers)
    with httpx.stream("GET", bench.url + STREAM[1:], params=query, headers=headers, timeout=20) as answer:
        assert answer.status_code < 500
        return answer.status_code


@pytest.mark.parametrize("mode", schemathesis.GenerationMode)
@pytest.mark.parametrize(("method", "path"), [(route.method, "/" + route.path) for route in ROUTES])
@pytest.mark.promise("bad input")
def test_whatever_is_sent_the_answer_is_one_that_the_document_names(bench, api, method, path, mode):
    @hypothesis.given(case=api[path][method].as_strategy(generation_mode=mode))
    @hypothesis.settings(
        max_examples=20,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=EVERY,
    )
    def send(case):
        case.headers["Authorization"] = "token ingester" if path == "/events" else "token admin"
        if path == STREAM:
            assert str(begun(bench, case)) in api.raw_schema["paths"][path]["get"]["responses"]
            return
        case.call_and_validate(
            base_url=bench.url, checks=[not_a_server_error, status_code_conformance, response_schema_conformance]
        )

    with contextlib.suppress(hypothesis.errors.Unsatisfiable):  # without parameters nothing can be wrong
        send()
