"""The page of SlurmSpawner's traits, made of the tables in the code: ``python tests/slurm_traits.py`` writes it."""

from pathlib import Path

from beamhub.spawner.moving.wanted import TIMES, TRANSLATED
from beamhub.spawner.sites.configured import SHELL, TAKEN
from beamhub.spawner.sites.slurm import HONOURED, REFUSED

PAGE = Path(__file__).parents[1] / "docs/reference/slurm-traits.md"
BEGIN, END = "<!-- written by tests/slurm_traits.py -->\n", "<!-- to here -->\n"


def table() -> str:
    """One row for each trait."""
    rows = [(name, "honoured", _where(name, key)) for name, key in HONOURED.items()]
    rows += [(name, "translated" if name in TRANSLATED else "refused", _sentence(REFUSED[name])) for name in REFUSED]
    lines = [f"| `{name}` | *{what}* | {remedy} |\n" for name, what, remedy in sorted(rows)]
    counts = ", ".join(
        f"{sum(what == one for _, what, _ in rows)} {one}" for one in ("honoured", "translated", "refused")
    )
    head = "| trait | what becomes of it | what to write |\n|---|---|---|\n"
    times = "".join(f"| `{name}` | {_time(name, key)} |\n" for name, key in TIMES.items())
    return f"{len(rows)} traits: {counts}.\n\n{head}{''.join(lines)}\nOf JupyterHub's own:\n\n{head}{times}"


def _where(name: str, key: str) -> str:
    """Where it has its effect."""
    inside = " The launcher is made with `--config`." if name in SHELL else ""
    return f"Where the {'profile' if key == 'walltime' else 'site'} says no `{key}`.{inside}"


def _time(name: str, key: str) -> str:
    return f"*honoured* | {_where(name, key)}" if name in TAKEN else f"*translated* | `{key}` at the site."


def _sentence(remedy: str) -> str:
    return remedy[0].upper() + remedy[1:]


def page(text: str) -> str:
    """The page with its generated part replaced."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
