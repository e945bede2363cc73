"""Snapshots: round trips, damage, and failures to write or read them."""

import errno
import fcntl
import json
import os
import re
import time

import h5py
import numpy as np
import pytest
import tensorflow as tf

from pgtf.interop import load_meta, load_snapshot, save_snapshot
from pgtf.interop.contents import read_config
from pgtf.interop.hdf5 import read_hdf5, write_hdf5
from pgtf.interop.snapshots import pack, unpack
from pgtf.networks import Discriminator, Generator, GeneratorConfig
from tests.interop.disks import BadSector, FullDisk

OPTIONS = {"resolution": 16, "num_channels": 3, "label_size": 2, "fmap_base": 32, "fmap_max": 8}


@pytest.fixture(scope="module")
def networks():
    G = Generator(**OPTIONS, fused_scale=False, seed=1)
    D = Discriminator(**OPTIONS, mbstd_group_size=2, seed=2)
    Gs = Generator(**OPTIONS, fused_scale=False, seed=3)
    G.lod = D.lod = 0.5
    Gs.lod = 1.0
    return G, D, Gs


@pytest.fixture
def snapshot(tmp_path, networks):
    path = tmp_path / "network-snapshot-000001.h5"
    save_snapshot(path, *networks, cur_nimg=1000, config={"preset": "demo"})
    return path


def arrays_of(network):
    variables = network.variables_by_name
    return {name: tf.convert_to_tensor(variable).numpy() for name, variable in variables.items()}


def test_a_loaded_snapshot_has_the_same_weights_options_lod_and_meta(snapshot, networks):
    for saved, loaded in zip(networks, load_snapshot(snapshot), strict=True):
        assert type(saved) is type(loaded)
        assert saved.config == loaded.config
        assert saved.lod == loaded.lod
        assert saved.variables_by_name.keys() == loaded.variables_by_name.keys()
        for name, array in arrays_of(saved).items():
            assert np.array_equal(array, arrays_of(loaded)[name])
    assert load_meta(snapshot) == {"cur_nimg": 1000, "config": {"preset": "demo"}}


def test_a_loaded_generator_makes_the_same_bits(snapshot, networks):
    latents, labels = np.ones([2, networks[2].latent_size], "float32"), np.eye(2, dtype="float32")
    expected = networks[2](latents, labels)
    assert expected.shape == (2, 8, 8, 3)  # the lod stored with Gs
    assert np.array_equal(expected, load_snapshot(snapshot)[2](latents, labels))


def test_the_same_networks_give_the_same_bytes_a_second_later(snapshot, networks, tmp_path):
    time.sleep(1.1)  # the resolution of the times that HDF5 would store
    other = tmp_path / "other.h5"
    save_snapshot(other, *networks, config={"preset": "demo"}, cur_nimg=1000)
    assert other.read_bytes() == snapshot.read_bytes()


def test_one_changed_weight_gives_other_bytes(snapshot, networks, tmp_path):
    G, D, _ = networks
    save_snapshot(tmp_path / "other.h5", G, D, G, cur_nimg=1000, config={"preset": "demo"})
    assert (tmp_path / "other.h5").read_bytes() != snapshot.read_bytes()


def test_a_snapshot_holds_only_numbers_and_json(snapshot):
    with h5py.File(snapshot) as file:
        kinds = set()
        file.visititems(lambda name, item: kinds.add(getattr(item, "dtype", None)))
        assert kinds == {None, np.dtype("float32")}
        assert sorted(file.attrs) == ["format", "meta", "networks", "version"]
        assert json.loads(file.attrs["networks"])["D"]["options"]["mbstd_group_size"] == 2


def test_packed_networks_go_back_into_existing_ones(networks):
    groups, attributes = pack(G=networks[0], Gs=networks[2])
    other = Generator(**OPTIONS, fused_scale=False, seed=9)
    unpack(groups, attributes, "checkpoint", Gs=other)
    assert other.lod == 1.0
    assert all(np.array_equal(a, arrays_of(other)[n]) for n, a in groups["Gs"].items())
    with pytest.raises(ValueError, match="G was stored with another `fused_scale`"):
        unpack(groups, attributes, "checkpoint", G=Generator(**OPTIONS))
    with pytest.raises(ValueError, match="no network D in it"):
        unpack(groups, attributes, "checkpoint", D=networks[1])


