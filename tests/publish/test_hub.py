"""The Hugging Face Hub: the folder that is pushed, and networks that are loaded from there."""

import json
import shutil
import struct
import sys
import types

import numpy as np
import pytest

import pgtf
from pgtf import images
from pgtf.api import options
from pgtf.export import export
from pgtf.export.source import Source
from pgtf.foreign import hub
from pgtf.interop import load_snapshot
from pgtf.interop.safetensors import read_safetensors, write_safetensors
from tests import tiny
from tests.commands.generating import pixels, refusal, run
from tests.export.conftest import NO_REPORT

REPO = "someone/faces"


@pytest.fixture(scope="module")
def folder(snapshot, tmp_path_factory):
    """The folder of a network, written by the command."""
    out = tmp_path_factory.mktemp("hub") / "folder"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "self_check", lambda folder, expected: NO_REPORT)
        flags = (f"--snapshot={snapshot}", f"--repo={REPO}", "--licence=CC0-1.0", "--dry_run")
        run("push", *flags, f"--out={out}")
    return out


class HubError(Exception):
    """The hub refuses."""


@pytest.fixture
def client(folder, tmp_path, monkeypatch):
    """A hub with one repository, and the calls that were made."""
    cache = tmp_path / "models--someone--faces" / "snapshots" / "abc"
    calls = []

    def hf_hub_download(repo, file, revision=None):
        calls.append(("download", repo, file, revision))
        if repo != REPO:
            raise HubError(f"404 Client Error: no repository {repo}\nmore lines")
        cache.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / file, cache / file)
        return str(cache / file)

    class HfApi:
        def list_repo_files(self, repo, revision=None):
            if repo != REPO:
                raise HubError(f"404 Client Error: no repository {repo}\nmore lines")
            return [path.relative_to(folder).as_posix() for path in folder.rglob("*")]

        def create_repo(self, repo, **options):
            calls.append(("create", repo, options))

        def upload_folder(self, **options):
            calls.append(("upload", options["repo_id"]))
            return "https://example/commit"

    module = types.ModuleType("huggingface_hub")
    module.HfApi, module.hf_hub_download = HfApi, hf_hub_download
    module.errors = types.SimpleNamespace(HfHubHTTPError=HubError, LocalEntryNotFoundError=HubError)
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    return calls


def test_the_folder_holds_the_same_network_four_times(folder, snapshot):
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md", "model.safetensors", "network-snapshot-000012.h5", "network.json",
        "samples.png", "saved_model",
    ]  # fmt: skip
    source = Source.from_snapshot(snapshot)
    expected = tiny.arrays_of(source.Gs)
    found = read_safetensors(folder / "model.safetensors")
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].tobytes() == array.tobytes()
    _, _, Gs = load_snapshot(folder / "network-snapshot-000012.h5")
    for name, array in tiny.arrays_of(Gs).items():
        np.testing.assert_array_equal(array, expected[name])
    described = json.loads((folder / "network.json").read_text())
    assert described["network"] == source.sha256
    assert described["options"]["resolution"] == 16
    card = json.loads((folder / "saved_model" / "1" / "model_card.json").read_text())
    assert card["num_samples"] == 24


def test_the_card_has_a_head_a_picture_and_its_address(folder):
    text = (folder / "README.md").read_text()
    head = text.split("---\n")[1]
    assert 'license: "cc0-1.0"' in head
    assert "![24 generated images](samples.png)" in text
    assert f'net = pgtf.load("hf://{REPO}")' in text
    for title in ("Data", "Training", "Metrics", "Limits", "Licence"):
        assert f"\n## {title}\n" in text


