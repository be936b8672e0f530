import subprocess
import sys
from importlib.metadata import EntryPoint, version

import pytest

from beamhub.config import command
from beamhub.config.mistakes import Mistake, Mistakes

ROOMS = ("numpy", "tornado", "jupyterhub", "httpx", "distributed", "h5py")


@pytest.fixture
def offered(monkeypatch):
    """Put other entry points in place of the installed ones."""

    def offer(**points):
        found = [EntryPoint(name, value, command.GROUP) for name, value in points.items()]
        monkeypatch.setattr(command, "entry_points", lambda group: found)

    return offer


class Wrong:
    help = "always wrong"

    def arguments(self, parser):
        parser.add_argument("path")

    def run(self, options):
        raise Mistakes(options.path, [Mistake("it is wrong", line=3)])


@pytest.mark.parametrize("words", [[], ["--help"], ["help"]])
def test_without_a_command_the_names_of_all_are_listed(words, capsys):
    assert command.main(words) == 0
    assert {"check", "demo", "process", "processing", "rules"} <= set(capsys.readouterr().out.split())


def test_the_version_is_that_of_the_distribution(capsys):
    assert command.main(["--version"]) == 0
    assert capsys.readouterr().out == f"beamhub {version('beamhub')}\n"


def test_an_unknown_command_is_answered_with_the_nearest(capsys):
    assert command.main(["chek"]) == 2
    assert capsys.readouterr().err == "beamhub: there is no command 'chek'; did you mean check?\n"


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [("demo", "spawner", "demo"), ("orphans", "spawner", "hub"), ("process", "processing", "processing")],
)
def test_what_is_not_installed_is_said_with_the_extra_that_brings_it(name, module, extra, offered, capsys):
    offered(**{name: f"beamhub.{module}.not_there:command"})
    assert command.main([name]) == 2
    said = f"{name} needs beamhub.{module}.not_there, which is not installed: pip install 'beamhub[{extra}]'"
    assert said in capsys.readouterr().err


def test_a_reader_that_has_seen_enough_is_no_error():
    words = [sys.executable, "-m", "beamhub.config.command", "check", "--schema", "compute"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as shown:
        shown.stdout.close()
        assert shown.stderr.read() == b""
    assert shown.returncode == 0


class Broken:
    help = "loses a connection"

    def arguments(self, parser):
        pass

    def run(self, options):
        raise BrokenPipeError("of its own")


def test_a_connection_that_a_command_loses_is_an_error_of_the_command(offered, monkeypatch):
    monkeypatch.setitem(sys.modules, "broken", type(sys)("broken"))
    sys.modules["broken"].command = Broken()
    offered(broken="broken:command")
    with pytest.raises(BrokenPipeError, match="of its own"):
        command.main(["broken"])


def test_mistakes_in_a_file_are_told_without_a_traceback(offered, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "wrong", type(sys)("wrong"))
    sys.modules["wrong"].command = Wrong()
    offered(wrong="wrong:command")
    assert command.main(["wrong", "f.yaml"]) == 1
    assert capsys.readouterr().err == "f.yaml:3: it is wrong\n"
