"""Images, films and SavedModels of a trained network, for generate.py."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from absl import logging

from pgtf import images
from pgtf.commands import generate_directions, generate_flags, generate_publish, generate_runs
from pgtf.commands import generate_networks as networks
from pgtf.commands.command_line import one_line_errors
from pgtf.dataset.sources.pictures import Conversion, read_picture
from pgtf.dataset.sources.reading import read_or_refuse
from pgtf.distribution.signals import exit_after
from pgtf.export import (
    edge,
    export_generator,
    film,
    pictures,
    projection,
    recipe,
    samples,
    video,
)
from pgtf.export.source import Source
from pgtf.foreign.terminal import one_line
from pgtf.marks import Mark
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
    net = networks.networks(args)
    source = net.source
    sampled = _samples(args, source, generate_flags.SEEDS)
    out = Path(args.out or source.beside("-images"))
    labels_of = functools.partial(source.labels_of, label=_label(args, source))
    pictures.check_zoom(source.Gs, args.lod, args.zoom)

    def generate(latents: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        return net.generate(latents=latents, labels=labels, lod=args.lod)

    marker, lod = networks.marker(args, source), networks.lod(args, source)

    def mark_of(one: samples.Samples, label: np.ndarray | None) -> Mark | None:
        return marker(recipe.of_samples(one, label, lod, args.zoom))

    pictures.save_images(generate, sampled, labels_of, out, args.overwrite, args.zoom, mark_of)
    print(f"{counted(len(sampled), 'image')} in {one_line(out)}")


def save_grid(args: argparse.Namespace) -> None:
    """Writes one PNG file with all images; for a network with labels, one row per class."""
    net = networks.networks(args)
    source = net.source
    label = source.label(args.class_, args.label)
    by_class = source.label_size > 0 and label is None
    default_seeds = generate_flags.CLASS_GRID_SEEDS if by_class else generate_flags.SEEDS
    sampled = _samples(args, source, default_seeds)
    by_class = by_class and sampled.labels is None
    num_rows = min(source.label_size, pictures.MAX_CLASS_ROWS) if by_class else 1
    pictures.check_grid(source.Gs, len(sampled) * num_rows, args.lod, args.zoom)
    latents, labels = sampled.latents, source.labels_of(sampled, label)
    grid_size = None
    if by_class:
        latents, labels, grid_size = pictures.class_rows(latents, source.label_size)
        sampled = dataclasses.replace(sampled, numbers=np.tile(sampled.numbers, num_rows))
    facts = recipe.of_samples(sampled, labels, networks.lod(args, source))
    marker = networks.marker(args, source)
    out = Path(args.out or source.beside("-grid.png"))
    fakes = net.generate(latents=latents, labels=labels, lod=args.lod, progress=True)

    def mark_of(arranged: recipe.Facts) -> Mark | None:
        return marker(facts | arranged)

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
    frames = video.frames(source.Gs, walks, num_frames, args.grid, args.lod, args.zoom)
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
    Gs, label = source.Gs, source.label(args.class_, args.label)
    resolution = 2 ** Gs.stage(Gs.lod)[0]
    target = _target(args, resolution, Gs.config.num_channels)
    out = Path(args.out or source.beside(f"-{Path(args.target).stem}"))
    paths = [out / name for name in ("latents.npz", "projected.png", "side-by-side.png")]
    paths.append(film.film_path(None, out / "search"))
    for path in paths:
        pictures.refuse_existing(path, args.overwrite)
    out.mkdir(parents=True, exist_ok=True)
    found = projection.project(Gs, target, label=label, num_steps=args.steps, seed=args.seed)
    projection.save_projection(found, target, paths, networks.marker(args, source), Gs.lod)
    levels = f"{found.levels_off(target):.1f} of 255 gray levels off"
    print(f"{levels} (root mean square), in {one_line(out)}")


def _target(args: argparse.Namespace, resolution: int, num_channels: int) -> np.ndarray:
    """Reads the middle square of an image file as datasets do: float32 [R, R, C] in [-1, 1]."""
    conversion = Conversion(
        num_channels,
        resolution,
        transform="center-crop",
        alpha="white",
        strict=False,
        value_range=args.value_range,
        max_pixels=args.max_pixels,
    )
    path = args.target
    pixels = read_or_refuse(path, functools.partial(read_picture, path, conversion))
    return images.to_float(pixels.transpose(1, 2, 0))


def explore(args: argparse.Namespace) -> None:
    """Opens a local web page to walk through a network."""
    from pgtf.export import explorable, explore, listening

    listening.free_port(args.host, args.port)  # before the network is read
    model: explorable.Model
    if args.saved_model is not None:
        model = explorable.ServedModel(args.saved_model)
    else:
        source = networks.source(args)
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
        edge.export_edge(source.Gs, path, args.format)
        print(f"{args.format} in {one_line(path)}")
        return
    out = Path(args.out or source.beside("-export"))
    facts = generate_publish.facts(args, source, args.name or out.resolve().name)
    folder = export_generator(source.Gs, out, version=args.version, facts=facts)
    print(f"SavedModel in {one_line(folder)}")


def _samples(args: argparse.Namespace, source: Source, default_seeds: str) -> samples.Samples:
    """Finds the latents that the flags describe."""
    networks.check_lod(args, source.Gs)
    names = ("seeds", "random_state", "num", "indices", "latents")
    given = {name: getattr(args, name, None) for name in names}
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
