"""jupyterhub_config.py, run as JupyterHub runs it, to read what it says; no Hub is started."""

import contextlib
import sys
import traceback
from pathlib import Path

from jupyterhub.app import JupyterHub
from traitlets.config import Config
from traitlets.config.loader import ConfigFileNotFound

from beamhub.config.mistakes import Mistake, Mistakes

AS_THE_HUB = "run this where the Hub runs: on its machine, with its Python, its account and its environment"


def load(path: Path) -> Config:
    """All that a configuration says. It is Python, and whatever it does besides is done; what it prints is an error's.

    Raises:
        Mistakes: there is no such file, or it ends with an error; names the line and what to do.
    """
    loader = JupyterHub.python_config_loader_class(path.name, path=str(path.resolve().parent))
    try:
        with contextlib.redirect_stdout(sys.stderr):
            found: Config = loader.load_config()
    except ConfigFileNotFound as error:
        raise Mistakes(path, [Mistake("there is no such file")]) from error
    except SyntaxError as error:
        raise Mistakes(path, [Mistake(f"no Python: {error.msg}", line=error.lineno or 0)]) from error
    except ModuleNotFoundError as error:
        remedy = f"{AS_THE_HUB}, or install it here"
        raise Mistakes(path, [Mistake(f"{error.name} is not installed", "", _line(path, error), remedy)]) from error
    except (Exception, SystemExit) as error:  # it is anybody's code
        said = "".join(traceback.format_exception_only(error)).strip()
        raise Mistakes(path, [Mistake(said, "", _line(path, error), AS_THE_HUB)]) from error
    return found


def _line(path: Path, error: BaseException) -> int:
    """The configuration's own line at which an error came up."""
    own = [step.lineno for step in traceback.extract_tb(error.__traceback__) if step.filename == str(path.resolve())]
    return (own[-1] if own else None) or 0
