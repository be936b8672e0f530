"""The clock of a service and of all that it starts, which can be made wrong while they run; nobody else's is."""

import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("clock.c")


class Clock:
    """A clock that is right at first; what is started with its ``environment`` goes by it.

    Clocks that only ever go on (monotonic ones) are left alone, as they are when a computer's clock is set. libfaketime
    is not used: ``time.sleep`` of Python 3.11 fails under it (EINVAL).
    """

    def __init__(self, folder: Path) -> None:
        library = folder / "clock.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, SOURCE], check=True)
        self._file = folder / "clock"
        self._file.write_bytes(bytes(8))
        self.environment = {"LD_PRELOAD": str(library), "CLOCK_WRONG_BY": str(self._file)}

    def jump(self, seconds: int) -> None:
        """From now on it is wrong by so much."""
        with self._file.open("r+b") as file:
            file.write(seconds.to_bytes(8, "little", signed=True))
