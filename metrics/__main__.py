"""Measures generated images: python -m metrics --run=results/003-celebahq-v2-8gpus --metrics=swd

Fakes come from all snapshots of a run (--run), one snapshot (--snapshot), a pickle of the original
release (--pkl), a SavedModel (--saved_model), a folder of image files (--fakes), or, without any of
these, from the reals themselves. Reals come from a dataset (--dataset; that of the run by default)
or a folder of image files (--reals).

python -m metrics plot --run=RUN draws the curves of a run, python -m metrics neighbours --run=RUN
the training images closest to sixteen fakes.
"""

import argparse
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported

import tensorflow as tf

from metrics import cache, image_sets, inception, modes, plot, records
from metrics.during_training import SNAPSHOTS, keep_best, summary
from metrics.evaluator import SEED, Evaluator
from metrics.measures import NEED_INCEPTION
from metrics.neighbours import NUM_FAKES, neighbour_sheet
from metrics.plan import DEFAULT_IMAGES, parse_plan
from pgtf import images
from pgtf.command_line import one_line_errors
from pgtf.config import Config
from pgtf.dataset import open_dataset
from pgtf.interop import load_pkl, load_snapshot
from pgtf.training import run_folder

CLASSIFIER = "classifier.npz"  # in a dataset folder, written by python -m metrics.modes


