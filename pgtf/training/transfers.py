"""--transfer: a run that begins with the blocks of trained networks which fit its own."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pgtf import interop, networks
from pgtf.interop import transfer
from pgtf.networks import Discriminator, Generator, Network, NetworkConfig
from pgtf.runs import run_folder
from pgtf.schedule import Schedule
from pgtf.training.config import RunConfig
from pgtf.training.start import Start


class Source(NamedTuple):
    """Trained networks."""

    path: str  # file
    G: Generator
    D: Discriminator
    Gs: Generator
    label_names: tuple[str, ...]  # () if unknown

    @property
    def trained_log2(self) -> int:
        """log2 of the finest resolution that has been trained without a fade."""
        return int(self.Gs.resolution_log2 - math.ceil(self.Gs.lod))


def load(name: str, outdir: str) -> Source:
    """Reads networks by name.

    Args:
        name: snapshot, pickle of the original release, run folder, or number of a run; of a run the
            newest snapshot is taken.
        outdir: folder of the run folders.

    Raises:
        OSError, ValueError: if there is no such file or run, or it cannot be used.
    """
    path = run_folder.network_file(outdir, name)
    if path.suffix != ".h5":
        return Source(str(path), *interop.load_pkl(path), ())
    names = interop.load_meta(path).get("label_names", ())
    return Source(str(path), *interop.load_snapshot(path), tuple(names))


def with_networks(config: RunConfig, source: Source) -> RunConfig:
    """Returns a configuration with the options of trained networks.

    Resolution, channels, labels and grid stay those of the dataset.
    """
    G = transfer.config_for(source.G.config, config.G)
    D = transfer.config_for(source.D.config, config.D)
    changes = {f"G.{name}": value for name, value in dataclasses.asdict(G).items()}
    changes |= {f"D.{name}": value for name, value in dataclasses.asdict(D).items()}
    return config.replace(changes)


def begin(source: Source, config: RunConfig, label_names: Sequence[str]) -> tuple[Start, list[str]]:
    """Fills the networks of a run. Returns them, and lines that say what was taken.

    Args:
        source: trained networks.
        config: whole configuration, made for the dataset.
        label_names: names of the dataset's label columns, () if unknown.

    Raises:
        ValueError: if blocks that both have differ in shape, or fewer were taken than should be
            frozen.
    """
    same_labels = source.label_names == tuple(label_names)
    nimg = first_nimg(source.trained_log2, config.schedule)
    lod, seed = config.schedule.lod(nimg), config.training.seed
    G, D = networks.build(config.G, seed=seed), networks.build(config.D, seed=seed)
    Gs = networks.build(config.G, seed=seed)
    pairs: list[tuple[Network, Network]] = [(G, source.G), (D, source.D), (Gs, source.Gs)]
    G_rows, D_rows, _ = (_fill(mine, theirs, same_labels) for mine, theirs in pairs)
    for network, _ in pairs:
        network.lod = lod
    names = list(D.variables_by_name)
    frozen = transfer.frozen_names(D_rows, names, config.D, config.training.freeze_D)
    shown = transfer.with_frozen([*G_rows, *D_rows], frozen, config.D)
    line = (
        f"Networks at the start: transferred from {source.path}, trained up to "
        f"{_size(source.G.config, source.trained_log2)}; the schedule begins at {nimg / 1000:g} "
        f"kimg, lod {lod:g}"
    )
    kept = tuple(name for name in names if name in frozen)
    start = Start(G, D, Gs, nimg, source.path, kept)
    return start, [line, *transfer.table(shown).splitlines()]


def first_nimg(trained_log2: int, schedule: Schedule) -> int:
    """Images shown where networks of a resolution enter a schedule.

    That is the beginning of the fade to the next finer level; of networks that are fine enough, the
    beginning of the last stable phase.
    """
    first = schedule.initial_resolution.bit_length() - 1
    if trained_log2 < first:
        return 0
    num_phases = min(trained_log2, schedule.resolution_log2) - first
    kimg = num_phases * (schedule.lod_training_kimg + schedule.lod_transition_kimg)
    if trained_log2 < schedule.resolution_log2:
        kimg += schedule.lod_training_kimg
    return math.ceil(round(kimg * 1000, 6))


def _fill(mine: Network, theirs: Network, same_labels: bool) -> list[transfer.Row]:
    arrays, fresh = (
        {name: np.asarray(v) for name, v in network.variables_by_name.items()}
        for network in (theirs, mine)
    )
    configs: tuple[Any, Any] = (theirs.config, mine.config)
    found, rows = transfer.transferred(configs[0], arrays, configs[1], fresh, same_labels)
    for name, variable in mine.variables_by_name.items():
        variable.assign(found[name])
    return rows


def _size(config: NetworkConfig, resolution_log2: int) -> str:
    height, width = config.base.size_at(resolution_log2)
    return f"{height}x{width}"
