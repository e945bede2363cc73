"""Sub-commands of generate.py for what becomes of generated files and finished networks."""

from __future__ import annotations

import argparse
import functools
import shlex
from pathlib import Path

from pgtf import files
from pgtf.commands import generate_directions
from pgtf.commands import generate_networks as networks
from pgtf.dataset import open_dataset
from pgtf.dataset.sources.reading import read_or_refuse
from pgtf.export import Facts, image_files, pictures, remake, sha256
from pgtf.export.source import Source
from pgtf.foreign import hub
from pgtf.foreign.terminal import one_line
from pgtf.installation import spelled, words_typed
from pgtf.marks import read_mark
from pgtf.metrics import records
from pgtf.publish import fakeset as fakesets
from pgtf.publish import fakeset_check, hub_folder, web
from pgtf.wording import counted

MAX_SHOWN = 60  # characters of a fact that `whatis` prints


def whatis(args: argparse.Namespace) -> None:
    """Prints the mark of a file; with a network, generates the picture again and compares."""
    named = args.run is not None or args.snapshot is not None or args.pkl is not None
    if args.out is not None and not named:
        raise ValueError("`--out` needs the network: `--run`, `--snapshot` or `--pkl`.")
    if (mark := read_mark(args.file)) is None:
        raise ValueError(f"{args.file}: has no mark. Its pixels may be anything.")
    print(one_line(f"{args.file}: {mark.sentence}"))
    for name, value in mark.facts.items():
        shown = value if len(value) <= MAX_SHOWN else f"{value[:MAX_SHOWN]}... ({len(value)})"
        print(one_line(f"  {name}: {shown}"))
    if not named:
        return
    again = remake.make_again(networks.source(args), mark, args.file)
    off = read_or_refuse(args.file, functools.partial(remake.difference, again, args.file))
    print(f"The network makes the same picture: {counted(off, 'gray level')} of 255 off.")
    if args.out is not None:
        path = pictures.prepare_file(Path(args.out), args.overwrite)
        kind = "tiff" if path.suffix in (".tif", ".tiff") else "png"
        files.write_atomically(path, image_files.encode(again, kind, mark))


def facts(args: argparse.Namespace, source: Source, name: str) -> Facts:
    """Collects what a model card says beyond the weights."""
    config = source.meta.get("config", {})
    return Facts(
        name=name,
        label_names=source.label_names,
        kimg=source.kimg,
        dataset=config.get("dataset", {}).get("path"),
        licence=args.licence,
        metrics=records.of_snapshot(source.path),
        config=config,
        source={"file": source.path.name, "sha256": sha256(source.path)},
        command=shlex.join(words_typed()),
        directions=generate_directions.vectors(args, source),
        marked=args.mark != "none",
        depth=source.depth,
        groups=source.groups,
    )


def push(args: argparse.Namespace) -> None:
    """Writes a folder for a model hub, and uploads it."""
    hub_folder.check_repo(args.repo)
    if not args.dry_run:
        hub.client()  # before anything is written
    source = networks.source(args)
    out = Path(args.out or source.beside("-hub"))
    described = facts(args, source, args.repo.partition("/")[2])
    hub_folder.write(source, out, described, args.repo, args.overwrite)
    print(f"folder for {args.repo} in {one_line(out)}")
    if not args.dry_run:
        print(one_line(hub_folder.upload(out, args.repo, args.private)))


def export_page(args: argparse.Namespace, source: Source) -> None:
    """Writes a static folder with a page that generates images in the browser."""
    if args.runtime is None:
        raise ValueError(
            "`--runtime` is needed for a page: the folder of the npm package onnxruntime-web "
            "(npm install onnxruntime-web), or cdn."
        )
    out = Path(args.out or source.beside("-web"))
    found = web.export_web(
        source,
        out,
        args.runtime,
        precision=args.precision,
        name=args.name,
        mark="full" if args.mark == "short" else args.mark,
        directions=generate_directions.vectors(args, source),
        overwrite=args.overwrite,
    )
    print(f"page in {one_line(out)}; {found}")


def fakeset(args: argparse.Namespace) -> None:
    """Writes a reference set, or compares one with its manifest."""
    if args.check is not None:
        return _check_fakeset(args)
    source = networks.source(args)
    lod = networks.lod(args, source)
    resolution = 2 ** source.Gs.stage(lod)[0]
    job = fakesets.Job(
        source=source,
        first=args.first,
        num=args.num,
        lod=lod,
        label=source.label(args.class_, args.label),
        mark=args.mark,
        reals=args.reals and open_dataset(args.reals, resolution=resolution, max_label_size=0),
    )
    out = Path(args.out or source.beside("-fakeset"))
    if fakesets.write(job, out, args.part):
        print(f"{counted(job.num, 'image')} in {one_line(out)}")
    else:
        print(
            f"{one_line(out)}: other shards are missing. {spelled('Run generate.py fakeset')} "
            "with the other parts."
        )


def _check_fakeset(args: argparse.Namespace) -> None:
    """Compares a set with its manifest. Raises ValueError if a file is not the manifest's."""
    named = args.run is not None or args.snapshot is not None or args.pkl is not None
    source = networks.source(args) if named else None
    report = fakeset_check.check(Path(args.check), source)
    for sentence in report.sentences:
        print(f"{sentence}.")
    for wrong, words in ((report.changed, "changed or missing"), (report.far, "too far off")):
        if wrong:
            names = ", ".join(wrong[: fakeset_check.MAX_NAMED])
            raise ValueError(f"{args.check}: {len(wrong)} files are {words}: {names} ...")
