"""Outputs and previews, as they are sent."""

import pytest
from services.api import problem


def test_an_output_is_sent_whole_or_in_ranges(api):
    path = f"results/{api.done}/file"
    whole = api.ask("alice", "GET", path)
    assert (whole.content, whole.headers["Content-Type"]) == (b"0123456789", "application/x-hdf5")
    assert whole.headers["Content-Disposition"].startswith("attachment")
    part = api.ask("alice", "GET", path, headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content, part.headers["Content-Range"]) == (206, b"234", "bytes 2-4/10")
    last = api.ask("alice", "GET", path, headers={"Range": "bytes=-3"})
    assert last.content == b"789"
    head = api.ask("alice", "HEAD", path)
    assert (head.status_code, head.headers["Content-Length"], head.content) == (200, "10", b"")
    problem(api.ask("alice", "GET", path, headers={"Range": "bytes=20-30"}), 416)


@pytest.mark.parametrize("what", ["file", "preview.png", "plot"])
def test_a_result_that_is_known_already_is_not_sent_again(api, what):
    path = f"results/{api.done}/{what}"
    tag = api.ask("alice", "GET", path).headers["ETag"]
    again = api.ask("alice", "GET", path, headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")


def test_an_output_that_is_a_link_is_not_sent(api, tmp_path):
    (run,) = api.arrive("red/scan3/link.nxs")
    api.finish(run)
    output = api.settings.results / f"red/{run}/1/out.nxs"
    (tmp_path / "secret").write_text("secret")
    output.unlink()
    output.symlink_to(tmp_path / "secret")
    problem(api.ask("alice", "GET", f"results/{run}/file"), 404)


def test_a_preview_is_as_wide_as_asked(api):
    path = f"results/{api.done}/preview.png"
    whole = api.ask("alice", "GET", path)
    assert whole.headers["Content-Type"] == "image/png"
    small = api.ask("alice", "GET", path, params={"width": 16}).content
    assert int.from_bytes(small[16:20], "big") == 16  # PNG: the width is in bytes 16 to 19
    for width in (0, 15, 2049, 10**30):
        problem(api.ask("alice", "GET", path, params={"width": width}), 400)


def test_a_run_without_result_says_its_state(api):
    assert "is failed and has no output" in problem(api.ask("alice", "GET", f"results/{api.failed}/file"), 404)
