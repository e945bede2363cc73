"""The paper's tables, scaled down: python -m benchmarks.paper --table=1 --scale=0.003 --dataset=DIR

Trains every row of an experiment on whatever dataset is given, measures it, and prints our table
beside the paper's. --scale is the factor of everything counted in images: 1 is the paper's length.
Feature maps are limited too. The same command again continues where it was interrupted.

tables:
  1        the ablation of Table 1, rows a-h
  mnist1k  modes found by small discriminators; needs a classifier: docs/metrics.md
  cifar10  unsupervised CIFAR-10
  figure4  growing against fixed resolution in the same processor time (--seconds)
  losses   WGAN-GP against LSGAN with adaptive noise
"""

import argparse
import json
import os
import pathlib
import sys

if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported

from benchmarks import experiments
from benchmarks.experiments import Row, Scale
from pgtf import lazy
from pgtf.commands.command_line import one_line_errors
from pgtf.commands.parsers import Parser
from pgtf.config import EXPERIMENTS
from pgtf.dataset import open_dataset
from pgtf.metrics import inception, plot

tf = lazy.Module("tensorflow")  # The command line does without it.

ABLATION = "ablation-celeba128"
FIXED = {
    "schedule.lod_initial_resolution": None,
    "schedule.lod_training_kimg": 0,
    "schedule.lod_transition_kimg": 0,
}
LSGAN = {"loss.kind": "lsgan", "D.use_gdrop": True}
TABLES = {
    "1": [
        Row(row, f"{ABLATION}-{row}") for row in ("a", "b", "c", "d", "estar", "e", "f", "g", "h")
    ],
    "mnist1k": [
        Row(f"K/{k} {row}", f"mnist1k-k{k}-{row}")
        for k in (4, 2)
        for row in ("base", "ournorm", "mbstddev", "progression")
    ],
    "cifar10": [Row("unsupervised", "cifar10-32-unsupervised")],
    "figure4": [Row("growing", f"{ABLATION}-g"), Row("fixed", f"{ABLATION}-g", FIXED)],
    "losses": [Row("WGAN-GP", f"{ABLATION}-g"), Row("LSGAN", f"{ABLATION}-g", LSGAN)],
}
LOOKS = 8  # measurements of figure4, over the time


def main(argv=None):
    args = _parser().parse_args(argv)
    try:
        with one_line_errors():
            _run(args)
    except KeyboardInterrupt:
        print("Stopped. The same command continues.", file=sys.stderr)
        sys.exit(130)


def _run(args):
    for name in ("scale", "seconds", "fmap_max"):
        if getattr(args, name) <= 0:
            raise ValueError(f"`--{name}` must be above 0. Received: {getattr(args, name)}.")
    if args.plot and args.table != "figure4":
        raise ValueError(f"`--plot` is for --table=figure4. Received: --table={args.table}.")
    dataset = open_dataset(args.dataset, resolution=args.resolution, max_label_size=0)
    rows = _chosen(TABLES[args.table], args.rows)
    scale = Scale(args.scale, args.fmap_max, args.seed)
    configs = {row.name: experiments.scaled(row, dataset, scale) for row in rows}
    metrics = args.metrics or _default_metrics(args.table, dataset)
    evaluator = experiments.evaluator_of(dataset, metrics, args.seed)
    outdir = pathlib.Path(args.outdir) / f"{args.table}-{dataset.name}-{dataset.resolution}"
    outdir.mkdir(parents=True, exist_ok=True)
    results = outdir / "results.jsonl"
    run = _row_by_time if args.table == "figure4" else _row_by_images
    for row in rows:
        if not any(found["row"] == row.name for found in _recorded(results)):
            for found in run(args, row, configs[row.name], dataset, evaluator, outdir):
                experiments.append(results, {"row": row.name, "scale": args.scale} | found)
    wanted = [row.name for row in rows]
    found = [record for record in _recorded(results) if record["row"] in wanted]
    print(table(args, dataset, rows, found))
    if args.plot:
        plot.draw(_curves(found, dataset), "seconds of processor time", args.plot)


