import h5py
import numpy as np
import pytest

from beamhub.processing import links
from beamhub.processing.functions import DataError
from beamhub.processing.links import check_links


@pytest.fixture
def storage(tmp_path):
    """Two proposals with a file each: ours refers to others by what a test adds."""
    for proposal in ("ours", "theirs"):
        (tmp_path / proposal / "scan").mkdir(parents=True)
        with h5py.File(tmp_path / proposal / "scan/data.h5", "w") as file:
            file["counts"] = np.arange(10)
    return tmp_path


def raw_file(storage, add):
    raw = storage / "ours/scan/master.h5"
    with h5py.File(raw, "w") as file:
        file.create_group("entry")
        add(file)
    return raw


def external_link(target):
    return lambda file: file.__setitem__("entry/link", h5py.ExternalLink(target, "/counts"))


def virtual_source(target):
    def add(file):
        layout = h5py.VirtualLayout(shape=(10,), dtype="i8")
        layout[:] = h5py.VirtualSource(target, "counts", shape=(10,))
        file.create_virtual_dataset("entry/virtual", layout)

    return add


def external_data(target):
    return lambda file: file.create_dataset("entry/raw", (10,), "i1", external=[(target, 0, 10)])


WAYS = pytest.mark.parametrize("way", [external_link, virtual_source, external_data])


@WAYS
@pytest.mark.parametrize("target", ["data.h5", "../scan/data.h5", "./not-there-yet.h5"])
def test_a_target_in_the_same_proposal_is_allowed(storage, way, target):
    check_links(raw_file(storage, way(target)), storage / "ours")


@WAYS
@pytest.mark.parametrize("target", ["../../theirs/scan/data.h5", "/etc/hostname"])
@pytest.mark.promise("bad input")
def test_a_target_outside_of_the_proposal_is_refused_and_named(storage, way, target):
    with pytest.raises(DataError, match=f"master.h5 refers to {target}, which lies outside"):
        check_links(raw_file(storage, way(target)), storage / "ours")


@WAYS
@pytest.mark.promise("bad input")
def test_a_target_that_is_a_link_out_of_the_proposal_is_refused(storage, way):
    (storage / "ours/scan/alias.h5").symlink_to(storage / "theirs/scan/data.h5")
    with pytest.raises(DataError, match="outside"):
        check_links(raw_file(storage, way("alias.h5")), storage / "ours")


@WAYS
@pytest.mark.promise("bad input")
def test_a_target_behind_a_symbolic_link_is_refused_as_hdf5_takes_names_in_it_from_elsewhere(storage, way):
    (storage / "ours/a/b").mkdir(parents=True)
    with h5py.File(storage / "ours/a/b/real.h5", "w") as file:
        file["counts"] = h5py.ExternalLink("../../theirs/scan/data.h5", "/counts")  # from scan/, where the link lies
    (storage / "ours/scan/sub.h5").symlink_to("../a/b/real.h5")
    with pytest.raises(DataError, match=r"refers to sub\.h5, which is reached through a symbolic link"):
        check_links(raw_file(storage, way("sub.h5")), storage / "ours")


def pattern_of_names(name):
    """A virtual dataset without end, of as many files as there are."""

    def add(file):
        here = h5py.h5s.create_simple((0,), (h5py.h5s.UNLIMITED,))
        mapped = h5py.h5s.create_simple((10,), (h5py.h5s.UNLIMITED,))
        mapped.select_hyperslab((0,), (h5py.h5s.UNLIMITED,), (10,), (10,))
        layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        layout.set_virtual(mapped, name.encode(), b"counts", h5py.h5s.create_simple((10,)))
        h5py.h5d.create(file.id, b"virtual", h5py.h5t.STD_I64LE, here, layout)

    return add


@pytest.mark.promise("bad input")
def test_a_pattern_of_names_is_refused_since_it_stands_for_files_that_are_not_looked_at(storage):
    with h5py.File(storage / "ours/scan/f-0.h5", "w") as file:
        file["counts"] = h5py.ExternalLink(str(storage / "theirs/scan/data.h5"), "/counts")
    with pytest.raises(DataError, match=r"f-%b\.h5, a pattern of names; let it name each file"):
        check_links(raw_file(storage, pattern_of_names("f-%b.h5")), storage / "ours")


@WAYS
def test_a_target_that_is_not_there_yet_is_allowed_by_its_whole_name_too(storage, way):
    target = str(storage / "ours/scan/later.h5")
    check_links(raw_file(storage, way(target)), storage / "ours", storage / "results/ours/1/1")


