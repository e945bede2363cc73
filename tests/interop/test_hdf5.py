"""HDF5 files of named arrays: round trips, order of writing, and content that is refused."""

import contextlib
import hashlib
import io
import os
import random
import re
import struct
import time

import h5py
import numpy as np
import pytest

from pgtf.interop.hdf5 import CHECKSUM_SIZE, parse, read_attributes, read_hdf5, write_hdf5


def test_arrays_of_every_rank_and_attributes_come_back_equal(tmp_path):
    arrays = {
        "scalar": np.float64(0.1),
        "empty": np.zeros([0, 3], "float32"),
        "flags": np.array([True, False]),
        "deep/er/name": np.arange(6, dtype=">i8").reshape(2, 3)[:, ::-1],
    }
    attributes = {"text": "ä" * 100_000, "count": 2**60, "rate": 0.1}
    write_hdf5(tmp_path / "a.h5", {"training": arrays, "none": {}}, attributes)
    groups, read = read_hdf5(tmp_path / "a.h5")
    assert read == attributes == read_attributes(tmp_path / "a.h5")
    assert groups.keys() == {"training", "none"}
    assert groups["training"].keys() == arrays.keys()
    for name, array in arrays.items():
        found = groups["training"][name]
        assert found.dtype == array.dtype
        assert np.array_equal(found, array)


def test_content_is_on_the_disk_before_its_name_and_the_name_before_anything_later(tmp_path, disk):
    write_hdf5(tmp_path / "a.h5", {"G": {"weight": np.ones(3)}}, {})
    size = (tmp_path / "a.h5").stat().st_size
    assert disk == [f"a.h5.{os.getpid()}.tmp: {size} bytes", "rename", f"{tmp_path.name}/"]


def with_dataset(path, **options):
    """Writes a file with a right checksum and the dataset G/weight of unusual storage."""
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        file.create_dataset("G/weight", **options)
    path.write_bytes(image.getvalue() + checksum_line(image.getvalue()))


def checksum_line(data):
    return f"\nsha256:{hashlib.sha256(data).hexdigest()}\n".encode()


def test_data_outside_the_file_is_not_read(tmp_path):
    (tmp_path / "secret.bin").write_bytes(b"0" * 12)
    place = [(str(tmp_path / "secret.bin"), 0, 12)]
    with_dataset(tmp_path / "a.h5", shape=(3,), dtype="float32", external=place)
    with pytest.raises(ValueError, match="G/weight is not stored as this program stores"):
        read_hdf5(tmp_path / "a.h5")


def test_a_huge_array_that_is_not_there_is_not_allocated(tmp_path):
    with_dataset(tmp_path / "a.h5", shape=(10**13,), dtype="float32")
    with pytest.raises(ValueError, match="G/weight is not stored as this program stores"):
        read_hdf5(tmp_path / "a.h5")


def test_text_in_place_of_weights_is_refused(tmp_path):
    with_dataset(tmp_path / "a.h5", data=np.array([b"import os"]))
    with pytest.raises(ValueError, match="G/weight is not numeric"):
        read_hdf5(tmp_path / "a.h5")


def by_h5py(path):
    """Groups and attributes as the HDF5 library reads them."""
    groups = {}
    with h5py.File(path) as file:
        for group in file:
            groups[group] = {}
            file[group].visititems(
                lambda name, item, members=groups[group]: (
                    members.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
                )
            )
        return groups, dict(file.attrs)


def test_files_of_any_size_are_read_as_the_hdf5_library_reads_them(tmp_path, rng):
    """Many members make a group's tree deep; many attributes need several blocks and heaps."""
    sizes = "i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8".split()
    kinds = ["b1", *(order + size for order in "<>" for size in sizes)]
    arrays = {f"{i:04d}": np.full(1, i % 100, kinds[i % len(kinds)]) for i in range(1500)}
    deep = {"/".join("abcdefgh"[:i]): rng.normal(size=[2] * i) for i in range(1, 9)}
    groups = {
        "many": arrays,
        "deep": {f"{k}/x": v for k, v in deep.items()},
        "none": {},
    }
    attributes = {f"text {i}": "ä" * i**2 for i in range(40)} | {"n": -3, "f": 0.5, "ü": "x"}
    write_hdf5(tmp_path / "a.h5", groups, attributes)
    found, expected = read_hdf5(tmp_path / "a.h5"), by_h5py(tmp_path / "a.h5")
    assert found[1] == expected[1] == attributes
    assert {name: members.keys() for name, members in found[0].items()} == {
        name: members.keys() for name, members in groups.items()
    }
    for group, members in expected[0].items():
        for name, array in members.items():
            assert found[0][group][name].dtype == np.asarray(array).dtype
            assert np.array_equal(found[0][group][name], array)


