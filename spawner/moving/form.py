"""A start page's form in HTML, as an operator wrote it: what can be chosen from."""

from html.parser import HTMLParser

MEANT = {
    "nprocs": "cores", "cores": "cores", "cpus": "cores", "memory": "memory", "mem": "memory", "runtime": "walltime",
    "walltime": "walltime", "time": "walltime", "ngpus": "gpus", "gpus": "gpus", "partition": "partition",
    "queue": "partition",
}  # fmt: skip


class _Selects(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, list[str]] = {}
        self.fields: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A field, or one of its values."""
        given = dict(attrs)
        if tag in ("select", "input", "textarea") and given.get("name"):
            self.fields.append(str(given["name"]))
        if tag == "select":
            self._inside = str(given.get("name") or "")
        elif tag == "option" and self._inside and given.get("value"):
            values = self.found.setdefault(self._inside, [])
            values.insert(0 if "selected" in given else len(values), str(given["value"]))


def choices(html: str) -> tuple[dict[str, list[str]], list[str]]:
    """What each known field offers, its default first, and the fields that were not understood.

    >>> choices('<select name="runtime"><option value="1:00:00">1 h</option></select><input name="extra">')
    ({'walltime': ['1:00:00']}, ['extra'])
    """
    page = _Selects()
    page.feed(html)
    found: dict[str, list[str]] = {}
    for name in page.fields:
        key = MEANT.get(name.removeprefix("req_"))
        if key and page.found.get(name):
            found.setdefault(key, page.found[name])
    unknown = [name for name in page.fields if MEANT.get(name.removeprefix("req_")) not in found]
    return found, unknown
