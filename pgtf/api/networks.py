"""Networks of one training run, and what can be done with them: the result of `pgtf.load`."""

from __future__ import annotations

import contextlib
import functools
import math
import re
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import PIL.Image
from numpy.typing import NDArray

from pgtf.api.arguments import DEFAULT_SEEDS, Seeds, grid_of, numbers_of, vector_of
from pgtf.config import Config
from pgtf.depth import Depth
from pgtf.export import keras_model, pictures
from pgtf.export.labels import label_rows
from pgtf.export.source import Source
from pgtf.export.walk import interpolate
from pgtf.foreign.messages import shown
from pgtf.foreign.terminal import one_line
from pgtf.grids import SQUARE_GRID
from pgtf.label_groups import LabelGroup
from pgtf.networks import Discriminator, Generator, Network, latents_from_seeds
from pgtf.schedule import Schedule
from pgtf.training import advice

Kind = Literal["run", "snapshot", "pickle", "SavedModel"]
MAX_NAME = 100  # characters of a path in `repr`
_IMAGE_LAYER = re.compile(r"(?:To|From)RGB_lod(\d+)/")


class Networks:
    """G, D and Gs of one training run. Images are those of Gs, the moving average of G.

    Attributes:
        kind: where they are from: "run", "snapshot", "pickle" or "SavedModel".
        path: file of the networks, or folder of the SavedModel.
        resolution: pixels per side of the images at lod 0; of another grid than 4x4 its level.
        size: height and width of the images at lod 0.
        num_channels: 1 = gray, 3 = RGB.
        depth: type of the images, and the range of their values.
        latent_size: length of a latent vector.
        label_size: number of label columns, 0 without labels.
        label_names: names of the label columns, () if unknown.
        label_groups: kinds of the label columns.
        lod: level of detail of the networks; 0 = they have grown to the full resolution.
        kimg: thousands of real images shown in training, None if unknown.
    """

    kind: Kind
    path: Path
    resolution: int
    size: tuple[int, int]
    num_channels: int
    depth: Depth
    latent_size: int
    label_size: int
    label_names: tuple[str, ...]
    label_groups: tuple[LabelGroup, ...]
    lod: float
    kimg: int | None

    def __init__(self, kind: Kind, source: Source) -> None:
        config = source.Gs.config
        self._source = source
        self.kind, self.path = kind, source.path
        self.resolution, self.num_channels = config.resolution, config.num_channels
        self.latent_size, self.label_size = source.Gs.latent_size, config.label_size
        self.label_names, self.kimg = source.label_names, source.kimg
        self.label_groups, self.depth, self.size = source.groups, source.depth, config.image_size
        self.lod = source.Gs.lod

    @property
    def source(self) -> Source:
        """Gs with its file, for the functions of `pgtf.export`.

        Raises:
            ValueError: for a SavedModel, which holds a graph and no networks.
        """
        return self._source

    @property
    def G(self) -> Generator:
        """The generator in training: G(latents, labels=None, lod=None) -> float32 NHWC images."""
        return _present(self.source.G, self.path)

    @property
    def D(self) -> Discriminator:
        """The discriminator: D(images, lod=None) -> scores [N, 1], label logits [N, label_size]."""
        return _present(self.source.D, self.path)

    @property
    def Gs(self) -> Generator:
        """The moving average of G, which generates the images."""
        return self.source.Gs

    @functools.cached_property
    def config(self) -> Config | None:
        """Configuration of the training run; None if the file holds none, such as a pickle.

        Raises:
            ValueError: if the file holds a damaged one.
        """
        if "config" not in self.source.meta:
            return None
        return Config.from_fields(self.source.meta["config"], str(self.path))

    @property
    def warning(self) -> str | None:
        """A sentence about networks that have not grown to their full resolution, or None."""
        schedule = Schedule(resolution_log2=self.resolution.bit_length() - 1)
        total_kimg = None
        with contextlib.suppress(ValueError):  # Any schedule of the same resolution will do.
            if self.config is not None:
                schedule, total_kimg = self.config.schedule, self.config.training.total_kimg
        grid = SQUARE_GRID if self.config is None else self.config.G.base
        text = advice.snapshot_warning(self.lod, schedule, total_kimg, grid)
        return None if text is None else f"{self.path}: {text}"

    def latents(self, seeds: Seeds = DEFAULT_SEEDS) -> NDArray[np.float32]:
        """Samples one latent vector per seed: [N] -> float32 [N, latent_size].

        A vector depends on its seed alone; commands and exported models sample the same ones.

        Raises:
            ValueError: if the seeds are no integers of 64 bits.
        """
        found: NDArray[np.float32] = latents_from_seeds(numbers_of(seeds), self.latent_size).numpy()
        return found

    def interpolate(self, a: Any, b: Any, steps: int) -> NDArray[np.float32]:
        """Walks on the sphere from one latent vector to another: two [L] -> float32 [steps, L].

        The first row is `a`, and the last one is `b`.

        Raises:
            ValueError: if `a` or `b` is no latent vector, or `steps` is below 1.
        """
        if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or steps < 1:
            raise ValueError(f"`steps` must be an integer above 0. Received: {shown(steps)}.")
        begin = np.tile(vector_of("a", a, self.latent_size), (steps, 1))
        end = np.tile(vector_of("b", b, self.latent_size), (steps, 1))
        found: NDArray[np.float32] = interpolate(begin, end, np.linspace(0, 1, steps)).numpy()
        return found

    def generate(
        self,
        seeds: Seeds = DEFAULT_SEEDS,
        labels: Any = None,
        lod: float | None = None,
        *,
        latents: Any = None,
        progress: bool = False,
    ) -> NDArray[Any]:
        """Generates images: the pictures of `generate.py images` for the same seeds.

        Args:
            seeds: one number, or N of them: one image per seed.
            labels: class number or name, N of them, {"age": 63, "sex": 1}, N of them, one label
                [label_size], or N labels [N, label_size]; None = the classes in turn, class number
                seed modulo their count, with no finding and the mean of numbers.
            lod: level of detail, 0 = full resolution; None = that of the networks.
            latents: [N, latent_size], in place of seeds.
            progress: show a progress bar on a terminal.

        Returns:
            [N, H, W, C] of the dataset's type, uint8 unless `depth` says otherwise; the size is
            that of the level.

        Raises:
            ValueError: if an argument does not fit the networks.
        """
        if latents is None:
            numbers = numbers_of(seeds)
            latents = self.latents(numbers)
        elif seeds is not DEFAULT_SEEDS:
            raise ValueError("`seeds` and `latents` exclude each other.")
        else:
            latents = np.asarray(latents)
            numbers = np.arange(len(latents) if latents.ndim else 0)
        rows = label_rows(labels, numbers, self.label_groups)
        run = functools.partial(self._run, lod)
        return pictures.generate_in_batches(run, latents, rows, progress)

    def show(
        self, images: Any = None, columns: int | None = None, zoom: int | None = None
    ) -> PIL.Image.Image:
        """Tiles images; a notebook displays the result if it is the last line of a cell.

        Args:
            images: one image [H, W, C] or several [N, H, W, C], as `generate` returns them, or
                float in [-1, 1]; None = those of the first 16 seeds.
            columns: images per row; None = a nearly square grid.
            zoom: repeat each pixel so many times each way; None = so that the grid has about 512
                pixels.

        Raises:
            ValueError: if these are no images, or a number is below 1.
        """
        return grid_of(self.generate() if images is None else images, columns, zoom, self.depth)

    def summary(self) -> None:
        """Prints what the networks are: one line per resolution, with maps and parameters."""
        print(self._summary())

    def keras_model(self) -> keras.Model:
        """Gs as a keras.Model: latents (, labels) -> float32 images in about [-1, 1].

        Keras saves and loads it. Before `keras.models.load_model` in another process, import
        `pgtf.export.keras_model`, which registers its layers.
        """
        return keras_model.keras_model(self.Gs)

    def __repr__(self) -> str:
        now = "" if self.lod == 0 else f", at lod {self.lod:g}"
        age = "unknown kimg" if self.kimg is None else f"{self.kimg} kimg"
        labels = f", {self.label_size} label columns" if self.label_size else ""
        depth = "" if self.depth.is_8bit else f" of {self.depth.dtype}"
        path = one_line(self.path)
        path = path if len(path) <= MAX_NAME else f"...{path[3 - MAX_NAME :]}"
        return (
            f"<pgtf.Networks, {self.kind}: {self.size[0]}x{self.size[1]}{now}, "
            f"{self.num_channels} channels{depth}, latents of {self.latent_size}{labels}, {age}, "
            f"{path}>"
        )

    def _run(
        self, lod: float | None, latents: np.ndarray, labels: np.ndarray | None
    ) -> NDArray[Any]:
        """Generates one minibatch."""
        return self.depth.from_model(self.Gs.run(latents, labels, lod))

    def _summary(self) -> str:
        networks = (self.Gs, self.D)
        rows: list[tuple[str, ...]] = [("resolution", "maps", "G parameters", "D parameters")]
        for log2 in range(2, self.Gs.resolution_log2 + 1):
            counts = (f"{_num_parameters(network, log2):,}" for network in networks)
            rows.append(
                (self.Gs.config.base.size_text(2**log2), f"{self.Gs.nf(log2 - 1)}", *counts)
            )
        totals = (f"{_num_parameters(network, None):,}" for network in networks)
        rows.append(("all", "", *totals))
        lines = ["  ".join(map("{:>12}".format, row)) for row in rows]
        return "\n".join([repr(self), *lines, *filter(None, [self.warning])])


def _present(network: Any, path: Path) -> Any:
    """Returns a network. Raises ValueError if there is none."""
    if network is None:
        raise ValueError(
            f"{path}: holds Gs only. Load the run or a snapshot, which hold all three."
        )
    return network


def _num_parameters(network: Network, resolution_log2: int | None) -> int:
    """Counts the parameters of one resolution, toRGB and fromRGB included; None = of all."""
    count = 0
    for name, variable in network.trainable_by_name.items():
        match = _IMAGE_LAYER.match(name)
        log2 = network.resolution_log2 - int(match[1]) if match else 0
        side = 2**log2 if match else int(name.partition("x")[0])
        if resolution_log2 is None or side == 2**resolution_log2:
            count += math.prod(variable.shape)
    return count