@pytest.mark.promise("bad input")
def test_what_an_allowed_target_refers_to_is_checked_too(storage):
    with h5py.File(storage / "ours/scan/data.h5", "a") as file:
        file["onwards"] = h5py.ExternalLink("../../theirs/scan/data.h5", "/counts")
    with pytest.raises(DataError, match=r"data.h5 refers to \.\./\.\./theirs"):
        check_links(raw_file(storage, external_link("data.h5")), storage / "ours")


def test_files_that_refer_to_each_other_come_to_an_end(storage):
    with h5py.File(storage / "ours/scan/data.h5", "a") as file:
        file["back"] = h5py.ExternalLink("master.h5", "/entry")
    check_links(raw_file(storage, external_link("data.h5")), storage / "ours")


def test_a_file_that_is_not_hdf5_is_not_looked_at(storage):
    (storage / "ours/frame.tif").write_bytes(b"II*\0")
    check_links(storage / "ours/frame.tif", storage / "ours")


@pytest.mark.parametrize("way", [external_link, virtual_source])
@pytest.mark.parametrize(("target", "refused"), [("../../9/1/out.h5", False), ("../../../theirs/9/1/out.h5", True)])
def test_a_target_that_is_not_there_must_not_be_found_in_anothers_results_either(storage, way, target, refused):
    """HDF5 looks for it from the working directory then."""
    raw = storage / "ours/scan/a/b/c/master.h5"
    raw.parent.mkdir(parents=True)
    with h5py.File(raw, "w") as file:
        file.create_group("entry")
        way(target)(file)
    working = storage / "results/ours/5/1.part"
    check_links(raw, storage / "ours")
    if refused:
        with pytest.raises(DataError, match="is not there, and would be looked for elsewhere"):
            check_links(raw, storage / "ours", working)
    else:
        check_links(raw, storage / "ours", working)


def test_hdf5_does_look_in_the_working_directory_for_what_is_not_beside_the_file(storage, monkeypatch):
    """What the test above rests on."""
    raw = raw_file(storage, external_link("9/out.h5"))
    working = storage / "results/ours/5/1.part"
    (working / "9").mkdir(parents=True)
    with h5py.File(working / "9/out.h5", "w") as file:
        file["counts"] = 42
    monkeypatch.chdir(working)
    with h5py.File(raw) as file:
        assert file["entry/link"][()] == 42


def deep(file):
    """Groups within groups, of which HDF5 would name the last one with 40,000 characters."""
    group = h5py.h5g.open(file.id, b"/")
    for _ in range(20_000):
        made = h5py.h5r.create(group, b"g", h5py.h5r.OBJECT) if h5py.h5g.create(group, b"g") else None
        group = h5py.h5r.dereference(made, file.id)
    group.links.create_external(b"link", b"../../theirs/scan/data.h5", b"/counts")


def wide(file):
    group = h5py.h5g.open(file.id, b"/")
    for number in range(20_000):
        group.links.create_soft(b"%d" % number, b"/nowhere")
    external_link("../../theirs/scan/data.h5")(file)


def cyclic(file):
    for name in ("a", "b"):
        file.create_group(name)
    file["a/b"], file["b/a"], file["a/a"], file["b/root"] = file["b"], file["a"], file["a"], file["/"]
    file["a/soft"] = h5py.SoftLink("/a/soft")
    external_link("../../theirs/scan/data.h5")(file)


@pytest.mark.parametrize("shape", [deep, wide, cyclic])
@pytest.mark.promise("bad input")
@pytest.mark.timeout(60)
def test_a_reference_is_found_in_groups_however_deep_and_wide_they_are_and_lead_in_circles(storage, shape):
    raw = raw_file(storage, shape)
    with pytest.raises(DataError, match=r"theirs/scan/data\.h5, which lies outside"):
        check_links(raw, storage / "ours")


@pytest.mark.promise("bad input")
def test_a_link_with_a_name_that_hdf5_never_writes_hides_nothing(storage):
    def hiding(file):
        group = file.create_group("honest")
        group["link"] = h5py.ExternalLink("../../theirs/scan/data.h5", "/counts")
        file["-"] = group

    raw = raw_file(storage, hiding)
    raw.write_bytes(raw.read_bytes().replace(b"-" + bytes(7), b"." + bytes(7), 1))
    with h5py.File(raw) as file:
        assert "." in list(file)
    with pytest.raises(DataError, match=r"theirs/scan/data\.h5, which lies outside|link with the name '\.'"):
        check_links(raw, storage / "ours")


@pytest.mark.promise("bad input")
def test_more_objects_than_any_measurement_has_are_refused(storage, monkeypatch):
    monkeypatch.setattr(links, "MOST_LINKS", 1000)
    with pytest.raises(DataError, match=r"master\.h5 has more than 1000 groups, datasets and links"):
        check_links(raw_file(storage, lambda file: [file.create_group(str(n)) for n in range(1000)]), storage / "ours")
