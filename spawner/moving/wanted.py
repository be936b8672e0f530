"""What one offer comes to: what its site says, what its profile says, its software, and what was not taken over."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jupyterhub.spawner import Spawner

from beamhub.config.quantities import format_duration
from beamhub.spawner.moving import form, sbatch, script
from beamhub.spawner.moving.offers import Offer, Place
from beamhub.spawner.moving.script import Script
from beamhub.spawner.sites import jobscript, slurm_jobs, slurm_text
from beamhub.spawner.sites.slurm import AT_PROFILE, AT_SITE, HONOURED, REFUSED

TRANSLATED = (  # of REFUSED: what is carried into compute.yaml
    "batch_script", "req_gres", "req_memory", "req_ngpus", "req_nprocs", "req_options", "req_queue",
)  # fmt: skip
OPTION_OF = {
    "req_queue": "partition", "req_partition": "partition", "req_account": "account", "req_qos": "qos",
    "req_reservation": "reservation", "req_gres": "gres", "req_ngpus": "gpus", "req_nprocs": "cpus-per-task",
    "req_memory": "mem", "req_runtime": "time", "req_cluster": "clusters",
}  # fmt: skip
TIMES = {"start_timeout": "queue_timeout", "http_timeout": "start_timeout"}  # of JupyterHub's traits: at the site
INSTEAD = {  # of HONOURED: what to write where code made the value
    "req_epilogue": AT_SITE.format("epilogue"), "req_prologue": AT_SITE.format("prologue"),
    "req_runtime": AT_PROFILE.format("walltime"),
}  # fmt: skip
OURS = {  # written into each job by the launcher
    "job-name", "output", "error", "open-mode", "no-requeue", "requeue", "chdir", "export", "get-user-env", "parsable",
    "uid", "gid", "quiet", "verbose",
}  # fmt: skip
MOST, MOST_GPUS = 4096, 64  # of a profile
BASH = re.compile(r"\[\[|\bfunction\s|<\(|<<<|^\s*\w+=\(", re.MULTILINE)
STAYS = "it is JupyterHub's: keep it in jupyterhub_config.py, as c.Spawner.{} for all profiles."
NO_SUCH = "there is no such setting here. Leave it out."
SECRET = re.compile(r"PRIVATE KEY|(PASSWORD|SECRET|TOKEN)\w*=[\"']?[^$\s\"']", re.IGNORECASE)


@dataclass
class Wanted:
    """What an offer comes to. ``site``, ``profile`` and ``software`` hold keys of compute.yaml."""

    offer: Offer
    site: dict[str, Any] = field(default_factory=dict)
    profile: dict[str, Any] = field(default_factory=dict)
    software: dict[str, Any] = field(default_factory=dict)
    partitions: list[list[str]] = field(default_factory=list)
    cluster: str = ""
    taken: list[Place] = field(default_factory=list)
    left: list[tuple[Place | str, str]] = field(default_factory=list)  # what, and the sentence


def wanted(offer: Offer) -> Wanted:
    """Bring one offer to the keys of compute.yaml."""
    made = Wanted(offer)
    rendered = _script(made)
    _options(made, rendered)
    _shell(made, rendered)
    _form(made)
    _waiting(made)
    _rest(made)
    return made


def _script(made: Wanted) -> Script | None:
    """The operator's own script, filled in; None where it is batchspawner's."""
    said = made.offer.said
    if not isinstance(said.get("batch_script"), str):
        return None
    values = {name.removeprefix("req_"): value for name, value in said.items() if name.startswith("req_")}
    try:
        found = script.read(said["batch_script"], {"srun": "srun", **values})
    except ValueError as error:
        made.left.append((_where(made, "batch_script"), f"{error}. {REFUSED['batch_script']}"))
        return None
    if found.unknown:
        names = ", ".join(found.unknown)
        made.left.append((_where(made, "batch_script"), f"nothing says what {names} is in it; it was left out."))
    if not found.start:
        made.left.append((_where(made, "batch_script"), "no line of it starts a server; look whether it is a script."))
    return found


def _options(made: Wanted, rendered: Script | None) -> None:
    said = made.offer.said
    asked = [(option, str(said[name])) for name, option in OPTION_OF.items() if said.get(name)]
    asked += sbatch.options(str(said.get("req_options") or ""))
    if rendered is not None:  # it says which of them the job asked for; what it leaves out was meant all the same
        asked += sbatch.options(rendered.options)
    asked = [(name, value) for name, value in asked if value or name in sbatch.ALONE]
    found = dict(asked)
    for name, (key, read) in VALUES.items():
        if name in found:
            value = read(found.pop(name))
            if value is None:
                made.left.append((f"--{name}={dict(asked)[name]}", f"it is no value that {key} can have; write {key}."))
            else:
                made.profile[key] = value
    if isinstance(size := made.profile.get("memory"), int):
        made.profile["memory"] = _size(size)
    _many(made, found)
    _gpus(made, found)
    made.partitions = [_partitions(made, found.pop("partition", ""))]
    made.cluster = found.pop("clusters", "") or str(said.get("req_host") or "")
    for name in ("account", "qos", "reservation", "constraint"):
        if value := found.pop(name, ""):
            pattern = slurm_jobs.CONSTRAINT if name == "constraint" else jobscript.WORD
            if pattern.fullmatch(value):
                made.site[name] = value
            else:
                made.left.append((f"--{name}={value}", "it differs from person to person; a site has one for all."))
    directives = [f"--{name}={value}" if value else f"--{name}" for name, value in found.items() if name not in OURS]
    for one in directives:
        if "@" in one or not jobscript.DIRECTIVE.fullmatch(one):
            made.left.append((one, "it differs from person to person, or is no option; a site's directives do not."))
        else:
            made.site.setdefault("directives", []).append(one)


def _partitions(made: Wanted, names: str) -> list[str]:
    """Those that can be one."""
    named = [one.strip() for one in names.split(",") if one.strip()]
    if wrong := [one for one in named if not jobscript.WORD.fullmatch(one)]:
        made.left.append(
            (f"--partition={','.join(wrong)}", "it is no name of a partition; write partitions at the site.")
        )
    return [one for one in named if one not in wrong]


def _many(made: Wanted, found: dict[str, str]) -> None:
    """Tasks are cores of the one server; its node is one."""
    tasks = [found.pop(name, "") for name in ("ntasks", "ntasks-per-node", "tasks-per-node")]
    count = next((int(one) for one in tasks if one.isdigit()), 1)
    if count > 1:
        made.profile["cores"] = int(made.profile.get("cores", 1)) * count
    if (nodes := found.pop("nodes", "1")) not in ("1", "1-1"):
        made.left.append((f"--nodes={nodes}", "a server is one process and runs on one node; its job asks for one."))
    if (per_core := found.pop("mem-per-cpu", "")) and (size := sbatch.megabytes(per_core)):
        made.profile.setdefault("memory", {"per_core": _size(size)})


def _gpus(made: Wanted, found: dict[str, str]) -> None:
    for name in ("gpus-per-node", "gpus-per-task", "gpus", "gres"):
        for one in found.pop(name, "").split(","):
            gpus = sbatch.gpus(one if name == "gres" or one.startswith("gpu") else f"gpu:{one}") if one else None
            if gpus is not None and 0 < gpus[1] <= MOST_GPUS:
                made.profile["gpus"] = gpus[1]
                made.site["gres"] = gpus[0]
            elif one and gpus is None:
                made.left.append((f"--{name}={one}", "of generic resources a profile has gpus alone."))


def _shell(made: Wanted, rendered: Script | None) -> None:
    """Lines of shell, and the software that they lead to."""
    said = made.offer.said
    before, after = (rendered.before, rendered.after) if rendered else (
        script.shell(str(said.get("req_prologue") or "").splitlines()),
        script.shell(str(said.get("req_epilogue") or "").splitlines()),
    )  # fmt: skip
    command = said.get("cmd") or ""
    words = command if isinstance(command, str) else " ".join(command)
    start = rendered.start if rendered else ""
    loaded, made_by, before = script.modules(before)
    by_hand = start.removeprefix("exec ") if script.COMMAND not in start else ""
    made.software = {"modules": loaded} if loaded else {}
    if contained := script.container(start):
        made.software["image"] = contained[0]
        made.site |= {"runtime": "apptainer", "runtime_options": contained[1]}
    elif python := next(
        filter(None, (script.programs(one, "") for one in (words, by_hand, _single(said)))), script.programs("", before)
    ):
        made.software["python"] = python
    if made_by:
        made.site["module_init"] = made_by
    elif loaded:
        made.left.append(("module load", "name the file that makes module for sh: module_init at the site."))
    if rendered and rendered.login:
        before = f". /etc/profile\n{before}".strip()
    for key, text in (("prologue", before), ("epilogue", after)):
        if "@" in text and re.search(r"@(username|homedir|keepvars)@", text):
            text = re.sub(r"@keepvars@", "", text.replace("@username@", "$USER").replace("@homedir@", "$HOME"))
        if text.strip():
            made.site[key] = text.strip("\n") + "\n"
        if SECRET.search(text):
            made.left.append((key, "a secret seems to be in it, and all may read the launcher: keep it in a file."))
        if found := BASH.search(text):
            what = f"it is run by sh, and {found[0].strip()!r} in it is bash's; write it for sh."
            made.left.append((f"{key} of the job", what))
    kept = start.removeprefix("srun ").removeprefix("exec ")
    if start and not contained and not kept.startswith((script.COMMAND, "/")) and not by_hand:
        what = f"{start.replace(script.COMMAND, '{cmd}')[:80]} in batch_script"
        made.left.append((what, "what stands before the command is left out; name the software's python or image."))


def _single(said: Mapping[str, Any]) -> str:
    return str(said.get("batchspawner_singleuser_cmd") or "")


def _form(made: Wanted) -> None:
    """What people could choose from."""
    if not made.offer.form:
        return
    found, unknown = form.choices(made.offer.form)
    for key, values in found.items():
        if key == "partition":
            made.partitions = [_partitions(made, value) for value in values]
            continue
        good: list[Any] = [value for one in values if (value := CHOSEN[key](one)) is not None]
        good = [_size(value) for value in good] if key == "memory" else good
        if key == "gpus" and "gpus" not in made.profile:
            good = [0, *good]  # none was asked for without the form
        if good:
            default = made.profile.get(key, good[0])
            made.profile[key] = {"choices": good, "default": default if default in good else good[0]}
    if found:
        made.left.append((f"the form ({', '.join(found)})", "its choices are those of the profile now; look at them."))
    for name in unknown:
        made.left.append((f"the form ({name})", "people choose cores, memory, GPUs, time and site; nothing else."))


def _waiting(made: Wanted) -> None:
    """The time for a start was one with the waiting; the time until it answers is another trait of JupyterHub's."""
    said = made.offer.said
    for trait, key in TIMES.items():
        if isinstance(value := said.get(trait), int | float) and value > 0:
            made.site[key] = format_duration(value)
            made.taken.append(made.offer.where[trait])


