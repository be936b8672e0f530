"""Shapes of HDF5 files that nobody should write: each puts one thing into a group, under a name."""

import zlib

import h5py
import numpy as np

FAR = 10**12  # values, of which a file holds none


def terabytes(group: h5py.Group, name: str) -> None:
    group.create_dataset(name, (FAR,), "f8", chunks=(10**6,), fillvalue=1, compression="gzip")


def sheet(group: h5py.Group, name: str) -> None:
    group.create_dataset(name, (10**6, 10**6), "u2", chunks=(1000, 1000), fillvalue=1, compression="gzip")


def strings(group: h5py.Group, name: str) -> None:
    group.create_dataset(name, (10**9,), h5py.string_dtype(), chunks=(10**6,), compression="gzip")


def long_string(group: h5py.Group, name: str) -> None:
    group.create_dataset(name, (1,), "S2000000000", chunks=(1,), compression="gzip")


def small_outside(group: h5py.Group, name: str, size: int = 1000) -> None:
    """A chunk that unpacks to much more than its dataset says."""
    data = group.create_dataset(name, (size,), "u1", chunks=(size,), compression="gzip")
    data.id.write_direct_chunk((0,) * data.ndim, zeros(3 * 2**30))


def wide_chunk(group: h5py.Group, name: str) -> None:
    """A few values in a chunk of 3 GiB."""
    data = group.create_dataset(name, (4,), "u1", chunks=(3 * 2**30,), maxshape=(None,), compression="gzip")
    data.id.write_direct_chunk((0,), zeros(3 * 2**30))


def no_filter(group: h5py.Group, name: str) -> None:
    """Packed by a filter that there is nowhere."""
    made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    made.set_chunk((4,))
    made.set_filter(60_000, h5py.h5z.FLAG_OPTIONAL, ())
    data = h5py.h5d.create(group.id, name.encode(), h5py.h5t.IEEE_F64LE, h5py.h5s.create_simple((4,)), made)
    data.write_direct_chunk((0,), bytes(32), 0)


def nothing(group: h5py.Group, name: str) -> None:
    group.create_dataset(name, (0,), "f8")


def no_lines(group: h5py.Group, name: str) -> None:
    group.create_dataset(name, (0, 5), "f8")


def not_numbers(group: h5py.Group, name: str) -> None:
    group[name] = np.full(4, np.nan)


def references(group: h5py.Group, name: str) -> None:
    group[name] = np.array([group.ref] * 4, dtype=h5py.ref_dtype)


def compound(group: h5py.Group, name: str) -> None:
    """Of a type of the user's own, which has a name in the file."""
    group[f"type of {name}"] = np.dtype([("x", "f8"), ("y", "S9")])
    group.create_dataset(name, (4,), group[f"type of {name}"])


def opaque(group: h5py.Group, name: str) -> None:
    group[name] = np.zeros(4, "V7")


def circles(group: h5py.Group, name: str) -> None:
    """Groups that hold each other a hundred times."""
    made = group.create_group(name)
    for number in range(100):
        made[str(number)] = made
    made["soft"] = h5py.SoftLink(f"{made.name}/soft")


def depth(group: h5py.Group, name: str, levels: int = 2000) -> None:
    """Groups within groups, the last of which has a name of thousands of characters."""
    at = group.create_group(name).id
    for _ in range(levels):
        h5py.h5g.create(at, b"g")
        at = h5py.h5r.dereference(h5py.h5r.create(at, b"g", h5py.h5r.OBJECT), group.file.id)


def zeros(count: int) -> bytes:
    """So many zeros (a multiple of 16 MiB), packed; made of one block again and again, so that it takes no time."""
    block = 16 * 2**20
    packer = zlib.compressobj(9, wbits=-15)
    packed = packer.compress(bytes(block)) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = ((count % 65521) << 16) | 1  # Adler's, of zeros
    return b"\x78\x9c" + packed * (count // block) + b"\x03\x00" + checksum.to_bytes(4, "big")
