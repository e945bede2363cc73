"""Reference sets: many generated images with a manifest, in shards that any process may write.

An image is a function of its seed alone, to the bit: seeds are generated in aligned groups of 16,
whatever was asked for. A shard that is complete has a record; an interrupted job, or several
processes on one folder, write those that have none.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import PIL.features
import tensorflow as tf
from tqdm import tqdm

from pgtf import files, images
from pgtf.dataset import Dataset
from pgtf.export import recipe, samples
from pgtf.export.source import Source
from pgtf.foreign.json_files import read_json
from pgtf.installation import spelled
from pgtf.marks import Mark
from pgtf.networks import latents_from_seeds

FORMAT, VERSION = "pgtf-fakeset", 1
MANIFEST, PROGRESS, JOB = "manifest.jsonl", ".shards", "job.json"
SHARD = 1024  # images; a multiple of GROUP
GROUP = 16  # seeds that are generated together
FAKES, REALS = "fakes", "reals"


@dataclasses.dataclass(frozen=True)
class Job:
    """Everything that the images depend on."""

    source: Source
    first: int  # first seed
    num: int
    lod: float
    label: np.ndarray | None  # [label_size]; None = class number seed modulo label_size
    mark: recipe.Kind
    reals: Dataset | None = None  # images to write beside the fakes, at most `num`

    def __post_init__(self) -> None:
        if not 1 <= self.num <= samples.MAX_IMAGES:
            raise ValueError(
                f"`--num` must be in 1 ... {samples.MAX_IMAGES}. Received: {self.num}."
            )
        if not 0 <= self.first <= samples.MAX_SEED + 1 - self.num:
            raise ValueError(
                f"`--first` must be in 0 ... {samples.MAX_SEED + 1 - self.num}. "
                f"Received: {self.first}."
            )
        depth, channels = self.source.depth, self.source.Gs.config.num_channels
        if not depth.is_8bit or channels not in (1, 3):
            raise ValueError(
                "a reference set holds PNG files of 8 bits and 1 or 3 channels. Received: "
                f"{channels} channels of {depth.dtype}. {spelled('`generate.py images`')} writes "
                "others."
            )
        size = self.header["resolution"]
        if self.reals is not None and (self.reals.resolution, self.reals.num_channels) != (
            size,
            self.source.Gs.config.num_channels,
        ):
            raise ValueError(
                f"{self.reals.path}: `--reals` must have images of {size}x{size} pixels and "
                f"{self.source.Gs.config.num_channels} channels, as the network."
            )

    @property
    def header(self) -> dict[str, Any]:
        """The first line of the manifest."""
        reals = self.reals and {"dataset": self.reals.name, "num": self.num_reals}
        return {
            "format": FORMAT,
            "version": VERSION,
            "network": self.source.sha256,
            "first": self.first,
            "num": self.num,
            "resolution": 2 ** self.source.Gs.stage(self.lod)[0],
            "channels": self.source.Gs.config.num_channels,
            "lod": self.lod,
            "label": None if self.label is None else self.label.tolist(),
            "mark": self.mark,
            "reals": reals or None,
            "software": Mark().software,
            "packages": {x.__name__: x.__version__ for x in (np, PIL, tf)},
            "codec": {
                "format": "PNG",
                "compress_level": 6,
                "zlib": PIL.features.version("zlib_ng") or PIL.features.version("zlib"),
            },
        }

    @property
    def num_reals(self) -> int:
        """Number of real images beside the fakes."""
        return 0 if self.reals is None else min(self.num, self.reals.num_images)

    @property
    def shards(self) -> list[tuple[str, int]]:
        """Kind and number of every shard."""
        last = (self.first + self.num - 1) // SHARD
        fakes = [(FAKES, i) for i in range(self.first // SHARD, last + 1)]
        return fakes + [(REALS, i) for i in range(-(-self.num_reals // SHARD))]


def write(job: Job, out: Path, part: tuple[int, int] = (0, 1)) -> bool:
    """Writes the shards that are missing, and the manifest when there is none missing.

    Args:
        job: the images.
        out: folder.
        part: (k, n): only shards k, k + n, k + 2 n, ...

    Returns:
        True if the set is complete.

    Raises:
        ValueError: the folder holds another set, or something else.
        OSError: it cannot be written.
    """
    header, progress = job.header, out / PROGRESS
    if (out / MANIFEST).exists():
        with open(out / MANIFEST, encoding="utf-8") as file:
            _compare(file.readline(), header, out)
        return True
    if not progress.exists() and out.exists() and any(out.iterdir()):
        raise FileExistsError(f"{out}: is not empty, and no set of images. Choose another --out.")
    progress.mkdir(parents=True, exist_ok=True)
    if (progress / JOB).exists():
        _compare(json.dumps(read_json(progress / JOB)), header, out)
    files.write_atomically(progress / JOB, json.dumps(header).encode())
    try:
        for kind, number in tqdm(job.shards[part[0] :: part[1]], unit="shard", disable=None):
            if not _record(out, kind, number).exists() or not _folder(out, kind, number).exists():
                _write_shard(job, out, kind, number)
    except FileNotFoundError:
        if (out / MANIFEST).exists():  # Another process was faster, and has cleaned up.
            return True
        raise
    records = [_record(out, kind, number) for kind, number in job.shards]
    if not all(record.exists() for record in records):
        return (out / MANIFEST).exists()
    content = json.dumps(header).encode() + b"\n" + b"".join(x.read_bytes() for x in records)
    files.write_atomically(out / MANIFEST, content)
    shutil.rmtree(progress, ignore_errors=True)
    return True


def _compare(found: str, header: dict[str, Any], out: Path) -> None:
    """Raises ValueError if a folder was begun with other settings; names them."""
    if found.strip() != json.dumps(header):
        raise ValueError(
            f"{out}: was begun with another network, other settings or other versions. Use the "
            "same again, or choose another --out."
        )


def _record(out: Path, kind: str, number: int) -> Path:
    """Path of the lines of a shard until the manifest holds them."""
    return out / PROGRESS / f"{kind}-{number:05d}.jsonl"


def _folder(out: Path, kind: str, number: int) -> Path:
    """Path of the files of a shard, which appears when they are complete."""
    return out / kind / f"{number:05d}"


def _write_shard(job: Job, out: Path, kind: str, number: int) -> None:
    """Writes the files of one shard and the record of its lines."""
    final = _folder(out, kind, number)
    folder = out / PROGRESS / f"{kind}-{number:05d}.{os.getpid()}"
    folder.mkdir(exist_ok=True)
    begin, lines = number * SHARD, []
    if kind == REALS:
        made = _reals(job, range(begin, min(begin + SHARD, job.num_reals)))
    else:
        low, high = max(begin, job.first), min(begin + SHARD, job.first + job.num)
        made = fakes(job.source, range(low, high), job.lod, job.label)
    marker = recipe.Marker(job.mark, job.source.sha256)
    for index, label, pixels in made:
        mark, line = None, {}
        if kind == FAKES:
            one = samples.from_seeds(job.source.Gs.latent_size, str(index))
            mark = marker(recipe.of_samples(one, label, job.lod))
            line = {"seed": index} | recipe.of_labels(label)
        content = recipe.png_bytes(pixels, mark)
        name = f"{'seed' if kind == FAKES else 'real'}{index:07d}.png"
        files.write_atomically(folder / name, content)
        lines.append(
            {"file": f"{kind}/{final.name}/{name}"}
            | (line or {"index": index})
            | {"sha256": _sha256(content), "pixels": _sha256(pixels.tobytes())}
        )
    content = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
    files.write_atomically(_record(out, kind, number), content)
    final.parent.mkdir(exist_ok=True)
    try:
        os.rename(folder, final)
    except OSError:
        if not final.exists():
            raise
        shutil.rmtree(folder)  # Another process has written the same files.


Made = Iterator[tuple[int, np.ndarray | None, np.ndarray]]  # number, label [1, K], uint8 [H, W, C]


def fakes(source: Source, seeds: Sequence[int], lod: float, label: np.ndarray | None) -> Made:
    """Generates the images of seeds in aligned groups, so that each is always the same."""
    wanted = range(seeds[0], seeds[-1] + 1)
    for begin in range(wanted[0] // GROUP * GROUP, wanted[-1] + 1, GROUP):
        group = np.arange(begin, begin + GROUP)
        labels = source.labels(label, group)
        latents = latents_from_seeds(group, source.Gs.latent_size).numpy()
        found = images.to_uint8(source.Gs.run(latents, labels, lod, GROUP))
        for i, seed in enumerate(group.tolist()):
            if seed in wanted:
                yield seed, None if labels is None else labels[i : i + 1], found[i]


def _reals(job: Job, indices: range) -> Made:
    """Reads real images: those of training, cropped as for it, in the order of the records."""
    if job.reals is None:
        return
    for begin in range(indices.start, indices.stop, GROUP):
        part = range(begin, min(begin + GROUP, indices.stop))
        for index, pixels in zip(part, job.reals.read_images(part), strict=True):
            yield index, None, np.ascontiguousarray(pixels)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