def test_a_full_disk_leaves_the_previous_snapshot_and_no_litter(snapshot, networks, monkeypatch):
    before = snapshot.read_bytes()
    real_open = open
    monkeypatch.setattr("builtins.open", lambda *a, **k: FullDisk(real_open(*a, **k), 4096))
    with pytest.raises(OSError, match="No space left on device") as caught:
        save_snapshot(snapshot, *networks, cur_nimg=2000)
    monkeypatch.undo()
    assert caught.value.errno == errno.ENOSPC
    assert str(snapshot) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert snapshot.read_bytes() == before
    assert os.listdir(snapshot.parent) == [snapshot.name]


def test_a_file_size_limit_leaves_the_previous_snapshot(snapshot, networks):
    resource = pytest.importorskip("resource", reason="POSIX only")
    before, limits = snapshot.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            save_snapshot(snapshot, *networks)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert snapshot.read_bytes() == before
    assert os.listdir(snapshot.parent) == [snapshot.name]


def test_an_interrupt_while_renaming_leaves_the_previous_snapshot(snapshot, networks, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    before = snapshot.read_bytes()
    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_snapshot(snapshot, *networks, cur_nimg=2000)
    assert snapshot.read_bytes() == before
    assert os.listdir(snapshot.parent) == [snapshot.name]


def test_a_file_is_read_without_asking_for_a_lock(snapshot, networks):
    """Some file systems have none; here another program holds it."""
    with open(snapshot, "rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert load_meta(snapshot)["cur_nimg"] == 1000
        assert load_snapshot(snapshot)[2].lod == 1.0
        save_snapshot(snapshot, *networks, cur_nimg=2000)
    assert load_meta(snapshot)["cur_nimg"] == 2000


@pytest.mark.parametrize("good", [0, 8, 512, 2048])
@pytest.mark.parametrize("read", [load_meta, load_snapshot])
def test_a_file_that_cannot_be_read_is_not_called_damaged(snapshot, monkeypatch, read, good):
    monkeypatch.setattr("builtins.open", lambda path, mode, **_: BadSector(path, good))
    with pytest.raises(OSError, match=f"cannot read {re.escape(str(snapshot))}: Input/output"):
        read(snapshot)


def test_a_link_under_the_temporary_name_is_not_written_through(snapshot, networks, tmp_path):
    (tmp_path / "elsewhere").write_text("precious")
    snapshot.with_name(f"{snapshot.name}.{os.getpid()}.tmp").symlink_to(tmp_path / "elsewhere")
    save_snapshot(snapshot, *networks, cur_nimg=2000)
    assert (tmp_path / "elsewhere").read_text() == "precious"
    assert load_meta(snapshot) == {"cur_nimg": 2000}
    assert not snapshot.is_symlink()


@pytest.mark.parametrize("kept", [0, 1, 100, 3000, -1])
def test_a_truncated_snapshot_is_an_error_that_names_it(snapshot, kept):
    snapshot.write_bytes(snapshot.read_bytes()[:kept])
    with pytest.raises(ValueError, match=re.escape(str(snapshot))) as caught:
        load_snapshot(snapshot)
    assert "\n" not in str(caught.value)


def test_every_flipped_byte_is_noticed(snapshot):
    whole = bytearray(snapshot.read_bytes())
    for position in [*range(0, len(whole), len(whole) // 60), len(whole) - 1]:
        damaged = whole.copy()
        damaged[position] ^= 0x55
        snapshot.write_bytes(damaged)
        with pytest.raises(ValueError, match=re.escape(str(snapshot))):
            load_snapshot(snapshot)


def test_no_such_file_foreign_hdf5_and_other_versions_are_named(tmp_path):
    path = tmp_path / "x.h5"
    with pytest.raises(FileNotFoundError, match="x.h5: no such file"):
        load_snapshot(path)
    with h5py.File(path, "w") as file:
        file["data"] = np.zeros(3)
    with pytest.raises(ValueError, match="x.h5: truncated, damaged or of another program"):
        load_snapshot(path)
    write_hdf5(path, {}, {"format": "pgtf-checkpoint"})
    with pytest.raises(ValueError, match=r"x.h5: not a snapshot.*pgtf-checkpoint"):
        load_snapshot(path)
    for version in (0, 2, 99):
        write_hdf5(path, {}, {"format": "pgtf-snapshot", "version": version})
        with pytest.raises(ValueError, match=rf"another version.*version={version}, expected 1"):
            load_snapshot(path)
    write_hdf5(path, {}, {"format": "pgtf-snapshot", "version": 1, "networks": "{}"})
    with pytest.raises(ValueError, match="no network G in it"):
        load_snapshot(path)


@pytest.mark.parametrize("load", [load_snapshot, load_meta])
@pytest.mark.parametrize("attribute", ["format", "version"])
def test_a_snapshot_that_does_not_say_its_format_or_version_is_refused(snapshot, attribute, load):
    groups, attributes = read_hdf5(snapshot)
    del attributes[attribute]
    write_hdf5(snapshot, groups, attributes)
    with pytest.raises(ValueError, match=rf"a snapshot.* Received: {attribute}=None"):
        load(snapshot)


def edited(snapshot, edit):
    """Rewrites a snapshot with a right checksum after `edit(groups, networks)`."""
    groups, attributes = read_hdf5(snapshot)
    networks = json.loads(attributes["networks"])
    edit(groups, networks)
    write_hdf5(snapshot, groups, attributes | {"networks": json.dumps(networks)})


def test_weights_that_do_not_fit_are_all_named(snapshot):
    def edit(groups, _):
        del groups["D"]["4x4/Conv/bias"]
        groups["D"]["4x4/Conv/extra"] = np.zeros(3, "float32")
        groups["D"]["4x4/Dense1/weight"] = np.zeros([2, 3], "float32")
        groups["D"]["4x4/Dense1/bias"] = np.zeros(3, "int32")

    edited(snapshot, edit)
    with pytest.raises(ValueError, match=r"snapshot-000001.h5, D: ") as caught:
        load_snapshot(snapshot)
    for part in (
        "4x4/Conv/bias is missing",
        "4x4/Conv/extra is unknown",
        "4x4/Dense1/weight must have shape (8, 3), found (2, 3)",
        "4x4/Dense1/bias must be of floats, found int32",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"options": {"resolution": 12}}, r"Gs: `resolution` must be a power of two"),
        ({"options": {"noise": 1}}, "Gs: .*noise"),
        ({"lod": 7.0}, r"Gs: `lod` must be in 0 ... 2"),
        ({"lod": None}, "`Gs.lod` in `networks` must be a number. Received: None"),
        ({"lod": float("nan")}, "attribute `networks`: not JSON .NaN is no number"),
        ({"lod": 10**400}, "`Gs.lod` in `networks` must be a number. Received: 1000"),
    ],
)
def test_impossible_options_are_named(snapshot, change, message):
    edited(snapshot, lambda _, networks: networks["Gs"].update(change))
    with pytest.raises(ValueError, match=message):
        load_snapshot(snapshot)


@pytest.mark.parametrize("name", ["latent_size", "label_size", "fmap_base", "fmap_max"])
@pytest.mark.parametrize("size", [10**6, 2**31 - 1])
def test_a_network_of_any_size_is_refused_before_it_is_built(snapshot, name, size, monkeypatch):
    monkeypatch.setattr("pgtf.interop.weights.build", None)
    edited(snapshot, lambda _, networks: networks["Gs"]["options"].update({name: size}))
    with pytest.raises(ValueError, match="snapshot-000001.h5, Gs: weights do not fit Generator: "):
        load_snapshot(snapshot)


IMPOSSIBLE = {
    "resolution": [2**15, 2**40, 10**400, 0, -16, 2, 15, 1e300, None, "16", [16], {}, True],
    "num_channels": [0, -1, 2**31, 2.5],
    "label_size": [-1, 2**63, "2"],
    "fmap_base": [0, 10**12, 0.5, None],
    "fmap_decay": [-1, 65, 10**9, 10**400, float("inf"), float("nan"), "1"],
    "latent_size": [0, -3, 10**12, "x" * 10**6],
    "use_wscale": [2, "true", None, []],
    "structure": ["", "other", 3, ["paper"], None],
    "pixelnorm_epsilon": [-1.0, float("nan"), float("inf"), None],
    "\x1b[31m": [1],
    "x" * 10**6: [1],
}


@pytest.mark.parametrize("name", IMPOSSIBLE, ids=lambda name: name[:20])
def test_options_that_no_network_has_are_named(snapshot, name):
    for value in IMPOSSIBLE[name]:
        options = OPTIONS | {name: value}
        with pytest.raises(ValueError, match="^a.h5, Gs: .*") as caught:
            read_config(GeneratorConfig, options, "a.h5, Gs")
        message = str(caught.value)
        assert name[:20] in message or "Gs: unknown options '" in message
        assert message.isprintable()
        assert len(message) < 400


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("fmap_base", np.int64(64), 64),
        ("fmap_base", 64.0, 64),
        ("fmap_decay", 1, 1.0),
        ("latent_size", None, None),
        ("use_wscale", 1, True),
        ("use_wscale", np.bool_(False), False),
        ("wscale_constant", "rms", "rms"),
        ("resolution", 2**14, 2**14),
    ],
)
def test_options_of_another_type_with_the_same_meaning_are_converted(name, value, expected):
    found = getattr(read_config(GeneratorConfig, OPTIONS | {name: value}, "a.h5"), name)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label_names": 5}, "`label_names` in `meta` must be a list of texts. Received: 5"),
        ({"label_names": ["a", 5]}, r"`label_names\[1\]` in `meta` must be text. Received: 5"),
        ({"label_names": "ab"}, "`label_names` in `meta` must be a list of texts"),
        ({"config": [1]}, "`config` in `meta` must be an object. Received: list"),
        ({"config": {"dataset": 3}}, "`config.dataset` in `meta` must be an object. Received: 3"),
        ({"config": {"dataset": {"path": 3}}}, "`config.dataset.path` in `meta` must be text"),
        ({"cur_nimg": "x"}, "`cur_nimg` in `meta` must be a number of images or null. .*: 'x'"),
        ({"cur_nimg": -1}, "`cur_nimg` in `meta` must be a number of images"),
        ({"cur_nimg": 1.5}, "`cur_nimg` in `meta` must be a number of images"),
        ({"cur_nimg": True}, "`cur_nimg` in `meta` must be a number of images"),
        ({"cur_nimg": 10**400}, "`cur_nimg` in `meta` must be a number of images"),
        ({"more": "x" * 2**22}, "attribute `meta`: not JSON .must have at most 4194304 bytes"),
    ],
)
def test_notes_of_another_type_are_named(snapshot, changes, message):
    groups, attributes = read_hdf5(snapshot)
    meta = json.loads(attributes["meta"]) | changes
    write_hdf5(snapshot, groups, attributes | {"meta": json.dumps(meta)})
    with pytest.raises(ValueError, match=f"snapshot-000001.h5: {message}") as caught:
        load_meta(snapshot)
    assert len(str(caught.value)) < 400 + len(str(snapshot))


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", "3", '{"a":' * 100 + "1" + "}" * 100, '{"a":' * 99_999 + "1" + "}" * 99_999]
    + ["[" * 100_000, '{"a": ' + "[" * 100 + "]" * 100 + "}", '{"a": ' + "9" * 5000 + "}"],
    ids=lambda text: text[:8],
)
@pytest.mark.parametrize(("name", "load"), [("meta", load_meta), ("networks", load_snapshot)])
def test_text_that_is_no_json_object_of_few_levels_is_named(snapshot, name, load, text):
    groups, attributes = read_hdf5(snapshot)
    write_hdf5(snapshot, groups, attributes | {name: text})
    with pytest.raises(
        ValueError, match=f"attribute `{name}`( is missing or not a JSON object|: not JSON)"
    ):
        load(snapshot)


def test_mirrored_variables_are_saved_and_loaded(tmp_path):
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        G, D = Generator(**OPTIONS, seed=1), Discriminator(**OPTIONS, seed=2)
    save_snapshot(tmp_path / "a.h5", G, D, G)
    groups, attributes = read_hdf5(tmp_path / "a.h5")
    assert np.array_equal(groups["G"]["4x4/Conv/weight"], arrays_of(G)["4x4/Conv/weight"])
    with strategy.scope():
        other = Generator(**OPTIONS, seed=5)
    unpack(groups, attributes, "a.h5", G=other)
    assert np.array_equal(groups["G"]["4x4/Conv/weight"], arrays_of(other)["4x4/Conv/weight"])
