"""A generator as a folder for the Hugging Face Hub, and its upload."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from pgtf import files
from pgtf.export import Facts, export_generator
from pgtf.export.card_page import PICTURE_FILE, write_page
from pgtf.export.model_card import CARD_FILE
from pgtf.export.source import Source
from pgtf.foreign import hub
from pgtf.foreign.json_files import read_json
from pgtf.interop import save_snapshot
from pgtf.interop.safetensors import write_safetensors
from pgtf.interop.weights import to_arrays

WEIGHTS, NETWORK, SAVED_MODEL = "model.safetensors", "network.json", "saved_model"
VERSION = 1  # the SavedModel's folder has this name
_REPO = re.compile(r"\w[\w.-]{0,95}/\w[\w.-]{0,95}")
USE = """\
In Python:

    import pgtf
    net = pgtf.load("hf://{repo}")  # pip install the package with its extra `hub`
    images = net.generate(seeds=range(4))  # {dtype} {shape}

On the command line: `pgtf generate images --snapshot=hf://{repo} --seeds=0-63`

| file | holds |
| --- | --- |
| `{snapshot}` | generator, discriminator, moving average and all options; can be trained on |
| `model.safetensors`, `network.json` | the weights of the moving average by name, and its options |
| `saved_model` | for TensorFlow Serving, or `tf.saved_model.load`; needs no other package |
"""


def check_repo(repo: str) -> None:
    """Raises ValueError unless the name is that of a repository."""
    if not _REPO.fullmatch(repo):
        raise ValueError(f"`--repo` must be like user/name. Received: {repo!r}.")


def write(source: Source, out: Path, facts: Facts, repo: str, overwrite: bool = False) -> None:
    """Writes snapshot, safetensors, SavedModel and card; the folder appears when it is complete.

    Args:
        source: the network.
        out: folder, which must be empty or missing unless `overwrite`.
        facts: facts for the card.
        repo: name on the hub, for the card.
        overwrite: replace an older folder of this command.

    Raises:
        FileExistsError: the folder holds something, or something else.
        ValueError: the network is damaged.
        OSError: the folder cannot be written.
    """
    is_used = out.exists() and any(out.iterdir())
    if is_used and not overwrite:
        raise FileExistsError(f"{out} exists. Choose another --out, or --overwrite.")
    if is_used and not (out / NETWORK).is_file():
        raise FileExistsError(f"{out} holds no folder of this command. Choose another --out.")
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        snapshot = _write_snapshot(source, folder)
        write_safetensors(folder / WEIGHTS, to_arrays(source.Gs), network=source.sha256)
        described = {
            "format": "pgtf-generator-1",
            "network": source.sha256,
            "lod": float(source.Gs.lod),
            "options": dataclasses.asdict(source.Gs.config),
            "label_names": list(source.label_names),
        }
        content = json.dumps(described, indent=2, sort_keys=True) + "\n"
        files.write_atomically(folder / NETWORK, content.encode())
        _write_card(source, folder, facts, repo, snapshot)
        folder.chmod(0o755)
        if out.exists():
            shutil.rmtree(out)
        os.replace(folder, out)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _write_snapshot(source: Source, folder: Path) -> str:
    """Copies the snapshot, or makes one of a pickle. Returns its name."""
    name = f"network-snapshot-{source.kimg or 0:06d}.h5"
    if source.meta:
        shutil.copyfile(source.path, folder / name)
    elif source.G is None or source.D is None:
        raise ValueError(
            f"{source.path}: must hold G, D and Gs to be published. Received: Gs only. Name a "
            "snapshot, or a pickle that holds all three."
        )
    else:
        save_snapshot(folder / name, source.G, source.D, source.Gs)
    return name


def _write_card(source: Source, folder: Path, facts: Facts, repo: str, snapshot: str) -> None:
    """Writes the SavedModel, and its card at the top of the folder."""
    made = export_generator(source.Gs, folder / SAVED_MODEL, version=VERSION, facts=facts)
    card: Any = read_json(made / CARD_FILE)
    if card["num_samples"]:
        shutil.copyfile(made / PICTURE_FILE, folder / PICTURE_FILE)
    shape = [4, *card["size"], card["channels"]]
    use = USE.format(repo=repo, snapshot=snapshot, shape=shape, dtype=source.depth.dtype)
    write_page(folder, card, card["num_samples"], use)


def upload(folder: Path, repo: str, private: bool) -> str:
    """Uploads a folder; a new repository is made. Returns the address.

    Raises:
        ValueError: huggingface_hub is missing.
        OSError: the hub refuses, or cannot be reached.
    """
    client = hub.client()
    try:
        api = client.HfApi()
        api.create_repo(repo, private=private, exist_ok=True)
        found = api.upload_folder(
            folder_path=str(folder), repo_id=repo, commit_message="Upload a generator"
        )
    except hub.errors(client) as error:
        raise OSError(f"{repo}: {hub.first_line(error)}") from None
    return f"uploaded: {found}"
