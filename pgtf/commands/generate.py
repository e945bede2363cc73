"""Images, films and SavedModels of a trained network, for generate.py."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from pgtf import images
from pgtf.commands import generate_directions, generate_flags, generate_publish, generate_runs
from pgtf.commands import generate_networks as networks
from pgtf.commands.command_line import one_line_errors
from pgtf.commands.generate_parts import LATENTS
from pgtf.dataset.sources.pictures import Conversion, read_picture
from pgtf.dataset.sources.reading import read_or_refuse
from pgtf.distribution.signals import exit_after
from pgtf.export import (
    Facts,
    edge,
    export_generator,
    film,
    image_files,
    pictures,
    projection,
    recipe,
    samples,
    video,
)
from pgtf.export.labels import choices
from pgtf.export.source import Source
from pgtf.foreign.arrays import read_npy
from pgtf.foreign.terminal import one_line
from pgtf.marks import Mark
from pgtf.previews import check_mapping
from pgtf.wording import counted


def run(args: argparse.Namespace) -> None:
    """Runs the command that `generate_flags.parse` found."""
    logging.set_verbosity(logging.WARNING)
    with one_line_errors():
        try:
            COMMANDS[args.command](args)
            _warn(args)
        except KeyboardInterrupt as stop:
            exit_after(stop, "; no file is half-written.")


def _warn(args: argparse.Namespace) -> None:
    """Prints the warning about the network, if there is one."""
    if getattr(args, "warning", None):
        print(f"warning: {one_line(args.warning)}", file=sys.stderr)
        args.warning = None


def save_images(args: argparse.Namespace) -> None:
    """Writes one PNG file for every latent vector."""
    source = networks.source(args)
    sampled = _samples(args, source, generate_flags.SEEDS)
    out = Path(args.out or source.beside("-images"))
    labels_of = functools.partial(source.labels_of, label=_label(args, source))
    pictures.check_zoom(source.Gs, args.lod, args.zoom)

    depth, num_channels = source.depth, source.Gs.config.num_channels
    kind = args.format or image_files.default_format(depth, num_channels)
    if args.preview is not None:
        check_mapping(args.preview, num_channels)
        kind = args.format or "png"
    else:
        image_files.check_format(kind, depth, num_channels)

    marker, lod = networks.marker(args, source), networks.lod(args, source)
    shown = recipe.of_values(depth, args.preview)

    def generate(latents: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        fakes = source.Gs.run(latents, labels, args.lod)
        if args.preview is None:
            return depth.from_model(fakes)
        return depth.shown(fakes, args.preview)

    def mark_of(one: samples.Samples, label: np.ndarray | None) -> Mark | None:
        return marker(recipe.of_samples(one, label, lod, args.zoom) | shown)

    options = {"overwrite": args.overwrite, "zoom": args.zoom, "file_format": kind}
    pictures.save_images(generate, sampled, labels_of, out, mark_of=mark_of, **options)
    print(f"{counted(len(sampled), 'image')} in {one_line(out)}")


def save_grid(args: argparse.Namespace) -> None:
    """Writes one PNG file with all images; for a network with labels, one row per class."""
    source = networks.source(args)
    label = source.label(args.class_, args.label)
    by_class = source.label_size > 0 and label is None
    default_seeds = generate_flags.CLASS_GRID_SEEDS if by_class else generate_flags.SEEDS
    sampled = _samples(args, source, default_seeds)
    by_class = by_class and sampled.labels is None
    num_rows = min(len(choices(source.groups)), pictures.MAX_CLASS_ROWS) if by_class else 1
    pictures.check_grid(source.Gs, len(sampled) * num_rows, args.lod, args.zoom)
    latents, labels = sampled.latents, source.labels_of(sampled, label)
    grid_size = None
    if by_class:
        latents, labels, grid_size = pictures.class_rows(latents, source.groups)
        sampled = dataclasses.replace(sampled, numbers=np.tile(sampled.numbers, num_rows))
    facts = recipe.of_samples(sampled, labels, networks.lod(args, source))
    marker = networks.marker(args, source)
    shown = {} if args.preview is None else recipe.of_values(source.depth, args.preview)
    out = Path(args.out or source.beside("-grid.png"))

    def generate(latents: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        return source.depth.shown(source.Gs.run(latents, labels, args.lod), args.preview)

    def mark_of(arranged: recipe.Facts) -> Mark | None:
        return marker(facts | shown | arranged)

    fakes = pictures.generate_in_batches(generate, latents, labels, progress=True)
    pictures.save_grid(fakes, grid_size, out, args.overwrite, args.zoom, mark_of)
    print(f"{counted(len(latents), 'image')} in {one_line(out)}")


def save_video(args: argparse.Namespace) -> None:
    """Writes a film of a walk through latent space: a random loop, or from seed to seed."""
    source = networks.source(args)
    num_frames = max(round(args.seconds * args.fps), 1)
    pictures.check_grid(source.Gs, args.grid[0] * args.grid[1], args.lod, args.zoom)
    path = film.film_path(args.out, source.beside("-video"))
    walks, facts = _walks(args, source, num_frames)
    facts |= recipe.of_grid(args.grid) | {"Zoom": str(args.zoom)}
    mark = networks.marker(args, source)(
        facts | {"Seconds": f"{args.seconds:g}", "Fps": f"{args.fps:g}"}
    )
    pictures.prepare_file(path, args.overwrite)
    depth = dataclasses.replace(source.depth, preview=args.preview or source.depth.preview)
    frames = video.frames(source.Gs, walks, num_frames, args.grid, args.lod, args.zoom, depth)
    written = film.write_film(path, frames, args.fps, mark)
    print(f"{counted(written, 'frame')} in {one_line(path)}")


def _walks(
    args: argparse.Namespace, source: Source, num_frames: int
) -> tuple[Iterator[video.Cells], recipe.Facts]:
    """Chooses the latents and labels of every frame of a video. Returns them and their facts."""
    Gs, label = source.Gs, source.label(args.class_, args.label)
    num_cells = args.grid[0] * args.grid[1]
    if args.seeds is None and args.latents is None:
        generate_directions.refuse(args)
        networks.check_lod(args, Gs)
        smoothing = generate_flags.SMOOTHING_SEC if args.smoothing is None else args.smoothing
        state = generate_flags.WALK_STATE if args.random_state is None else args.random_state
        labels = source.labels(label, range(num_cells))
        frames = num_frames, smoothing * args.fps
        facts = recipe.of_labels(labels) | {"Lod": repr(networks.lod(args, source))}
        facts |= {"Walk": "random", "RandomState": str(state), "Smoothing": f"{smoothing:g}"}
        return video.loop(Gs.latent_size, labels, num_cells, *frames, state), facts
    if args.smoothing is not None:
        raise ValueError("`--smoothing` is for the random walk, without `--seeds` or `--latents`.")
    sampled = _samples(args, source, "")
    labels = source.labels_of(sampled, label)
    facts = recipe.of_samples(sampled, labels, networks.lod(args, source))
    facts |= {"Walk": "loop" if args.loop else "tour"}
    return video.tour(sampled.latents, labels, num_cells, num_frames, args.loop), facts


def project(args: argparse.Namespace) -> None:
    """Finds the latent vector whose image is closest to a given one; writes it, pictures, film."""
    source = networks.source(args)
    source.depth.check_preview()
    Gs, label = source.Gs, source.label(args.class_, args.label)
    target = _target(args, source)
    out = Path(args.out or source.beside(f"-{Path(args.target).stem}"))
    paths = [out / name for name in ("latents.npz", "projected.png", "side-by-side.png")]
    paths.append(film.film_path(None, out / "search"))
    for path in paths:
        pictures.refuse_existing(path, args.overwrite)
    out.mkdir(parents=True, exist_ok=True)
    kinds: dict[str, Any] = {"groups": source.groups, "depth": source.depth}
    search = {"label": label, "num_steps": args.steps, "seed": args.seed}
    found = projection.project(Gs, target, **search, **kinds)
    marker = networks.marker(args, source)
    projection.save_projection(found, target, paths, marker, Gs.lod, **kinds)
    levels = f"{found.levels_off(target):.1f} of 255 gray levels off"
    print(f"{levels} (root mean square), in {one_line(out)}")


def _target(args: argparse.Namespace, source: Source) -> np.ndarray:
    """Reads the middle of an image file as datasets do: float32 [H, W, C] in [-1, 1]."""
    config, (level, _) = source.Gs.config, source.Gs.stage(source.Gs.lod)
    if args.target.endswith(".npy"):
        return _target_array(args.target, source, config.base.size_at(level))
    if not source.depth.is_8bit or config.num_channels not in (1, 3):
        raise ValueError(
            f"`--target` must be an .npy file of {config.num_channels} channels, "
            f"{source.depth.text}, as the images of this network. Received: {args.target}."
        )
    conversion = Conversion(
        config.num_channels,
        2**level,
        transform="center-crop",
        alpha="white",
        strict=False,
        value_range=args.value_range,
        max_pixels=args.max_pixels,
        grid=config.base,
    )
    path = args.target
    pixels = read_or_refuse(path, functools.partial(read_picture, path, conversion))
    return images.to_float(pixels.transpose(1, 2, 0))


def _target_array(path: str, source: Source, size: tuple[int, int]) -> np.ndarray:
    """Reads values of the dataset's type, [H, W, C] or [H, W] of one channel."""
    values = read_npy(path)
    values = values[..., np.newaxis] if values.ndim == 2 else values
    shape = (*size, source.Gs.config.num_channels)
    if values.shape != shape or values.dtype != source.depth.dtype:
        raise ValueError(
            f"{path}: must be {source.depth.dtype} {list(shape)}, as the images of the network. "
            f"Received: {values.dtype} {list(values.shape)}."
        )
    return source.depth.to_model(values)


