import os
import shutil
import tempfile
from pathlib import Path

import pytest

from beamhub.processing.publication import (
    ForeignResults,
    attempt_folder,
    discard,
    nameless,
    own,
    publish,
    sweep,
    unfinished,
)
from beamhub.processing.work import Claim

NOBODY = 65534


def claim(proposal="p1", run=7, attempt=2):
    return Claim(run, attempt, proposal, "beamline", "raw.nxs", "measure", "", {}, None)


def written(path):
    path.mkdir(parents=True)
    (path / "output.nxs").write_bytes(b"output")
    return path


@pytest.fixture
def results():
    """A folder that other accounts can reach."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def as_nobody(tree, call, *arguments, but=()):
    """Call in an account without rights of its own, which owns the tree."""
    if os.geteuid() != 0:
        return call(*arguments)
    for path in [tree, *tree.rglob("*")]:
        if path not in but:
            os.lchown(path, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        return call(*arguments)
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(("proposal", "folder"), [("p1", "p1/7/2"), ("", "-/7/2")])
def test_each_attempt_has_a_folder_of_its_own(proposal, folder):
    assert attempt_folder(claim(proposal)) == folder


@pytest.mark.promise("power, disks, clocks")
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
    assert sweep(nameless(tmp_path, {"p1/7/2"}), {7: 2, 9: 1, 10: 1}) == 3
    assert all(path.exists() for path in kept)
    assert not any(path.exists() for path in swept)
    assert not (tmp_path / "p1/9").exists()


def sweep_all(results):
    return sweep(nameless(results, set()), {})


@pytest.mark.promise("power, disks, clocks")
def test_results_of_a_newer_state_of_the_store_are_moved_aside_and_none_is_lost(tmp_path, caplog):
    """An older copy of the store was brought back: run 7 had one attempt then, and run 9 was not there yet."""
    lost = [written(tmp_path / "p1/7/2"), written(tmp_path / "p1/9/1")]
    assert sweep(nameless(tmp_path, {"p1/7/1"}), {7: 1}) == 0
    assert not any(path.exists() for path in lost)
    assert all(list(path.with_name(f"{path.name}.kept").iterdir()) for path in lost)
    assert "a result that this store knows nothing of" in caplog.text
    written(tmp_path / "p1/9/1")
    sweep(nameless(tmp_path, set()), {})
    assert (tmp_path / "p1/9/1.2.kept").is_dir()
    assert nameless(tmp_path, set()) == {}


def test_a_link_in_the_results_is_removed_and_what_it_leads_to_stays(tmp_path):
    elsewhere = written(tmp_path / "shared/7")
    elsewhere.chmod(0o755)
    (tmp_path / "results/p1/7").mkdir(parents=True)
    (tmp_path / "results/p1/7/99").symlink_to(elsewhere)
    assert sweep(nameless(tmp_path / "results", set()), {7: 99}) == 1
    assert not (tmp_path / "results/p1/7").exists()
    assert list(elsewhere.iterdir())
    assert elsewhere.stat().st_mode & 0o777 == 0o755


@pytest.mark.promise("power, disks, clocks")
def test_results_that_are_not_there_though_rows_name_them_are_asked_for(tmp_path):
    with pytest.raises(ForeignResults, match=r"is empty, though the store knows of results there.*Is it mounted\?"):
        own(tmp_path / "results", "mine", lambda: {"p1/7/2"})
    assert not (tmp_path / "results").exists()


def test_an_empty_folder_becomes_the_stores_own_and_stays_so(tmp_path):
    results = tmp_path / "new/results"
    own(results, "mine", set)
    written(results / "p1/7/2")
    own(results, "mine", set)
    with pytest.raises(ForeignResults, match="holds results that this store knows nothing of"):
        own(results, "another", lambda: {"p1/7/2"})


@pytest.mark.root
def test_results_may_lie_in_a_folder_that_their_account_may_pass_but_not_read(results):
    results.chmod(0o711)
    (results / "own").mkdir()
    as_nobody(results / "own", own, results / "own", "mine", set)
    own(results / "own", "mine", set)
    assert (results / "own/.beamhub").read_text() == "mine\n"


def test_results_without_a_mark_are_the_stores_that_names_one_of_them(tmp_path):
    for path in ("p1/7/2", "p1/8/1"):
        written(tmp_path / path)
    for named in (set(), {"p1/9/1"}):
        with pytest.raises(ForeignResults, match="an empty folder"):
            own(tmp_path, "another", lambda named=named: named)
    own(tmp_path, "mine", lambda: {"p1/8/1"})
    with pytest.raises(ForeignResults):
        own(tmp_path, "another", lambda: {"p1/8/1"})


def test_the_sweep_gives_itself_the_right_to_write_that_a_function_took_away(results):
    folder = written(results / "p1/9/1.part/deep").parent
    outside = written(results / "kept")
    outside.chmod(0o500)
    (folder / "link").symlink_to(outside)
    (folder / "deep").chmod(0)
    folder.chmod(0o500)
    assert as_nobody(results, sweep_all, results) == 1
    assert not folder.exists()
    assert outside.stat().st_mode & 0o777 == 0o500


@pytest.mark.root
def test_what_cannot_be_removed_is_said_and_the_sweep_goes_on(results, caplog):
    stuck, other = written(results / "p1/9/1.part"), written(results / "p1/10/1.part")
    assert as_nobody(results, sweep_all, results, but=[stuck]) == 1
    assert stuck.exists()
    assert not other.exists()
    assert f"{stuck} stays, since it cannot be removed" in caplog.text