@pytest.mark.parametrize(("group", "name"), [("ä", "x"), ("x", "ä"), ("x", "y/ä")])
def test_names_that_hdf5_stores_in_another_form_are_not_written(group, name, tmp_path):
    with pytest.raises(ValueError, match="names must be ASCII"):
        write_hdf5(tmp_path / "a.h5", {group: {name: np.ones(3)}}, {})


UNUSUAL = {
    "chunks": {"data": np.ones(3, "float32"), "chunks": (3,)},
    "gzip": {"data": np.ones(3, "float32"), "chunks": (3,), "compression": "gzip"},
    "checksum": {"data": np.ones(3, "float32"), "chunks": (3,), "fletcher32": True},
    "no data": {"data": h5py.Empty("float32")},
    "complex": {"data": np.ones(3, "complex64")},
    "records": {"data": np.zeros(2, [("a", "f4"), ("b", "i4")])},
    "bit field": {"data": np.zeros(2, "V4")},
    "enumeration": {"data": np.zeros(2, "i1"), "dtype": h5py.enum_dtype({"A": 0, "B": 1}, "i1")},
    "text of any length": {"data": ["a", "b"], "dtype": h5py.string_dtype()},
    "extended precision": {"data": np.ones(2, np.longdouble)},
}


@pytest.mark.parametrize("kind", UNUSUAL)
def test_arrays_of_unusual_storage_or_type_are_refused(kind, tmp_path):
    with_dataset(tmp_path / "a.h5", **UNUSUAL[kind])
    with pytest.raises(ValueError, match=r"a\.h5: (array G/weight is not|damaged HDF5 file)"):
        read_hdf5(tmp_path / "a.h5")


def test_a_chunk_that_inflates_a_thousandfold_is_not_read(tmp_path):
    zeros = np.zeros(4 << 20, "u1")
    with_dataset(tmp_path / "a.h5", data=zeros, chunks=zeros.shape, compression=9)
    assert (tmp_path / "a.h5").stat().st_size < 20_000
    with pytest.raises(ValueError, match="G/weight is not stored as this program stores"):
        read_hdf5(tmp_path / "a.h5")


def with_file(path, fill, **options):
    """Writes an HDF5 file with a right checksum, filled by a function."""
    image = io.BytesIO()
    with h5py.File(image, "w", **options) as file:
        fill(file)
    path.write_bytes(image.getvalue() + checksum_line(image.getvalue()))


def soft_link(file):
    file["G/weight"] = np.ones(3)
    file["G/other"] = h5py.SoftLink("/G/weight")


def external_link(file):
    file.create_group("G")["weight"] = h5py.ExternalLink("b.h5", "/G/weight")


def second_name(file):
    file["G/weight"] = np.ones(3)
    file["G/other"] = file["G/weight"]


def group_in_itself(file):
    file.create_group("G/inner")
    file["G/inner/outer"] = file["G"]


def array_in_the_root(file):
    file["G"] = np.ones(3)


def virtual(file):
    layout = h5py.VirtualLayout((3,), "f4")
    layout[:] = h5py.VirtualSource("b.h5", "weight", (3,))
    file.create_virtual_dataset("G/weight", layout)


def compact(file):
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple((3,))
    group = file.create_group("G")
    h5py.h5d.create(group.id, b"weight", h5py.h5t.IEEE_F32LE, space, plist)


def float_type(**changes):
    """Returns a function that writes an array of floats of another layout."""

    def fill(file):
        kind = h5py.h5t.IEEE_F32LE.copy()
        for name, value in changes.items():
            getattr(kind, f"set_{name}")(value)
        h5py.h5d.create(file.create_group("G").id, b"weight", kind, h5py.h5s.create_simple((3,)))

    return fill


