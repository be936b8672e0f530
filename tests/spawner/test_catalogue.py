import re
from pathlib import Path

import pytest

from beamhub.config.document import read
from beamhub.config.mistakes import Mistakes
from beamhub.spawner.catalogue import Catalogue, SiteConfig

GOOD = """\
sites:
  here: {kind: local, title: This computer, ports: 20000-29999, networks: [127.0.0.0/8]}
  batch: {kind: batch, title: Cluster, hub_url: https://jupyter.example.org}
environments:
  scipy: {title: Scientific Python 2026, python: /software/scipy/bin}
profiles:
  small:
    title: Small analysis
    sites: [here, batch]
    environments: [scipy]
    cores: {choices: [2, 4, 8], default: 4}
    memory: {per_core: 4G}
    walltime: {choices: [1h, 4h, 8h], default: 4h}
"""


class Local(SiteConfig):
    kind: str = "local"


class Batch(SiteConfig):
    kind: str = "batch"
    partitions: tuple[str, ...] = ()


KINDS = {"kinds": {"local": Local, "batch": Batch}}


def load(text: str, folder: Path) -> Catalogue:
    (folder / "compute.yaml").write_text(text)
    return read(folder / "compute.yaml", Catalogue, KINDS).value


def test_a_right_catalogue_is_read_with_the_model_of_each_kind(tmp_path):
    found = load(GOOD, tmp_path)
    assert isinstance(found.sites["batch"], Batch)
    assert found.sites["here"].ports == (20000, 29999)
    assert found.profiles["small"].walltime.choices == [3600, 14400, 28800]
    assert found.profiles["small"].gpus.choices == [0]


def test_a_single_value_is_a_choice_of_one(tmp_path):
    found = load(GOOD.replace("{choices: [2, 4, 8], default: 4}", "2"), tmp_path)
    assert (found.profiles["small"].cores.choices, found.profiles["small"].cores.default) == ([2], 2)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("kind: batch", "kind: slum", "unknown kind of site 'slum'.*possible"),
        ("[here, batch]", "[hre]", "there is no site 'hre' @ profiles.small.sites.0.; did you mean here"),
        ("[scipy]", "[numpi]", "there is no environment 'numpi'"),
        ("default: 4}", "default: 5}", "default is none of the choices"),
        ("per_core: 4G", "per_core: lots", "'lots' is no size"),
        ("20000-29999", "many", "'many' is no range of ports"),
        ("127.0.0.0/8", "everywhere", "yaml:2: 'everywhere' is no network @ sites.here.networks.0.; write it like"),
        ("https://jupyter.example.org", "http://localhost:8000", "cannot reach http://localhost:8000"),
        ("title: Cluster", "titel: Cluster", "unknown key 'titel' @ sites.batch.titel; did you mean title"),
        ("https://jupyter.example.org", "jupyter", "'jupyter' is no address"),
        ("cores: {", "coers: {", "unknown key 'coers'.*did you mean cores"),
        ("title: Small analysis", "titel: x", "unknown key 'titel'"),
        ("  small:", "  Sm all:", "'Sm all' is no name"),
    ],
)
@pytest.mark.promise("bad input")
def test_a_mistake_is_told_with_its_place_and_the_remedy(tmp_path, old, new, said):
    assert old in GOOD
    with pytest.raises(Mistakes) as caught:
        load(GOOD.replace(old, new, 1), tmp_path)
    assert re.search(said, str(caught.value)), str(caught.value)


def test_the_demos_catalogue_is_right():
    demo = Path(__file__).parents[2] / "examples/demo/compute.yaml"
    assert read(demo, Catalogue).value.profiles["gpu"].groups == ["imaging"]
