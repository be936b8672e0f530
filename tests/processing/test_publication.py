import pytest

from beamhub.processing.publication import attempt_folder, discard, publish, sweep, unfinished
from beamhub.processing.work import Claim


def claim(proposal="p1", run=7, attempt=2):
    return Claim(run, attempt, proposal, "beamline", "raw.nxs", "measure", "", {}, None)


def written(path):
    path.mkdir(parents=True)
    (path / "output.nxs").write_bytes(b"output")
    return path


@pytest.mark.parametrize(("proposal", "folder"), [("p1", "p1/7/2"), ("", "-/7/2")])
def test_each_attempt_has_a_folder_of_its_own(proposal, folder):
    assert attempt_folder(claim(proposal)) == folder


def test_an_attempt_is_published_under_its_name_with_everything_in_it(tmp_path):
    written(unfinished(tmp_path, "p1/7/2"))
    publish(tmp_path, "p1/7/2")
    assert (tmp_path / "p1/7/2/output.nxs").read_bytes() == b"output"
    assert not unfinished(tmp_path, "p1/7/2").exists()


def test_a_discarded_attempt_leaves_nothing(tmp_path):
    written(tmp_path / "p1/7/2")
    written(unfinished(tmp_path, "p1/7/3"))
    discard(tmp_path, "p1/7/2")
    discard(tmp_path, "p1/7/3")
    assert list((tmp_path / "p1/7").iterdir()) == []


def test_the_sweep_takes_what_no_row_names_and_nothing_else(tmp_path):
    kept = [
        written(tmp_path / "p1/7/2"),
        written(tmp_path / "p1/notes/2"),
        written(tmp_path / "p1/8/figures"),
    ]
    swept = [written(tmp_path / "p1/7/1"), written(tmp_path / "p1/9/1.part"), written(tmp_path / "p2/10/1")]
    assert sweep(tmp_path, {"p1/7/2"}) == 3
    assert all(path.exists() for path in kept)
    assert not any(path.exists() for path in swept)
    assert not (tmp_path / "p1/9").exists()