def explore(args: argparse.Namespace) -> None:
    """Opens a local web page to walk through a network."""
    from pgtf.export import explorable, explore, listening

    listening.free_port(args.host, args.port)  # before the network is read
    model: explorable.Model
    if args.saved_model is not None:
        model = explorable.ServedModel(args.saved_model)
    else:
        source = networks.source(args)
        source.depth.check_preview()
        model = generate_runs.explorable_of(source, generate_directions.vectors(args, source))
        _warn(args)
    explore.explore(model, args.host, args.port, args.open)


def export(args: argparse.Namespace) -> None:
    """Writes a SavedModel for TensorFlow Serving, after checking it in a fresh process."""
    source = networks.source(args)
    if args.format == "web":
        generate_publish.export_page(args, source)
        return
    if args.format != "savedmodel":
        path = Path(args.out or source.beside(f".{args.format}"))
        pictures.prepare_file(path, args.overwrite)
        facts = Facts(path.stem, depth=source.depth, groups=source.groups)
        edge.export_edge(source.Gs, path, args.format, facts)
        print(f"{args.format} in {one_line(path)}")
        return
    out = Path(args.out or source.beside("-export"))
    facts = generate_publish.facts(args, source, args.name or out.resolve().name)
    folder = export_generator(source.Gs, out, version=args.version, facts=facts)
    print(f"SavedModel in {one_line(folder)}")


def _samples(args: argparse.Namespace, source: Source, default_seeds: str) -> samples.Samples:
    """Finds the latents that the flags describe."""
    networks.check_lod(args, source.Gs)
    given = {name: getattr(args, name, None) for name in LATENTS}
    found = samples.from_flags(source.Gs, default_seeds, **given)
    return generate_directions.turned(args, source, found)


def _label(args: argparse.Namespace, source: Source) -> np.ndarray | None:
    """Reads the label that the flags name; None without one, zeros with --random_state."""
    label = source.label(args.class_, args.label)
    if label is None and args.random_state is not None:
        return np.zeros(source.label_size, np.float32)  # as in the original's published examples
    return label


COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "images": save_images,
    "grid": save_grid,
    "video": save_video,
    "timelapse": generate_runs.save_timelapse,
    "project": project,
    "whatis": generate_publish.whatis,
    "directions": generate_directions.find,
    "fakeset": generate_publish.fakeset,
    "push": generate_publish.push,
    "export": export,
    "explore": explore,
    "report": generate_runs.report,
}