def _rest(made: Wanted) -> None:
    """One sentence for each trait that was set and is not in compute.yaml."""
    for name in sorted(made.offer.said):
        where = made.offer.where[name]
        if name in HONOURED or name in TRANSLATED:
            made.taken.append(where)
        elif name in REFUSED:
            made.left.append((where, REFUSED[name]))
        elif name.startswith("req_"):
            made.left.append((where, NO_SUCH))
        elif name not in TIMES and where.section != "c.Spawner":
            made.left.append((where, STAYS.format(name) if name in ITS_OWN else NO_SUCH))
    for name in made.offer.computed:
        remedy = REFUSED.get(name, INSTEAD.get(name, "BeamHub does not ask for it."))
        if name != "options_form":
            made.left.append((name, f"code makes it, which was not run: {remedy}"))
    if made.offer.code:
        made.left.append((", ".join(made.offer.code), "these methods of your own class are not called any more."))


def _where(made: Wanted, name: str) -> Place:
    return made.offer.where[name]


def _whole(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\s*[0-9]{1,4}\s*", text) and 0 < int(text) <= MOST else None


def _time(text: str) -> str | None:
    found = slurm_text.seconds(text)
    return format_duration(found) if found else None


def _size(megabytes: int) -> str:
    return f"{megabytes // 1024}G" if megabytes % 1024 == 0 else f"{megabytes}M"


ITS_OWN = frozenset(Spawner.class_trait_names(config=True))
CHOSEN: dict[str, Callable[[str], Any]] = {
    "cores": _whole,
    "gpus": lambda text: found if (found := _whole(text)) and found <= MOST_GPUS else None,
    "walltime": _time,
    "memory": sbatch.megabytes,
}
VALUES: dict[str, tuple[str, Callable[[str], Any]]] = {
    "cpus-per-task": ("cores", _whole),
    "mem": ("memory", sbatch.megabytes),
    "time": ("walltime", _time),
}
