"""Somebody who has an account on the same node and wants another one's token or traffic. Standard library alone.

``listen FIRST LAST FREE`` listens at all but so many ports of a range, answers everything, and writes down what it was
sent; ``search SINCE FOLDER…`` reads what an account may read of processes, of files in folders that were written since
then (seconds since 1970), and of Slurm, and names the places where one of the words stands; the words come on standard
input, so that they are in no place themselves.
"""

import asyncio
import contextlib
import json
import os
import subprocess
import sys

MOST = 2_000_000  # bytes of one file


async def listen(first: int, last: int, free: int) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.LimitOverrunError):
            said = await asyncio.wait_for(reader.read(100_000), 5)
            if said:  # else somebody looked whether anybody is there
                print(json.dumps(said.decode(errors="replace")), flush=True)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine")
            await writer.drain()
            writer.close()

    servers = []
    for port in range(first, last + 1 - free):
        with contextlib.suppress(OSError):
            servers.append(await asyncio.start_server(answer, "0.0.0.0", port, reuse_address=True))  # noqa: S104
    print(json.dumps(f"listening at {len(servers)} ports"), flush=True)
    await asyncio.Event().wait()


def places(since: float, folders: list[str]) -> list[str]:
    found = [f"/proc/{pid}/{name}" for pid in os.listdir("/proc") if pid.isdigit() for name in ("cmdline", "environ")]
    for folder in folders:
        for path, _, names in os.walk(folder):
            for place in (os.path.join(path, name) for name in names):
                with contextlib.suppress(OSError):
                    if os.stat(place).st_ctime >= since:  # the other time can be set back
                        found.append(place)
    return found


def search(since: float, folders: list[str], words: list[bytes]) -> None:
    for place in places(since, folders):
        with contextlib.suppress(OSError), open(place, "rb", buffering=0) as file:
            text = file.read(MOST)
            if any(word in text for word in words):
                print(place)
    for command in (["scontrol", "show", "job"], ["squeue", "-a", "-O", "ALL"], ["scontrol", "show", "config"]):
        said = subprocess.run(command, capture_output=True, check=False)
        if any(word in said.stdout + said.stderr for word in words):
            print(" ".join(command))


if __name__ == "__main__":
    if sys.argv[1] == "listen":
        asyncio.run(listen(*(int(one) for one in sys.argv[2:5])))
    else:
        search(float(sys.argv[2]), sys.argv[3:], sys.stdin.buffer.read().split())
