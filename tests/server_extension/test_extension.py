"""The extension in a real Jupyter server, against the service's real API."""

import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import httpx
import pytest
from services.api import Bench, serving
from services.jupyter import OURS, events, jupyter

from beamhub.server_extension.place import shown_at

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    with serving(Bench(folder)) as running:
        running.runs = running.arrive("red/scan1/a.nxs", "red/scan1/b.nxs", "blue/scan1/c.nxs")
        with h5py.File(folder / "out.h5", "w") as file:
            file["entry/data"] = [1.0, 2.0, 3.0]
            file["image/counts"] = [[1, 2, 3], [4, 5, 6]]
            file["image"].attrs.update(NX_class="NXdata", signal="counts")
        running.finish(running.runs[0], {"counts": 5.0}, (folder / "out.h5").read_bytes())
        running.service_url = running.url.removesuffix("api/v1/")
        yield running


@pytest.fixture(scope="module")
def server(bench):
    with jupyter(bench.folder, BEAMHUB_SERVICE_URL=bench.service_url, JUPYTERHUB_API_TOKEN="alice") as client:
        yield client


def test_hello_says_which_extension_this_is_and_what_can_be_seen(server):
    hello = server.get("hello?service=1").json()
    assert len(hello["id"]) == 16
    assert (hello["service"], [one["name"] for one in hello["proposals"]]) == ("ok", ["red"])


