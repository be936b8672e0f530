"""Run the benchmarks and write what they measured with machine and versions: python -m benchmarks [NAME…]."""

import argparse
import importlib
import json
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.machine import machine

NAMES = ("imports", "functions", "pages", "ready", "preview", "painted", "saved")
ASKED = ("at_scale", "batch", "outage", "peers", "steady", "flood")  # long, or not without more; only when asked for


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, *ASKED, []], help="which (default: all but the last six)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results", help="folder for the results")
    options = parser.parse_args()
    measured = {"when": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine()}
    for name in options.names or NAMES:
        print(f"{name} ...", flush=True)
        measured[name] = importlib.import_module(f"benchmarks.{name}").measure()
        print(json.dumps(measured[name], indent=2), flush=True)
    options.out.mkdir(exist_ok=True)
    target = options.out / f"{datetime.now(UTC):%Y-%m-%dT%H%M}.json"
    target.write_text(json.dumps(measured, indent=2) + "\n")
    print(f"written to {target}")


if __name__ == "__main__":
    main()
