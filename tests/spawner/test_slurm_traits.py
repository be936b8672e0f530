"""The page of SlurmSpawner's traits says what the code does with each of them."""

import batchspawner
import slurm_traits
from jupyterhub.spawner import Spawner

ITS_OWN = batchspawner.SlurmSpawner.class_traits(config=True)
OF_JUPYTERHUB = Spawner.class_traits(config=True)


def test_the_page_is_what_the_tables_say():
    text = slurm_traits.PAGE.read_text()
    assert text == slurm_traits.page(text), "python tests/slurm_traits.py writes it"


def test_each_trait_that_batchspawner_has_or_changed_has_a_row():
    changed = {name for name, trait in ITS_OWN.items() if trait is not OF_JUPYTERHUB.get(name)}
    rows = {line.split("`")[1] for line in slurm_traits.PAGE.read_text().splitlines() if line.startswith("| `")}
    assert sorted(changed - rows) == []
    assert sorted(rows - set(batchspawner.SlurmSpawner.class_trait_names())) == []
