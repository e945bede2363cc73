"""Measures generated images: python -m metrics --run=results/003-celebahq-v2-8gpus --metrics=swd

Fakes come from all snapshots of a run (--run; the newest one by default), one snapshot
(--snapshot), a pickle of the original release (--pkl), a SavedModel (--saved_model), a folder of
image files (--fakes), or, with --dataset or --reals alone, from the reals themselves. Reals come
from a dataset (--dataset; that of the run by default) or a folder of image files (--reals).

python -m metrics plot draws the curves of a run, python -m metrics neighbours the training images
closest to sixteen fakes; python -m metrics train_classifier trains the classifier of mode coverage.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from pgtf import images
from pgtf.commands import classifier, metrics_flags
from pgtf.commands.command_line import one_line_errors
from pgtf.config import Config
from pgtf.dataset import open_dataset
from pgtf.export.version_folder import served_version
from pgtf.interop import load_pkl, load_snapshot
from pgtf.metrics import image_sets, inception, plot, records, setup
from pgtf.metrics.during_training import SNAPSHOTS, keep_best, summary
from pgtf.metrics.neighbours import NUM_FAKES, neighbour_sheet
from pgtf.metrics.plan import parse_plan
from pgtf.runs import run_folder


class _Parser(argparse.ArgumentParser):
    """Reports bad flags in one line."""

    def error(self, message):
        with one_line_errors():
            raise ValueError(f"{message} ({self.prog} --help lists the flags)")


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    commands = {
        "plot": (metrics_flags.add_plot_flags, draw_plot),
        "neighbours": (metrics_flags.add_sheet_flags, draw_sheet),
        "train_classifier": (classifier.add_flags, classifier.run),
    }
    name = argv[0] if argv and argv[0] in commands else None
    add_flags, command = commands.get(name, (metrics_flags.add_measure_flags, measure))
    parser = _Parser(
        prog=f"python -m metrics {name or ''}".rstrip(),
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_flags(parser)
    args = parser.parse_args(argv[1:] if name else argv)
    try:
        with one_line_errors():
            command(args)
    except KeyboardInterrupt:
        print("\ninterrupted. With --run the same command continues.", file=sys.stderr)
        sys.exit(130)  # as shells report Ctrl-C


def measure(args):
    """Measures every set of fakes and prints, or records, the values."""
    if args.download_inception:
        path = inception.download(args.inception, sha256=args.inception_sha256, progress=True)
        print(f"{path} (SHA-256 {inception.file_sha256(path)})")
        return
    plan = parse_plan(args.metrics, args.num_images)
    _choose_run(args)
    reals, dataset = _reals(args)
    sources = _fakes(args, reals, dataset)
    folder = args.records or (_run(args) if args.run else None)
    options = setup.MetricOptions(
        inception=args.inception,
        inception_sha256=args.inception_sha256,
        fid_mode=args.fid_mode,
        classifier=args.classifier,
        seed=args.seed,
        use_cache=not args.no_cache,
    )
    evaluator = setup.make_evaluator(
        plan,
        reals,
        options,
        dataset_folder=None if dataset is None else dataset.path,
        num_fakes=sources[0][1]().num_images if args.fakes else None,
        progress=True,
    )
    hashes = {evaluator.settings(r).get("inception_sha256") for r in evaluator.requests} - {None}
    if hashes:
        print(f"Inception: SHA-256 {hashes.pop()}, {args.fid_mode} resizing")
    if args.run:
        sources = [s for i, s in enumerate(sources, 1) if i % plan.every == 0 or i == len(sources)]
    failures = [name for name, make in sources if not _measure(args, evaluator, name, make, folder)]
    if failures:
        raise ValueError(f"{len(failures)} of {len(sources)} were not measured: {failures[0]} ...")


def draw_plot(args):
    """Draws what is recorded in a run folder."""
    folder = _run(args)
    out = args.out or folder / "metrics.png"
    names = plot.plot(folder, out)
    print(f"{out}: {', '.join(names)}")


def draw_sheet(args):
    """Draws sixteen fakes of the newest snapshot above the training images closest to them."""
    _choose_run(args)
    reals, dataset = _reals(args)
    name, make = _fakes(args, reals, dataset)[-1]
    fakes = make()
    number = NUM_FAKES if fakes.num_images is None else min(NUM_FAKES, fakes.num_images)
    sheet, differences = neighbour_sheet(reals, fakes.read(0, number), progress=True)
    out = args.out or Path(f"{Path(name).stem}-neighbours.png")
    images.save_png(out, sheet)
    closest = ", ".join(f"{d:.1f}" for d in differences[:, 0])
    print(f"{out}: {name} above the nearest of {reals.name}; gray levels apart: {closest}")


def _measure(args, evaluator, name, make, folder):
    """One set of fakes; a snapshot that cannot be measured leaves the others to be."""
    fields = {"snapshot": name, "kimg": records.kimg_of(name)} if _is_snapshot(args) else {}
    if folder and args.run and not args.again and _is_recorded(evaluator, folder, fields):
        print(f"{name}: recorded already (--again measures it once more)")
        return True
    try:
        fakes = make()
        found = evaluator(fakes, **fields)
    except ValueError as error:
        if not args.run:
            raise
        print(f"error: {name}: {error}", file=sys.stderr)
        return False
    for record in found:
        print(f"{name}  {summary(record)}  ({record['num_images']} images)", flush=True)
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            records.append(folder, record)
            if args.run and not args.records:  # else the snapshots are elsewhere
                keep_best(folder, record)
        else:
            print(json.dumps(record), flush=True)
    return True


def _is_recorded(evaluator, folder, fields):
    return all(
        any(
            records.matches(record, evaluator.settings(request) | fields)
            for record in records.load(folder, request.name)
        )
        for request in evaluator.requests
    )


def _is_snapshot(args):
    return bool(args.run or args.snapshot)


def _choose_run(args):
    """Makes the newest run that of --run when no flag says what to measure."""
    if not any((args.run, args.snapshot, args.pkl, args.saved_model, args.fakes)):
        if not (args.dataset or args.reals):
            args.run = str(_run(args))


def _run(args):
    return run_folder.locate(args.outdir, args.run)


def _reals(args):
    """-> (ImageSet, dataset or None)."""
    if args.reals:
        return image_sets.of_folder(args.reals), None
    config = Config().dataset
    if args.run:
        config = Config.from_json((_run(args) / run_folder.CONFIG_FILE).read_text()).dataset
    elif not args.dataset:
        raise ValueError("give the reals as --dataset or --reals (python -m metrics --help).")
    path = args.dataset or config.path
    dataset = open_dataset(path, resolution=config.resolution, max_label_size="full")
    mirror = dataset.mirror if config.mirror_augment is None else config.mirror_augment
    mirror_seed = args.seed if mirror else None
    return image_sets.of_dataset(dataset, mirror_seed), dataset


def _fakes(args, reals, dataset):
    """-> [(name, function that makes the ImageSet)], at least one."""
    if args.fakes:
        return [(args.fakes, lambda: image_sets.of_folder(args.fakes))]
    if args.saved_model:
        return [(args.saved_model, lambda: _saved_model(args, reals, dataset))]
    if args.run:
        paths = sorted(_run(args).glob(SNAPSHOTS))
        if not paths:
            raise ValueError(f"{_run(args)}: no network snapshot yet.")
    elif args.snapshot or args.pkl:
        paths = [Path(args.snapshot or args.pkl)]
    else:
        return [(reals.name, lambda: reals)]
    load = load_pkl if args.pkl else load_snapshot
    return [(path.name, lambda path=path: _network(args, load, path, dataset)) for path in paths]


def _network(args, load, path, dataset):
    _, _, Gs = load(path)
    labels = _labels(path, Gs.config.label_size, dataset)
    return image_sets.of_network(path.name, Gs, args.seed, labels)


def _saved_model(args, reals, dataset):
    """Fakes of a SavedModel with the signature serving_default: latents (, labels) -> images."""
    folder = served_version(args.saved_model)
    try:
        model = tf.saved_model.load(str(folder))
        function = model.signatures["serving_default"]
        specs = function.structured_input_signature[1]
        latent_size = specs["latents"].shape[1]
        label_size = specs["labels"].shape[1] if "labels" in specs else 0
    except (OSError, KeyError) as error:
        raise ValueError(
            f"{folder}: must be a SavedModel with a signature serving_default that takes "
            f"`latents`, as generate.py export writes ({error})."
        ) from None

    def run(latents, labels):
        model  # noqa: B018 (keeps the variables alive)
        inputs = {"latents": tf.constant(latents)}
        if labels is not None:
            inputs["labels"] = tf.constant(labels)
        outputs = function(**inputs)
        if np.any(outputs.get("status", 0)):
            raise ValueError(f"{folder}: must make finite images. Received: {outputs['status']}.")
        return outputs["images"].numpy()

    labels = _labels(folder, label_size, dataset)
    name = str(folder)
    fakes = image_sets.of_generator(name, run, latent_size, reals.shape, args.seed, labels)
    fakes.read(0, 1)  # what does not fit is said before the reals are read
    return fakes


def _labels(path, label_size, dataset):
    """Draws labels of the right length from the dataset, None for a network without labels."""
    if not label_size:
        return None
    if dataset is None or dataset.label_size < label_size:
        raise ValueError(
            f"{path}: was trained with {label_size} label columns; give the dataset that has them "
            "as --dataset."
        )
    drawn = image_sets.labels_of(dataset)
    return lambda rng, num: drawn(rng, num)[:, :label_size]
