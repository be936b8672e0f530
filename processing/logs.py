"""Log lines: for people at a terminal, one JSON object a line for machines."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal

from beamhub.processing.spelling import shown

Form = Literal["text", "json"]
QUIET = ("distributed", "alembic", "tornado.access", "asyncio")  # at level WARNING
OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """``time``, ``level``, ``logger``, ``message``, what was given as ``extra``, and the traceback as ``error``."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as one line."""
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": shown(record.getMessage()),
        }
        told |= {name: value for name, value in vars(record).items() if name not in OWN}
        if record.exc_info:
            told["error"] = self.formatException(record.exc_info)
        return json.dumps(told, default=str, ensure_ascii=False)


def configure_logs(form: Form | None = None, verbose: bool = False) -> None:
    """Send the log to standard error.

    Args:
        form: text or json; by default text where somebody looks at a terminal.
        verbose: tell more.
    """
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(text if (form or ("text" if sys.stderr.isatty() else "json")) == "text" else JsonLines())
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler], force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