FORMS = {
    "soft link": (soft_link, "array other is not stored as"),
    "external link": (external_link, "array G is not stored as"),  # in another kind of group
    "second name": (second_name, "an object has two names"),
    "group in itself": (group_in_itself, "an object has two names"),
    "array in the root": (array_in_the_root, "array G is not stored as"),
    "virtual": (virtual, "array G/weight is not stored as"),
    "compact": (compact, "array G/weight is not stored as"),
    "bias": (float_type(ebias=100), "array G/weight is not numeric"),
    "normalization": (float_type(norm=h5py.h5t.NORM_NONE), "array G/weight is not numeric"),
}


@pytest.mark.parametrize("kind", FORMS)
def test_links_and_other_forms_of_storage_are_refused(kind, tmp_path):
    fill, message = FORMS[kind]
    with_file(tmp_path / "a.h5", fill)
    with pytest.raises(ValueError, match=rf"a\.h5: .*{message}"):
        read_hdf5(tmp_path / "a.h5")


@pytest.mark.parametrize("read", [read_hdf5, read_attributes])
def test_another_version_of_the_format_is_refused(read, tmp_path):
    with_file(tmp_path / "a.h5", lambda file: None, libver="latest")
    with pytest.raises(ValueError, match=r"a\.h5: damaged HDF5 file \(another version"):
        read(tmp_path / "a.h5")


@pytest.mark.parametrize("value", [[1, 2], h5py.Empty("f4"), np.bytes_(b"x"), 1j, b"\xff"])
def test_attributes_that_are_no_text_or_number_are_refused(value, tmp_path):
    with_file(tmp_path / "a.h5", lambda file: file.attrs.update(meta=value))
    for read in (read_hdf5, read_attributes):
        with pytest.raises(ValueError, match=r"a\.h5: (attribute meta is neither|damaged)"):
            read(tmp_path / "a.h5")


def test_arrays_that_share_their_data_are_refused_before_they_take_memory(tmp_path):
    """50 arrays of a few bytes each are made to claim most of the file."""
    arrays = {str(i): np.full(1031, i, "float32") for i in range(50)}
    write_hdf5(tmp_path / "a.h5", {"G": arrays}, {})
    data = (tmp_path / "a.h5").read_bytes()[:-CHECKSUM_SIZE]
    number = struct.Struct("<Q").pack
    sizes = [match.start() for match in re.finditer(re.escape(number(4 * 1031)), data)]
    assert len(sizes) == 50
    forged = bytearray(data.replace(number(1031), number(45_000)))
    for position in sizes:
        forged[position - 8 : position + 8] = number(2048) + number(4 * 45_000)
    (tmp_path / "a.h5").write_bytes(bytes(forged) + checksum_line(forged))
    with pytest.raises(ValueError, match=r"a\.h5: damaged HDF5 file \(parts of it overlap\)"):
        read_hdf5(tmp_path / "a.h5")


def test_damage_under_a_right_checksum_is_an_error_or_harmless(tmp_path):
    """The HDF5 library ends the process with a signal, or never returns, on some of these."""
    arrays = {f"{i}x{i}/weight": np.ones([i, 3], "float32") for i in range(12)}
    write_hdf5(tmp_path / "a.h5", {"G": arrays, "D": arrays}, {"meta": "{}", "version": 1})
    whole = (tmp_path / "a.h5").read_bytes()[:-CHECKSUM_SIZE]
    structure = [i for i, byte in enumerate(whole) if byte]
    rng, messages, start = random.Random(0), [], time.process_time()
    for _ in range(600):
        damaged = bytearray(whole)
        for position in rng.choices(structure, k=rng.randint(1, 3)):
            size = rng.choice([1, 1, 2, 8])
            damaged[position : position + size] = rng.choice(
                [b"\xff" * size, bytes(size), rng.randbytes(size)]
            )
        try:
            parse(bytes(damaged) + checksum_line(damaged), "a.h5")
        except ValueError as error:
            messages.append(str(error))
    assert len(messages) > 200
    assert all(m.startswith("a.h5: ") and m.isprintable() and len(m) < 400 for m in messages)
    assert time.process_time() - start < 30


@pytest.mark.parametrize("read", [read_hdf5, read_attributes])
@pytest.mark.parametrize("has_writer", [False, True])
def test_a_pipe_is_refused_and_not_waited_for(read, has_writer, tmp_path):
    os.mkfifo(tmp_path / "a.h5")
    with open(tmp_path / "a.h5", "r+b", buffering=0) if has_writer else contextlib.nullcontext():
        with pytest.raises(ValueError, match="a.h5: not an HDF5 file"):
            read(tmp_path / "a.h5")
