"""processing.yaml: what is understood, and every mistake with its place and what to write instead."""

import textwrap
from pathlib import Path

import pytest

from beamhub.config.document import read
from beamhub.config.mistakes import Mistakes
from beamhub.processing.settings import FilesystemSettings, HttpSettings, Settings

RIGHT = """
store: sqlite:///beamhub.db
results: results
storages:
  beamline: {title: P03, root: raw, layout: "{beamline}/{proposal}/{scan}", seen: {here: /raw}, staff: p03-staff}
access: {proposal_group: "{proposal}-dmgt", beamline_groups: {p03: p03-staff}, all: [data-admins]}
sources:
  watched: {kind: filesystem, storage: beamline, settle: 0.5s, ignore: ["*.part"]}
  posted: {kind: http, senders: {detector: {storages: [beamline], prefixes: [p03/]}}}
executors: {here: {kind: dask, workers: 4}}
functions: [functions]
single_user: true
rules:
  radial:
    title: Radial average
    when: {storage: beamline, path: "*/*/sans/*.nxs"}
    function: radial_average
    with: {bins: 200}
    columns: {sample: entry/title}
    executor: here
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "raw").mkdir()
    (tmp_path / "functions").mkdir()
    return tmp_path


def settings(folder: Path, text: str) -> Settings:
    (folder / "processing.yaml").write_text(textwrap.dedent(text))
    return read(folder / "processing.yaml", Settings).value


def mistakes(folder: Path, text: str) -> list[str]:
    with pytest.raises(Mistakes) as raised:
        settings(folder, text)
    return [line.replace(str(folder), "FOLDER") for line in str(raised.value).splitlines()]


def test_everything_that_can_be_said_is_understood(folder):
    found = settings(folder, RIGHT)
    assert isinstance(found.sources["watched"], FilesystemSettings)
    assert isinstance(found.sources["posted"], HttpSettings)
    assert found.sources["watched"].settle == 0.5
    assert found.sources["posted"].senders["detector"].prefixes == ["p03/"]
    assert found.rules["radial"].parameters == {"bins": 200}
    assert found.storages["beamline"].fields() == ["beamline", "proposal", "scan"]
    assert found.access.all == ["data-admins"]


def test_relative_paths_start_at_the_files_folder(folder, monkeypatch):
    monkeypatch.chdir("/")
    found = settings(folder, RIGHT)
    assert found.store == f"sqlite:///{folder}/beamhub.db"
    assert found.results == folder / "results"
    assert found.storages["beamline"].root == folder / "raw"
    assert found.functions == [folder / "functions"]


def test_with_storages_alone_the_rest_has_its_default(folder):
    found = settings(folder, "storages: {beamline: {root: raw}}")
    assert found.store == f"sqlite:///{folder}/beamhub.db"
    assert found.results == folder / "results"
    assert found.executors["here"].workers == 2
    assert not found.single_user
    assert found.storages["beamline"].layout == found.access.proposal_group == "{proposal}"


def test_a_password_in_the_stores_address_is_kept(folder):
    address = "postgresql+psycopg://hub:secret@db.example.org/beamhub"
    assert settings(folder, f"store: {address}\nstorages: {{beamline: {{root: raw}}}}").store == address


STORAGES = "storages: {beamline: {root: raw}}\n"


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("{}", "storages"),
        ("storages: {beamline: {root: gone}}", ":1: there is no folder FOLDER/gone @ storages.beamline.root; make it"),
        ('storages: {"../x": {root: raw}}', "'../x' is no name @ storages.../x; up to 100 letters"),
        ('storages: {b: {root: raw, layout: "{proposal"}}', "write it like {proposal}/{scan}"),
        ('storages: {b: {root: raw, layout: "{proposal}/{proposal}"}}', "must be different"),
        ('storages: {b: {root: raw, layout: "{a.b}"}}', "'a.b' is no word"),
        ('storages: {b: {root: raw, layout: "{scan}"}}', "no file has a proposal, so that nobody may see any"),
        ("results: raw/processed\n" + STORAGES, "results lie in storage 'beamline', so that each would be taken for"),
        ("store: mysql://host/name\n" + STORAGES, "only SQLite and PostgreSQL can be used"),
        ("store: beamhub.db\n" + STORAGES, "no database address @ store; write sqlite:///beamhub.db"),
        ('access: {proposal_group: "{propsal}"}\n' + STORAGES, "no storage's layout has {propsal}"),
        ("access: {proposal_group: everybody}\n" + STORAGES, "one group for all proposals"),
        ('access: {proposal_group: "{proposal.x}"}\n' + STORAGES, "'proposal.x' is no word"),
        ("access: {beamline_groups: {p03: staff}}\n" + STORAGES, "no storage's layout has {beamline}"),
        (
            "sources: {w: {kind: filsystem}}\n" + STORAGES,
            "unknown kind 'filsystem' @ sources.w; possible: filesystem, http",
        ),
        ("sources: {w: {kind: filesystem, storage: beamlin}}\n" + STORAGES, "did you mean beamline?"),
        ("sources: {w: {kind: filesystem, storage: beamline, settle: soon}}\n" + STORAGES, "sources.w"),
        ("sources: {p: {kind: http, senders: {d: {storages: [b]}}}}\n" + STORAGES, "senders.d.storages[0]"),
        ("executors: {}\n" + STORAGES, "there is no executor @ executors; write here: {kind: dask, workers: 2}"),
        (
            "executors: {here: {kind: dusk}}\n" + STORAGES,
            "unknown kind 'dusk' @ executors.here.kind; did you mean dask?",
        ),
        ("executors: {here: {workers: 0}}\n" + STORAGES, "executors.here.workers"),
        ("functions: [gone]\n" + STORAGES, "there is no FOLDER/gone @ functions[0]"),
        (
            "rules: {r: {when: {storage: b}, function: f}}\n" + STORAGES,
            "there is no storage 'b' @ rules.r.when.storage",
        ),
        ("rules: {r: {when: {storage: beamline, path: /raw/*}, function: f}}\n" + STORAGES, "'/raw/*' matches no file"),
        ("rules: {r: {when: {storage: beamline, path: ../*}, function: f}}\n" + STORAGES, "'../*' matches no file"),
        ("rules: {r: {when: {storage: beamline}, function: f, executor: hre}}\n" + STORAGES, "did you mean here?"),
        ("rules: {r: {when: {storage: beamline}}}\n" + STORAGES, "rules.r.function"),
        (
            "rules: {r: {when: {storage: beamline}, function: f, columns: {sample: a/b}, table: [file, sampel]}}\n"
            + STORAGES,
            "there is no column 'sampel' @ rules.r.table[1]; did you mean sample? A result of this name is written "
            "scalar:sampel",
        ),
        (
            'rules: {r: {when: {storage: beamline}, function: f, table: [chi2, "column:temperature"]}}\n' + STORAGES,
            "there is no column 'temperature' @ rules.r.table[1]; the rule has no columns",
        ),
        (
            "rules: {r: {when: {storage: beamline}, function: f, table: [chi2, chi2]}}\n" + STORAGES,
            "'chi2' stands there twice @ rules.r.table[1]; take one of them out",
        ),
        ("rules: {r: {when: {storage: beamline}, function: f, wth: {}}}\n" + STORAGES, "did you mean with?"),
        ('rules: {"a/b": {when: {storage: beamline}, function: f}}\n' + STORAGES, "'a/b' is no name @ rules.a/b"),
    ],
    ids=lambda part: "" if "\n" in part else part[:40],
)
@pytest.mark.promise("bad input")
def test_a_mistake_is_told_with_its_place_and_what_to_write(folder, text, mistake):
    (line,) = mistakes(folder, text)
    assert mistake in line
    assert line.startswith("FOLDER/processing.yaml:")


def test_all_mistakes_are_told_at_once_in_the_order_of_their_lines(folder):
    found = mistakes(
        folder,
        """\
        storages:
          beamline: {root: gone}
        sources:
          watched: {kind: filesystem, storage: beemline}
        functions: [gone]
        rules:
          radial: {when: {storage: beamline, path: /x}, function: f, executor: ther}
        """,
    )
    assert [line.split(":")[1] for line in found] == ["2", "4", "5", "7", "7"]


def test_the_demos_own_file_is_right():
    path = Path(__file__).parent.parent.parent / "examples/demo/processing.yaml"
    assert set(read(path, Settings).value.rules) == {"magnet", "small angle", "powder"}
