"""More functions as people write them on a bad day; copied and run by the tests of promises."""

import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

from wild import measure

from beamhub.processing.functions import Summary, function


@function(version="1", timeout="3s")
def loops_for_ever(raw: Path, out: Path) -> Summary:
    while True:
        int(raw.is_file())


@function(version="1", timeout="60s")
def loops_until_it_is_cancelled(raw: Path, out: Path) -> Summary:
    raw.with_suffix(f".{os.getpid()}.looping").touch()
    while True:
        int(raw.is_file())


@function(version="1", timeout="3s")
def hangs_with_the_interpreters_lock_held(raw: Path, out: Path) -> Summary:
    import ctypes

    ctypes.PyDLL(None).sleep(60)
    return measure(raw, out)


@function(version="1", memory="300M")
def eats_memory_bit_by_bit(raw: Path, out: Path) -> Summary:
    eaten = []
    while True:
        eaten.append(bytearray(10 * 1024**2))


@function(version="1")
def deletes_its_input(raw: Path, out: Path) -> Summary:
    summary = measure(raw, out)
    raw.unlink()
    return summary


@function(version="1")
def deletes_its_inputs_folder(raw: Path, out: Path) -> Summary:
    shutil.rmtree(raw.parent, ignore_errors=True)
    return measure(raw, out)


@function(version="1")
def moves_its_input_out_of_its_storage(raw: Path, out: Path) -> Summary:
    shutil.move(raw, out)
    return Summary()


@function(version="1")
def overwrites_its_input(raw: Path, out: Path) -> Summary:
    raw.write_bytes(b"")
    return measure(raw, out)


@function(version="1")
def deletes_its_input_by_a_program(raw: Path, out: Path) -> Summary:
    summary = measure(raw, out)
    subprocess.run(["rm", raw], check=True)
    return summary


@function(version="1")
def needs_a_module_that_is_missing(raw: Path, out: Path) -> Summary:
    import not_installed_anywhere

    return not_installed_anywhere.measure(raw, out)


@function(version="1")
def changes_the_working_directory(raw: Path, out: Path) -> Summary:
    os.chdir(raw.parent)
    os.environ["LEFT_BEHIND"] = "yes"
    os.umask(0o077)
    return measure(raw, out)


@function(version="1")
def writes_its_output_elsewhere(raw: Path, out: Path) -> Summary:
    return measure(raw, Path("elsewhere.nxs"))


@function(version="1")
def leaves_a_thread(raw: Path, out: Path) -> Summary:
    def work() -> None:
        while True:
            time.sleep(0.1)

    threading.Thread(target=work).start()
    return measure(raw, out)


@function(version="1")
def closes_what_it_did_not_open(raw: Path, out: Path) -> Summary:
    os.closerange(0, 256)
    return Summary()


@function(version="1")
def raises_what_cannot_be_shown(raw: Path, out: Path) -> Summary:
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise ValueError("no words")

    raise Unspeakable


@function(version="1")
def calls_itself_for_ever(raw: Path, out: Path) -> Summary:
    return calls_itself_for_ever(raw, out)


@function(version="1")
def shows_all_that_it_can_find(raw: Path, out: Path) -> Summary:
    """The environments that it and the processes above it have, as the kernel shows them, and its files."""
    seen = [f"{name}={value}" for name, value in os.environ.items()]
    seen += Path("/proc/self/environ").read_bytes().decode().split("\0")
    seen += [
        os.readlink(f"/proc/self/fd/{number}") for number in range(64) if os.path.exists(f"/proc/self/fd/{number}")
    ]
    seen += [f"cwd={Path.cwd()}", f"umask={os.umask(0o022):o}"]
    print("\n".join(seen))
    return measure(raw, out)
