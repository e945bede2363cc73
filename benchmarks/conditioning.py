"""Trains on findings and an age, and measures if fakes have what was asked for.

    python -m benchmarks.conditioning --kimg=40

Cartoon faces of the demo at 16x16, with three of their factors as findings, and an age, with which
pictures bleach. A tenth of the faces is held out. Trains with these labels, and without any, for
the WGAN terms of both; prints one line of JSON for each.
"""

import json
import pathlib
import tempfile

import numpy as np

from pgtf import lazy
from pgtf.commands.parsers import Parser
from pgtf.config import PRESETS
from pgtf.dataset import open_dataset
from pgtf.dataset.sources import demo
from pgtf.dataset.tfrecords import to_records
from pgtf.metrics import datasets, image_sets
from pgtf.metrics.evaluator import Evaluator
from pgtf.metrics.label_scores import label_data
from pgtf.metrics.plan import parse_plan

# The command line does without them.
tf = lazy.Module("tensorflow")
interop = lazy.Module("pgtf.interop")
loop = lazy.Module("pgtf.training.loop")

FINDINGS = ("glasses=dark", "hairstyle=long", "skin=dark")
AGE, DEVIATION = 50.0, 15.0
BLEACHED = 0.75  # whiteness at three deviations above the mean; none at three below
TERMS = ("real_scores", "fake_scores", "mixed_norms", "G_loss", "D_loss")


def draw(num_images, seed, resolution=16):
    """Faces of an age, and their labels: uint8 [n, 3, R, R], float32 [n, findings + 1]."""
    faces = demo.sample_faces(num_images, seed)
    images = demo.draw_faces(faces, resolution).astype(np.float32)
    rng = np.random.default_rng(seed)
    ages = rng.normal(AGE, DEVIATION, num_images).clip(AGE - 3 * DEVIATION, AGE + 3 * DEVIATION)
    whiteness = BLEACHED * (ages - AGE + 3 * DEVIATION) / (6 * DEVIATION)
    images += (255 - images) * whiteness[:, None, None, None]
    columns = [demo.label_names().index(name) for name in FINDINGS]
    findings = demo.label_matrix(faces)[:, columns]
    labels = np.concatenate([findings, ages[:, None]], axis=1).astype(np.float32, order="C")
    return np.rint(images).astype(np.uint8), labels


def write(folder, num_images, held_out, seed=0):
    """Writes the dataset; the last images are held out."""
    folder.mkdir(parents=True)
    images, labels = draw(num_images, seed)
    level, log2 = images.astype(np.float32), images.shape[2].bit_length() - 1
    while log2 >= 2:
        records = to_records(np.rint(level).astype(np.uint8))
        (folder / f"aged-r{log2:02d}.tfrecords").write_bytes(records.tobytes())
        n, channels, side, _ = level.shape
        level = level.reshape(n, channels, side // 2, 2, side // 2, 2).mean(axis=(3, 5))
        log2 -= 1
    with open(folder / "aged-rxx.labels", "wb") as file:
        np.save(file, labels)
    end, ages = len(FINDINGS), labels[: num_images - held_out, -1]
    groups = [
        {"kind": "multilabel", "columns": [0, end], "names": FINDINGS},
        {
            "kind": "continuous",
            "columns": [end, end + 1],
            "names": ["age"],
            "mean": [float(ages.mean())],
            "deviation": [float(ages.std())],
        },
    ]
    facts = {"label_groups": groups, "split": {"held_out": held_out}}
    (folder / "dataset.json").write_text(json.dumps(facts))


def train(dataset, folder, total_kimg, seed):
    """Trains the demo's networks. Returns the newest snapshot and the last statistics."""
    changes = {
        "dataset.path": dataset.path,
        "dataset.max_label_size": "full" if dataset.label_size else 0,
        "schedule.lod_initial_resolution": None,  # no growing: one stage to compile
        "schedule.lod_training_kimg": 0,
        "schedule.lod_transition_kimg": 0,
        "training.total_kimg": total_kimg,
        "training.seed": seed,
    }
    shape = (dataset.resolution_log2, dataset.num_channels, dataset.label_size)
    config = PRESETS["demo"].replace(changes).for_dataset(*shape, num_gpus=1)
    config.check()
    folder.mkdir()
    loop.run(config, dataset, tf.distribute.get_strategy(), folder)
    last = json.loads((folder / "stats.jsonl").read_text().splitlines()[-1])
    return max(folder.glob("network-snapshot-*.h5")), {name: last[name] for name in TERMS}


def measure(dataset, snapshot, num_fakes=2000, seed=1):
    """Scores the labels of fakes: {name: value}."""
    _, D, Gs = interop.load_snapshot(snapshot)
    reals = image_sets.of_dataset(dataset)
    evaluator = Evaluator(parse_plan(f"labels:{num_fakes}"), reals, labels=label_data(dataset))
    labels = datasets.labels_of(dataset)
    (record,) = evaluator(image_sets.of_network("fakes", Gs, seed, labels, D=D))
    return record["values"]


def main(total_kimg, num_images, seed, folder):
    write(folder / "aged", num_images, held_out=num_images // 10)
    for size in ("full", 0):
        dataset = open_dataset(folder / "aged", max_label_size=size)
        snapshot, terms = train(dataset, folder / f"labels-{size}", total_kimg, seed)
        values = measure(dataset, snapshot) if dataset.label_size else {}
        line = (
            {"kimg": total_kimg, "seed": seed, "label_columns": dataset.label_size} | terms | values
        )
        rounded = {k: round(v, 4) if isinstance(v, float) else v for k, v in line.items()}
        print(json.dumps(rounded), flush=True)


if __name__ == "__main__":
    parser = Parser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kimg", type=float, default=40, help="default: %(default)s")
    parser.add_argument("--images", type=int, default=6000, help="default: %(default)s")
    parser.add_argument(
        "--seed", type=int, default=1000, help="of networks and latents (default: %(default)s)"
    )
    parser.add_argument(
        "--out", type=pathlib.Path, help="folder to keep (default: a temporary one)"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        main(args.kimg, args.images, args.seed, args.out or pathlib.Path(temporary))
