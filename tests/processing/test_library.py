import os
import shutil

import pytest
from services.workbench import FUNCTIONS

from beamhub.processing.digest import digest_of_copy
from beamhub.processing.library import Library, UnknownFunction

GOOD = '''
from pathlib import Path
from beamhub.processing.functions import Summary, function
from helper import FACTOR

@function(title="Sum", version="1", timeout="5s", memory="100M")
def total(raw: Path, out: Path, scale: float = 1.0, mask: Path | None = None) -> Summary:
    """All counts."""
    return Summary()
'''


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "functions"
    made.mkdir()
    write(made / "sums.py", GOOD)
    write(made / "helper.py", "FACTOR = 2\n")
    return made


@pytest.fixture
def library(folder, tmp_path):
    made = Library([folder], tmp_path / "copies")
    made.refresh()
    return made


def write(path, text):
    path.write_text(text)
    path.chmod(0o644)


def test_a_function_is_described_without_being_imported_here(library):
    record = library.find("total").record
    assert (record.title, record.version, record.timeout_s, record.memory_bytes) == (
        "Sum",
        "1",
        5.0,
        100 * 1024**2,
    )
    assert record.description == "All counts."
    assert set(record.parameters["properties"]) == {"scale", "mask"}


@pytest.mark.promise("user code")
def test_the_service_never_imports_a_module_of_functions(folder, tmp_path):
    write(
        folder / "sums.py",
        GOOD + f"open({str(tmp_path / 'importer')!r}, 'w').write(str(__import__('os').getpid()))\n",
    )
    Library([folder], tmp_path / "copies").refresh()
    assert int((tmp_path / "importer").read_text()) != os.getpid()


def test_an_edited_helper_makes_a_new_version_and_the_old_one_stays(library, folder):
    older = library.find("total")
    write(folder / "helper.py", "FACTOR = 3\n")
    assert library.refresh()
    newer = library.find("total")
    assert newer.record.digest != older.record.digest
    assert library.find("total", older.record.digest) == older
    assert (older.module_copy.parent / "helper.py").read_text() == "FACTOR = 2\n"


def test_nothing_happens_where_nothing_changed(library):
    assert not library.refresh()


def test_a_syntax_error_leaves_the_last_good_version_in_force_and_names_file_and_line(library, folder):
    good = library.find("total").record
    write(folder / "sums.py", GOOD + "\nthis is no python\n")
    library.refresh()
    kept = library.find("total").record
    assert (kept.digest, kept.mistake) == (good.digest, "sums.py:11: invalid syntax")
    assert library.mistakes == {str(folder / "sums.py"): "sums.py:11: invalid syntax"}


def test_a_mended_module_is_taken_again_without_a_mistake(library, folder):
    write(folder / "sums.py", "oops(")
    library.refresh()
    write(folder / "sums.py", GOOD.replace('version="1"', 'version="2"'))
    library.refresh()
    assert (library.find("total").record.version, library.find("total").record.mistake) == ("2", "")
    assert library.mistakes == {}


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        (
            "import not_installed_anywhere",
            "more.py:1: ModuleNotFoundError: No module named 'not_installed_anywhere'",
        ),
        ("\n1 / 0", "more.py:2: ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "more.py:1: SystemExit: 3"),
    ],
)
def test_a_module_that_does_not_import_leaves_the_others_alone(library, folder, text, mistake):
    write(folder / "more.py", text)
    library.refresh()
    assert library.mistakes == {str(folder / "more.py"): mistake}
    assert library.find("total").record.mistake == ""


@pytest.mark.promise("user code")
def test_a_module_that_ends_its_process_at_import_leaves_the_last_good_version(library, folder):
    good = library.find("total").record
    write(folder / "more.py", "import os\nos._exit(0)")
    library.refresh()
    assert library.find("total").record.digest == good.digest
    assert "exit code 0" in library.find("total").record.mistake


def test_a_module_named_like_an_installed_one_is_told_to_change_its_name(library, folder):
    write(folder / "numpy.py", "x = 1")
    library.refresh()
    assert "Rename the file" in library.mistakes[str(folder / "numpy.py")]