def test_requests_are_passed_on_with_the_servers_token_and_answers_as_they_are(server, bench):
    assert [run["file"]["name"] for run in server.get("v1/runs?sort=file").json()["items"]] == ["a.nxs", "b.nxs"]
    assert server.get("v1/runs?proposal=blue").status_code == 404
    assert server.get("v1/runs?sort=nonsense").json()["reason"] == "bad-request"
    picture = server.get(f"v1/results/{bench.runs[0]}/preview.png?width=16")
    assert (picture.headers["Content-Type"], picture.content[:4]) == ("image/png", b"\x89PNG")
    image = server.get(f"v1/results/{bench.runs[0]}/image?scale=log")
    assert (image.headers["Content-Type"], json.loads(image.headers["BeamHub-Image"])["shape"]) == ("image/png", [2, 3])
    assert server.get(f"v1/results/{bench.runs[0]}/pixels?size=1").json()["values"] == [[1]]
    part = server.get(f"v1/results/{bench.runs[0]}/file", headers={"Range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, b"HDF")
    made = server.post("v1/runs", json={"ids": bench.runs[:1], "dry_run": True})
    assert made.json()["count"] == 1
    assert "you asked for nothing" in server.get("v1/requests/no-such-key").json()["message"]


@pytest.mark.parametrize(
    "path",
    [
        "v1/events", "v1/metrics", "v1/changes", "v1/../hello2", "v1/openapi.json", "v1/runs/1/../../events",
        "chunk/..%2fentry.py", "chunk/../entry.py", "chunk/%2e%2e%2fjs%2fbuild.js", "chunk/none.js", "chunk/py.typed",
        "chunk/..js", "hdf5/1/exec",
    ],
)  # fmt: skip
def test_nothing_else_is_passed_on(server, path):
    assert server.get(path).status_code == 404


@pytest.mark.promise("access")
def test_nobody_without_the_servers_own_login_is_answered(server):
    for path in ("hello", "v1/runs", "changes", "selection/x", "chunk/widget.js"):
        assert httpx.get(f"{server.base_url}{path}", follow_redirects=False).status_code in (302, 403)


def test_the_bundle_is_served_by_its_parts(server):
    name = next(path.name for path in (Path(__file__).parents[2] / "widgets/static").glob("view-*.js"))
    answer = server.get(f"chunk/{name}")
    assert answer.status_code == 200
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["Content-Type"].startswith("text/javascript")
    assert server.get("chunk/widget.js").headers["Cache-Control"] == "no-cache"


def test_a_page_is_told_where_the_file_browser_shows_an_output(server, bench):
    run = bench.runs[0]
    assert server.get(f"place/{run}").json() == {"path": f"results/red/{run}/1/out.nxs"}
    assert server.get(f"place/{bench.runs[1]}").status_code == 404  # not done
    assert server.get(f"place/{bench.runs[2]}").status_code == 404  # of a proposal that its owner may not see


@pytest.mark.parametrize(
    ("output", "path"),
    [("/home/ada/a b/out.nxs", "a b/out.nxs"), ("/data/out.nxs", None), ("/home/ada/.local/out.nxs", None)],
)
def test_a_file_browser_shows_what_lies_below_its_folder_and_is_not_hidden(output, path):
    assert shown_at(Path("/home/ada"), Path(output)) == path


def test_what_is_selected_is_kept_for_each_view(server):
    assert server.get("selection/view1").json()["ids"] == []
    assert server.put("selection/view1", json={"proposal": "red", "ids": [1, 2]}).status_code == 204
    began = server.get("selection/view1").json()["time"]
    assert server.put("selection/view1", json={"ids": ["x"]}).status_code == 400
    assert server.put("selection/view1", json={"proposal": "red", "ids": [3]}).status_code == 204
    assert server.get("selection/view1").json()["ids"] == [3]
    assert server.get(f"selection/view1?at={began}").json()["ids"] == [1, 2]
    assert server.get("selection/view1?at=yesterday").status_code == 400
    assert server.get("selection/view2").json()["ids"] == []


def test_a_refusal_of_the_notebook_server_itself_is_a_problem_too(server):
    answer = server.delete("hello")
    assert answer.status_code == 405
    assert set(answer.json()) == {"message", "reason", "code"}


def test_the_notebook_servers_own_token_is_not_passed_on(server):
    assert server.get(f"v1/runs?token={OURS}&_xsrf=x").status_code == 200  # the service refuses what it does not know


def test_what_the_page_has_already_is_not_sent_again(server, bench):
    path = f"v1/results/{bench.runs[0]}/preview.png"
    mark = server.get(path).headers["Etag"]
    again = server.get(path, headers={"If-None-Match": mark})
    assert (again.status_code, again.content) == (304, b"")


def test_a_file_system_that_hangs_holds_up_nothing_but_its_readers(server, bench):
    run = bench.arrive("red/scan1/hangs.nxs")[0]
    bench.finish(run, output=b"x")
    output = Path(server.get(f"v1/runs/{run}").json()["output"])
    output.unlink()
    os.mkfifo(output)  # opening it waits for a writer
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(server.get, f"hdf5/{run}/meta?path=/")
        time.sleep(0.5)
        begin = time.monotonic()
        assert server.get("hello").status_code == 200
        assert time.monotonic() - begin < 1
        assert not waiting.done()
        output.open("wb").close()
        assert waiting.result(10).status_code == 400


def test_an_output_is_looked_into(server, bench):
    run = bench.runs[0]
    assert server.get(f"hdf5/{run}/data?path=/entry/data&selection=1:").json() == [2.0, 3.0]
    assert server.get(f"hdf5/{run}/meta?path=/entry").json()["children"][0]["name"] == "data"
    assert server.get(f"hdf5/{run}/data?path=/nothing").status_code == 400
    assert server.get("hdf5/999999/meta?path=/").status_code == 404


def test_a_change_reaches_every_page_that_watches_its_proposal(server, bench):
    heard: dict[int, list] = {}
    pages = [threading.Thread(target=lambda n=n: heard.update({n: events(server, "proposal=red", 4)})) for n in (0, 1)]
    for page in pages:
        page.start()
    time.sleep(1)
    bench.arrive("red/scan1/live.nxs", "blue/scan1/hidden.nxs")
    for page in pages:
        page.join(20)
    for told in heard.values():
        assert told[0][0] == "status"
        changes = [data for event, data in told if event == "change"]
        assert changes
        assert {change["proposal"] for change in changes} == {"red"}


def test_a_page_that_was_away_is_told_what_it_missed(server, bench):
    with server.stream("GET", "changes?proposal=red") as watching:
        parts, heard = watching.iter_bytes(), b""  # the stream ends with the iterator
        while b'"live": true' not in heard:
            heard += next(parts)
        before = server.get("v1/runs?limit=1").json()["seq"]
        bench.arrive("red/scan1/meanwhile.nxs")
        told = events(server, f"proposal=red&last={before}", 2)
    assert {event for event, _ in told} <= {"status", "change", "reset"}
    assert told[-1][0] != "status"
    assert server.get("changes?last=-1").status_code == 400


def test_a_page_hears_nothing_while_nothing_changes(server):
    with pytest.raises(httpx.ReadTimeout):
        events(server, "proposal=red", 3, within=1.5)


def test_a_service_that_is_away_is_503_with_a_sentence(tmp_path):
    with jupyter(tmp_path, BEAMHUB_SERVICE_URL="http://127.0.0.1:9/", JUPYTERHUB_API_TOKEN="alice") as server:
        answer = server.get("v1/runs")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert "does not answer" in answer.json()["message"]
        assert server.get("hello?service=1").json()["service"] == "down"
        status = events(server, "proposal=red", 2)
        assert status[-1][1]["live"] is False


def test_a_plain_server_says_that_there_is_no_service(tmp_path):
    with jupyter(tmp_path) as server:
        assert server.get("hello?service=1").json()["service"] == "not configured"
        assert "BeamHub Hub" in server.get("v1/runs").json()["message"]


@pytest.mark.promise("access")
def test_a_token_without_scopes_is_said_to_the_page_and_in_the_log(bench, tmp_path):
    with jupyter(tmp_path, BEAMHUB_SERVICE_URL=bench.service_url, JUPYTERHUB_API_TOKEN="stranger") as server:
        hello = server.get("hello?service=1").json()
        assert hello["service"] == "forbidden"
        assert "scope" in hello["message"]
        assert "scope" in server.log()
        assert "stranger" not in server.log()


@pytest.mark.promise("access")
def test_an_expired_token_says_to_restart_the_server(bench, tmp_path):
    with jupyter(tmp_path, BEAMHUB_SERVICE_URL=bench.service_url, JUPYTERHUB_API_TOKEN="gone") as server:
        answer = server.get("v1/runs")
        assert answer.status_code == 401
        assert "restart your server" in answer.json()["message"]


@pytest.mark.promise("access")
def test_somebody_else_on_a_shared_server_gets_nothing_of_its_owner(bench, tmp_path):
    with jupyter(
        tmp_path, BEAMHUB_SERVICE_URL=bench.service_url, JUPYTERHUB_API_TOKEN="alice", JUPYTERHUB_USER="alice"
    ) as server:
        for path in (
            "hello",
            "v1/runs",
            "v1/proposals",
            "changes?proposal=red",
            "selection/x",
            f"hdf5/{bench.runs[0]}/meta",
        ):
            answer = server.get(path)
            assert answer.status_code == 403
            assert "belongs to alice" in answer.json()["message"]


def test_the_extension_is_light_to_import():
    code = (
        "import jupyter_server.extension.application, time, sys; b = time.process_time();"
        "import beamhub.server_extension as e; e._jupyter_server_extension_points();"
        "print(time.process_time() - b, *sys.modules)"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(2)]
    assert min(float(run.stdout.split()[0]) for run in runs) < 0.1
    heavy = {"h5py", "numpy", "httpx", "h5grove", "pydantic", "beamhub.widgets"}
    assert not heavy & set(runs[0].stdout.split())