class _Parser(argparse.ArgumentParser):
    """Reports bad flags in one line."""

    def error(self, message):
        with one_line_errors():
            raise ValueError(f"{message} ({self.prog} --help lists the flags)")


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    commands = {"plot": (_add_plot_flags, draw_plot), "neighbours": (_add_set_flags, draw_sheet)}
    name = argv[0] if argv and argv[0] in commands else None
    add_flags, command = commands.get(name, (_add_measure_flags, measure))
    parser = _Parser(
        prog=f"python -m metrics {name or ''}".rstrip(),
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_flags(parser)
    args = parser.parse_args(argv[1:] if name else argv)
    with one_line_errors():
        command(args)


def measure(args):
    """Measures every set of fakes and prints, or records, the values."""
    if args.download_inception:
        path = inception.download(args.inception)
        print(f"{path} (SHA-256 {inception.file_sha256(path)})")
        return
    plan = parse_plan(args.metrics, args.num_images)
    reals, dataset = _reals(args)
    sources = _fakes(args, reals, dataset)
    folder = args.records or (_run(args) if args.run else None)
    evaluator = Evaluator(
        plan,
        reals,
        inception=_inception(args, plan),
        classifier=_classifier(args, plan, dataset),
        num_fakes=sources[0][1]().num_images if args.fakes else None,
        seed=args.seed,
        cache_folder=None if args.no_cache else cache.default_folder(),
        progress=True,
    )
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
            if args.run:
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
        raise ValueError("give --run, --dataset or --reals (python -m metrics --help).")
    path = args.dataset or config.path
    dataset = open_dataset(path, resolution=config.resolution, max_label_size="full")
    mirror_seed = args.seed if config.mirror_augment else None
    return image_sets.of_dataset(dataset, mirror_seed), dataset


def _fakes(args, reals, dataset):
    """-> [(name, function that makes the ImageSet)], at least one."""
    if args.fakes:
        return [(args.fakes, lambda: image_sets.of_folder(args.fakes))]
    if args.saved_model:
        return [(args.saved_model, lambda: _saved_model(args, reals))]
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
    labels = None
    if Gs.config.label_size:
        if dataset is None or dataset.label_size < Gs.config.label_size:
            raise ValueError(
                f"{path}: was trained with {Gs.config.label_size} label columns; give the dataset "
                "that has them as --dataset."
            )
        drawn = image_sets.labels_of(dataset)

        def labels(rng, num):
            return drawn(rng, num)[:, : Gs.config.label_size]

    return image_sets.of_network(path.name, Gs, args.seed, labels)


def _saved_model(args, reals):
    """Fakes of a SavedModel with the signature serving_default: latents (, labels) -> images."""
    try:
        model = tf.saved_model.load(args.saved_model)
        function = model.signatures["serving_default"]
        specs = function.structured_input_signature[1]
        latent_size = specs["latents"].shape[1]
    except (OSError, KeyError) as error:
        raise ValueError(
            f"{args.saved_model}: must be a SavedModel with a signature serving_default that takes "
            f"`latents`, as generate.py export writes ({error})."
        ) from None
    if "labels" in specs:
        raise ValueError(f"{args.saved_model}: models with labels are measured from snapshots.")
    if not latent_size:
        raise ValueError(f"{args.saved_model}: `latents` must have a fixed length.")

    def run(latents, labels):
        model  # noqa: B018 (keeps the variables alive)
        found = function(latents=tf.constant(latents))
        return found["images"].numpy()

    return image_sets.of_generator(args.saved_model, run, latent_size, reals.shape, args.seed)


def _inception(args, plan):
    if not NEED_INCEPTION & {request.name for request in plan.requests}:
        return None
    path = args.inception or inception.default_path()
    if not args.inception and not path.exists():
        return None  # the evaluator says which metric needs it
    network = inception.Inception(path, args.inception_sha256, args.fid_mode)
    print(f"Inception: {path} (SHA-256 {network.sha256}), {network.mode} resizing")
    return network


def _classifier(args, plan, dataset):
    if "modes" not in {request.name for request in plan.requests}:
        return None
    path = args.classifier
    if path is None and dataset is not None:
        beside = Path(dataset.path) / CLASSIFIER
        path = beside if beside.exists() else None
    return None if path is None else modes.load_classifier(path)


def _add_plot_flags(parser):
    parser.add_argument("--run", required=True, help="folder of a run, or its number in --outdir")
    parser.add_argument("--outdir", default="results", help="where runs are (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="PNG file to write (default: RUN/metrics.png)")


def _add_source_flags(parser):
    fakes = parser.add_mutually_exclusive_group()
    fakes.add_argument("--run", help="folder of a run, or its number in --outdir")
    fakes.add_argument("--snapshot", help="network-snapshot-NNNNNN.h5")
    fakes.add_argument("--pkl", help="network pickle of the original release")
    fakes.add_argument("--saved_model", help="version folder that generate.py export wrote")
    fakes.add_argument("--fakes", help="folder of image files")
    reals = parser.add_mutually_exclusive_group()
    reals.add_argument("--dataset", help="folder of the reals (default: that of the run)")
    reals.add_argument("--reals", help="folder of image files to use as reals")
    parser.add_argument("--outdir", default="results", help="where runs are (default: %(default)s)")
    parser.add_argument(
        "--seed", type=int, default=SEED, help="of everything drawn (default: %(default)s)"
    )


def _add_set_flags(parser):
    _add_source_flags(parser)
    parser.add_argument("--out", type=Path, help="PNG file (default: <fakes>-neighbours.png)")


def _add_measure_flags(parser):
    _add_source_flags(parser)
    names = ", ".join(f"{name} ({number})" for name, number in DEFAULT_IMAGES.items())
    parser.add_argument(
        "--metrics",
        default="swd",
        help="NAME[:NUMBER[k]],...[@every=N]; N counts snapshots of --run (default: %(default)s). "
        f"Names, and their default numbers of images: {names}",
    )
    parser.add_argument(
        "--num_images", type=_positive, help="for metrics without a number of their own"
    )
    parser.add_argument(
        "--inception", help=f"{inception.GRAPH_NAME} (default: {inception.default_path()})"
    )
    parser.add_argument("--inception_sha256", help="refuse another file (default: any, reported)")
    parser.add_argument(
        "--download_inception", action="store_true", help="fetch the graph, about 90 MB, and stop"
    )
    parser.add_argument(
        "--fid_mode",
        choices=inception.MODES,
        default="legacy",
        help="how images are resized for Inception (default: %(default)s, as the original)",
    )
    parser.add_argument("--classifier", help=f"for modes (default: {CLASSIFIER} in the dataset)")
    parser.add_argument(
        "--records", help="folder for metric-*.jsonl (default: the run's; else printed only)"
    )
    parser.add_argument("--again", action="store_true", help="measure recorded snapshots again")
    parser.add_argument(
        "--no_cache", action="store_true", help=f"keep nothing in {cache.default_folder()}"
    )


def _positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be above 0. Received: {text}")
    return number


if __name__ == "__main__":
    main()