def test_a_function_that_was_taken_away_is_unknown_and_the_message_names_the_others(library, folder):
    write(folder / "sums.py", GOOD.replace("def total", "def counts"))
    library.refresh()
    with pytest.raises(UnknownFunction, match="no function total; there is: counts"):
        library.find("total")


def test_a_single_module_offers_its_own_functions_only_but_may_use_its_neighbours(folder, tmp_path):
    write(folder / "other.py", GOOD.replace("def total", "def other"))
    library = Library([folder / "sums.py"], tmp_path / "copies")
    library.refresh()
    assert [f.name for f in library.functions()] == ["total"]


@pytest.mark.promise("power, disks, clocks")
def test_functions_that_could_not_be_copied_are_taken_once_there_is_room(folder, tmp_path):
    library = Library([folder], tmp_path / "copies")
    (tmp_path / "copies").write_text("no folder can be made here")
    assert library.refresh()
    with pytest.raises(UnknownFunction, match=r"functions cannot be copied to .*copies: "):
        library.find("total")
    assert not library.refresh()  # so that the log says it once
    (tmp_path / "copies").unlink()
    assert library.refresh()
    assert library.find("total")
    assert library.mistakes == {}


@pytest.mark.promise("power, disks, clocks")
def test_while_functions_of_one_folder_cannot_be_copied_those_of_another_are_in_force(folder, tmp_path):
    (tmp_path / "more").mkdir()
    write(tmp_path / "more/other.py", GOOD.replace("def total", "def other").replace("from helper", "FACTOR = 1 #"))
    known = Library([folder], tmp_path / "elsewhere")
    known.refresh()
    stuck = tmp_path / "copies" / known.find("total").record.digest
    stuck.parent.mkdir()
    stuck.write_text("cannot be replaced by a folder")
    library = Library([folder, tmp_path / "more"], tmp_path / "copies")
    library.refresh()
    assert [function.name for function in library.functions()] == ["other"]
    assert list(library.mistakes) == [str(folder)]


@pytest.mark.promise("power, disks, clocks")
@pytest.mark.parametrize("torn", ["sums.py", "helper.py", "environment.lock"])
def test_a_copy_of_the_functions_that_a_power_cut_left_torn_is_made_anew(library, folder, tmp_path, torn):
    copy = library.find("total").module_copy.parent
    (copy / torn).write_text("")
    again = Library([folder], tmp_path / "copies")
    again.refresh()
    assert (again.find("total").record.mistake, again.mistakes) == ("", {})
    assert digest_of_copy(copy) == copy.name


def test_a_version_of_an_earlier_life_of_the_service_is_found_by_its_digest(library, folder, tmp_path):
    digest = library.find("total").record.digest
    write(folder / "helper.py", "FACTOR = 3\n")
    again = Library([folder], tmp_path / "copies")
    again.refresh()
    assert again.find("total", digest).record.digest == digest


@pytest.mark.parametrize("name", ["sums.py", "helper.py", "."])
def test_what_others_can_write_is_refused_with_the_command_that_mends_it(library, folder, name):
    (folder / name).chmod(0o777)
    library.refresh()
    assert "can be written by other accounts" in library.mistakes[str(folder)]
    assert "chmod go-w" in library.find("total").record.mistake


@pytest.mark.root
def test_what_belongs_to_somebody_else_is_refused(library, folder):
    os.chown(folder / "sums.py", 12345, 12345)
    library.refresh()
    assert "belongs to user 12345" in library.mistakes[str(folder)]


def test_a_place_that_is_not_there_is_a_mistake(tmp_path):
    library = Library([tmp_path / "nowhere"], tmp_path / "copies")
    library.refresh()
    assert "No such file" in library.mistakes[str(tmp_path / "nowhere")]


def test_paths_of_a_rule_start_from_the_configurations_folder(library, tmp_path):
    version = library.find("total")
    assert version.path_parameters() == {"mask"}
    assert version.with_absolute_paths({"mask": "m.tif", "scale": 2}, tmp_path) == {
        "mask": str(tmp_path / "m.tif"),
        "scale": 2,
    }


def test_the_tests_own_functions_import(tmp_path):
    shutil.copy(FUNCTIONS / "wild.py", tmp_path)
    (tmp_path / "wild.py").chmod(0o644)
    library = Library([tmp_path], tmp_path / "copies")
    library.refresh()
    assert library.mistakes == {}