def test_push_uploads_what_dry_run_writes(client, folder, snapshot, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(export, "self_check", lambda folder, expected: NO_REPORT)
    run("push", f"--snapshot={snapshot}", f"--repo={REPO}", "--private", f"--out={tmp_path}/x")
    assert client == [
        ("create", REPO, {"private": True, "exist_ok": True}), ("upload", REPO)
    ]  # fmt: skip
    assert "uploaded: https://example/commit" in capsys.readouterr().out
    same = "model.safetensors"
    assert (tmp_path / "x" / same).read_bytes() == (folder / same).read_bytes()


def test_a_folder_is_replaced_if_that_is_said_and_it_is_one_of_push(
    snapshot, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(export, "self_check", lambda folder, expected: NO_REPORT)
    out = tmp_path / "x"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    push = ("push", f"--snapshot={snapshot}", f"--repo={REPO}", "--dry_run", f"--out={out}")
    assert "Choose another --out, or --overwrite" in refusal(capsys, *push)
    assert "no folder of this command" in refusal(capsys, *push, "--overwrite")
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
    (out / "mine.txt").rename(out / "network.json")  # as in such a folder
    run(*push, "--overwrite")
    assert (out / "model.safetensors").exists()


def test_an_address_is_a_network_wherever_one_is_taken(client, snapshot, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net = pgtf.load(f"hf://{REPO}")
    source = Source.from_snapshot(snapshot)
    expected = images.to_uint8(source.Gs.run(net.latents([3])))
    assert np.abs(net.generate([3]).astype(int) - expected).max() <= 1
    assert client[0] == ("download", REPO, "network-snapshot-000012.h5", None)
    for flag in ("--snapshot", "--run"):
        run("images", f"{flag}=hf://{REPO}@main", "--seeds=3", "--overwrite")
        assert client[-1] == ("download", REPO, "network-snapshot-000012.h5", "main")
        found = pixels(tmp_path / "someone-faces-images" / "seed0003.png")
        assert np.abs(found - expected).max() <= 1
    given = options.from_keywords(resume_pkl=f"hf://{REPO}")
    assert str(given.resume_pkl).endswith("network-snapshot-000012.h5")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("hf://someone", "must be hf://user/name"),
        ("hf://someone/faces/../x.h5", "must be hf://user/name"),
        ("hf://someone/faces/setup.py", "must be a file that ends in .h5 or .pkl"),
        ("hf://other/faces", "no repository other/faces$"),
    ],
)
def test_a_wrong_address_is_one_line(client, address, words, capsys, tmp_path):
    text = refusal(capsys, "images", f"--snapshot={address}", f"--out={tmp_path}/x").strip()
    with pytest.raises((ValueError, OSError), match=words):
        pgtf.load(address)
    assert text.startswith("error: ")


def test_which_file_of_a_repository_is_the_network():
    choose = hub._chosen
    assert choose(["a.h5", "network-snapshot-000100.h5", "network-snapshot-000020.h5"], "x") == (
        "network-snapshot-000100.h5"
    )
    assert choose(["README.md", "karras2018.pkl"], "x") == "karras2018.pkl"
    for names in ([], ["a.h5", "b.pkl"], ["model.py"]):
        with pytest.raises(ValueError, match="Name a file: x/FILE"):
            choose(names, "x")


def test_what_comes_from_a_hub_is_read_as_data(client, folder, tmp_path, monkeypatch):
    target = folder / "network-snapshot-000012.h5"
    content = target.read_bytes()
    try:
        target.write_bytes(content[:-100])
        with pytest.raises(ValueError, match="network-snapshot-000012.h5"):
            pgtf.load(f"hf://{REPO}")
    finally:
        target.write_bytes(content)


def test_without_the_package_the_extra_is_named(snapshot, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    text = refusal(
        capsys, "push", f"--snapshot={snapshot}", f"--repo={REPO}", f"--out={tmp_path}/x"
    )
    assert "the optional extra `hub`: pip install huggingface-hub" in text
    assert not (tmp_path / "x").exists()
    text = refusal(capsys, "push", f"--snapshot={snapshot}", "--repo=faces", "--dry_run")
    assert "must be like user/name" in text


ARRAYS = {"b": np.float32([[1, 2], [3, -4]]), "a/c": np.zeros([0, 3], np.float32),
          "z": np.array(7, np.float32)}  # fmt: skip


def test_safetensors_are_what_their_own_package_writes_and_reads(tmp_path):
    package = pytest.importorskip(
        "safetensors.numpy", reason="not compared with the package safetensors: it is missing"
    )
    write_safetensors(tmp_path / "a", ARRAYS, network="ab")
    found = package.load_file(tmp_path / "a")
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert found[name].tobytes() == array.tobytes()
    package.save_file(ARRAYS, tmp_path / "b", {"x": "y"})
    assert read_safetensors(tmp_path / "b").keys() == ARRAYS.keys()


def test_safetensors_are_read_back_to_the_bit(tmp_path):
    write_safetensors(tmp_path / "a", ARRAYS, network="ab")
    found = read_safetensors(tmp_path / "a")
    for name, array in ARRAYS.items():
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()
    first = (tmp_path / "a").read_bytes()
    write_safetensors(tmp_path / "a", dict(reversed(ARRAYS.items())), network="ab")
    assert (tmp_path / "a").read_bytes() == first
    assert struct.unpack("<Q", first[:8])[0] % 8 == 0


def entry(**changes):
    return {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changes}


@pytest.mark.parametrize(
    ("header", "content"),
    [
        (entry(), b"1234567"),
        (entry(), b"123456789"),
        (entry(shape=[3]), b"12345678"),
        (entry(shape=[2**40, 2**40]), b"12345678"),
        (entry(shape=[-2]), b"12345678"),
        (entry(data_offsets=[4, 12]), b"123456789012"),
        (entry(dtype="F16"), b"12345678"),
        ([], b""),
        ({"a": 7}, b""),
    ],
)
def test_damaged_safetensors_are_refused(header, content, tmp_path):
    text = json.dumps(header).encode()
    (tmp_path / "a").write_bytes(struct.pack("<Q", len(text)) + text + content)
    with pytest.raises(ValueError, match=str(tmp_path / "a")):
        read_safetensors(tmp_path / "a")
    for damaged in (b"", b"1234", struct.pack("<Q", 2**62) + b"{}"):
        (tmp_path / "a").write_bytes(damaged)
        with pytest.raises(ValueError, match="not a safetensors file"):
            read_safetensors(tmp_path / "a")