def _default_metrics(table, dataset):
    """Metrics of the paper's table, as far as they can be measured here."""
    has_classifier = experiments.has_classifier(dataset)
    if table == "mnist1k" and not has_classifier:
        raise ValueError(
            f"{dataset.path}: counting modes needs a classifier.npz there: "
            "python -m metrics train_classifier --dataset=datasets/mnist "
            f"--out={dataset.path}/classifier.npz"
        )
    names = ["swd:1024"]
    if table == "cifar10" and os.path.exists(inception.default_path()):
        names.append("is:5000")
    return ",".join([*names, "modes:2048"] if has_classifier else names)


def _row_by_images(args, row, config, dataset, evaluator, outdir):
    folder = outdir / row.name.replace("/", "")
    strategy = tf.distribute.get_strategy()
    state, seconds, kimg = experiments.train(config, dataset, strategy, folder)
    experiments.save_picture(outdir / f"{folder.name}.png", state.Gs, args.seed)
    values = experiments.measure(evaluator, state.Gs, row.name, args.seed)
    return [{"kimg": kimg, "seconds": round(seconds, 1), "values": values}]


def _row_by_time(args, row, config, dataset, evaluator, outdir):
    found = []

    def look(state, seconds):
        values = experiments.measure(evaluator, state.Gs, row.name, args.seed)
        kimg = state.progress.cur_nimg / 1000
        found.append({"kimg": kimg, "seconds": round(seconds, 1), "values": values})
        experiments.save_picture(outdir / f"{row.name}.png", state.Gs, args.seed)
        print(f"{row.name}: {seconds:.0f} s of {args.seconds:g} s, {kimg:.1f} kimg", flush=True)

    strategy = tf.distribute.get_strategy()
    experiments.train_for(config, dataset, strategy, args.seconds, LOOKS, look)
    return found


def table(args, dataset, rows, results):
    """Our results beside the paper's, as Markdown."""
    names = list(dict.fromkeys(name for found in results for name in found["values"]))
    presets = {row.name: row.preset for row in rows}
    lines = [
        f"SCALED: {args.scale:g} of the paper's images, at most {args.fmap_max} feature maps, "
        f"{dataset.resolution}x{dataset.resolution} images of {dataset.name}, seed {args.seed}. "
        "Not comparable with the paper's figures beside them.",
        "",
        "| row | kimg | seconds | " + " | ".join(names) + " | paper |",
        "| --- |" + " --- |" * (len(names) + 3),
    ]
    for found in results:
        values = (
            f"{found['values'][name]:.4g}" if name in found["values"] else "" for name in names
        )
        paper = EXPERIMENTS[presets[found["row"]]].expected if args.table != "losses" else "-"
        cells = (found["row"], f"{found['kimg']:.1f}", f"{found['seconds']:g}", *values, paper)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _curves(results, dataset):
    """Measurements over time, as plot.draw takes them: {value: {row: {seconds: number}}}."""
    panels = {}
    for found in results:
        for name, number in found["values"].items():
            title = f"{name}, {dataset.resolution}x{dataset.resolution}"
            panels.setdefault(title, {}).setdefault(found["row"], {})[found["seconds"]] = number
    return panels


def _recorded(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _chosen(rows, names):
    if names is None:
        return rows
    known = {row.name: row for row in rows}
    if unknown := [name for name in names.split(",") if name not in known]:
        raise ValueError(f"no row `{unknown[0]}`. Rows: {', '.join(known)}.")
    return [known[name] for name in names.split(",")]


def _parser():
    parser = Parser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--table", choices=TABLES, required=True)
    parser.add_argument("--dataset", required=True, help="folder made by dataset_tool.py")
    parser.add_argument("--scale", type=float, default=0.003, help="(default: %(default)s)")
    parser.add_argument("--rows", help="names separated by commas (default: all)")
    parser.add_argument("--resolution", type=int, help="leave out finer levels (default: none)")
    parser.add_argument("--fmap_max", type=int, default=32, help="(default: %(default)s)")
    parser.add_argument("--metrics", help="(default: swd:1024, and what else can be measured)")
    parser.add_argument(
        "--seconds",
        type=float,
        default=60,
        help="figure4: of processor time in training (default: %(default)s)",
    )
    parser.add_argument("--plot", help="figure4: PNG file for the curves (default: none)")
    parser.add_argument("--seed", type=int, default=1000, help="(default: %(default)s)")
    parser.add_argument("--outdir", default="results/paper", help="(default: %(default)s)")
    return parser


if __name__ == "__main__":
    main()
