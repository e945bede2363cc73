"""Small datasets: augmentation of what D sees, and transfer of trained networks.

    npm pack emoji-datasource-google && tar xzf emoji-datasource-google-*.tgz
    python -m benchmarks.small_data augment --emoji=package --outdir=small-data
    python -m benchmarks.small_data transfer --outdir=small-data

One line of JSON per run. `augment` trains on 300 demo faces at 16x16 and 1,000 emoji at
32x32, with each augmentation and seed, and compares fakes with images that nothing was trained on:
SWD x 10^3, KID x 10^3 on the logits of a classifier of the images, modes that it counts.
`transfer` carries networks of 16x16 demo faces on to 32x32, to a label set and to gray.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import time

if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported

import numpy as np
import PIL.Image

from benchmarks import arguments, experiments
from pgtf import images as pixels
from pgtf import lazy
from pgtf.commands.parsers import Parser, among
from pgtf.config import PRESETS
from pgtf.dataset import open_dataset
from pgtf.dataset.exporter import export, load_arrays
from pgtf.dataset.sources import demo
from pgtf.metrics.kid import SCALE, kernel_distance
from pgtf.metrics.swd import SlicedWasserstein
from pgtf.training import held_out

# The command line does without them.
tf = lazy.Module("tensorflow")
classifiers = lazy.Module("pgtf.metrics.classifier")
overfitting = lazy.Module("pgtf.training.overfitting")
transfers = lazy.Module("pgtf.training.transfers")
workers = lazy.Module("pgtf.distribution.workers")

NUM_JUDGED, NUM_CLASSIFIED = 900, 3000
KINDS = ("none", "diffaug", "ada")
TARGETS = ("32", "labels", "gray")
NUM_TRAINED = 4000  # faces of `transfer`
# Images to train on, resolution, and epochs of the classifier, of each dataset of `augment`.
SETS = {"faces": (300, 16, 4), "emoji": (1000, 32, 10)}
_HAIR = list(demo.FACTORS).index("hair")
FMAPS = {"fmap_base": 256, "fmap_max": 32}


@dataclasses.dataclass(frozen=True)
class Judge:
    """Images that nothing was trained on, and a classifier of such images."""

    reals: np.ndarray  # uint8 [N, R, R, 3]
    classifier: object = None
    labels: np.ndarray | None = None  # of the fakes

    def __call__(self, state, seed=0):
        """Values of the fakes of Gs: {name: number}."""
        rng = np.random.RandomState(seed)
        latents = rng.randn(len(self.reals), state.Gs.latent_size).astype(np.float32)
        fakes = pixels.to_uint8(state.Gs.run(latents, self.labels, minibatch_size=64))
        swd = SlicedWasserstein(len(fakes), fakes.shape[1:], np.random.RandomState(seed))
        swd.feed_reals(self.reals)
        swd.begin_fakes()
        swd.feed_fakes(fakes)
        found = {"swd": swd.result()["avg"]}
        if self.classifier is not None:
            features = [self._features(x) for x in (self.reals, fakes)]
            found["kid"] = SCALE * kernel_distance(*features, rng, num_subsets=1)[0]
            found |= {"modes": self.classifier.coverage(self.classifier(fakes))["modes"]}
        return {name: round(float(value), 3) for name, value in found.items()}

    def _features(self, images):
        logits = self.classifier.model(tf.constant(classifiers.resize(images))).numpy()
        return logits / np.abs(logits).std()


def face_images(num, resolution, seed):
    """Demo faces and their labels: uint8 [num, R, R, 3], float32 [num, L]."""
    faces = demo.sample_faces(num, seed)
    drawn = demo.draw_faces(faces, resolution)
    return drawn.transpose(0, 2, 3, 1), demo.label_matrix(faces)


def emoji_images(package, resolution):
    """Emoji on white and their categories, in a random order: uint8 [N, R, R, 3], [N, L]."""
    folder = pathlib.Path(package)
    entries = [x for x in json.loads((folder / "emoji.json").read_text()) if x["has_img_google"]]
    names = sorted({x["category"] for x in entries})
    found = []
    for entry in entries:
        with PIL.Image.open(folder / "img/google/64" / entry["image"]) as image:
            rgba = image.convert("RGBA")
        white = PIL.Image.new("RGBA", rgba.size, "white")
        shown = PIL.Image.alpha_composite(white, rgba).convert("RGB")
        found.append(np.asarray(shown.resize((resolution, resolution), PIL.Image.Resampling.BOX)))
    labels = np.eye(len(names), dtype=np.float32)[[names.index(x["category"]) for x in entries]]
    order = np.random.RandomState(0).permutation(len(found))
    return np.stack(found)[order], labels[order], names


def images_of(name, num, resolution, num_epochs, package):
    """Images of "faces" or "emoji" and a classifier trained on such: uint8 [num, R, R, 3]."""
    if name == "emoji":
        more, labels, categories = emoji_images(package, resolution)
        images, factors = more[:num], {"category": categories}
    else:
        images, _ = face_images(num, resolution, 1)
        more, labels = face_images(NUM_CLASSIFIED, resolution, 2)
        factors = {factor: list(values) for factor, values in demo.FACTORS.items()}
    classifier = classifiers.train(more.__getitem__, labels, factors, 3, epochs=num_epochs)
    return images, classifier


def dataset_of(folder, images, labels=None):
    """A dataset folder of uint8 [N, R, R, C], made unless it exists."""
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        planes = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
        fixed = {"load": load_arrays, "job": {"command": "benchmarks.small_data"}}
        counts = {"num_items": len(planes), "shape": planes.shape[1:]}
        export(str(folder), items=list(planes), labels=labels, **counts, **fixed)
    return open_dataset(folder, max_label_size=0 if labels is None else "full")


def config_of(dataset, kimg, seed, changes):
    """Small networks that train at full resolution from the beginning."""
    fields = {f"{network}.{name}": value for network in "GD" for name, value in FMAPS.items()}
    fields |= {
        "dataset.path": dataset.path,
        "G.latent_size": 32,
        "schedule.lod_initial_resolution": dataset.resolution,
        "schedule.minibatch_base": 16,
        "schedule.minibatch_dict": {},
        "training.total_kimg": kimg,
        "training.G_smoothing": 0.99,
        "training.seed": seed,
        "augment.aug_kimg": 20,
        "augment.aug_interval": 500,
    }
    shape = (dataset.resolution_log2, dataset.num_channels, dataset.label_size)
    return PRESETS["demo"].for_dataset(*shape, 1).replace(fields | changes)


def trained(config, dataset, looks=(), judge=None, start=None, parts=None):
    """Trains without files: -> state, values of the judge at each of `looks`, CPU seconds.

    The judge looks after the call in which so many kimg are reached; values name the kimg there.
    """
    strategy, began = tf.distribute.get_strategy(), time.process_time()
    parts = parts or held_out.split(dataset, config)
    state, steps = experiments.begin(config, parts.train, strategy)
    if start is not None:
        state.load_networks(start.G, start.D, start.Gs, start.nimg, start.frozen)
        state.progress.stage = None
    if parts.held_out is not None:
        datasets = (parts.train, parts.held_out)
        team = workers.Workers(strategy)
        steps = overfitting.AdaptingStepper(steps, state, config, datasets, team)
    values, looks = [], [1000 * x for x in looks]
    while state.progress.cur_nimg < config.training.total_kimg * 1000:
        call, _ = experiments.run_next(state, steps, config, num_evaluations=8)
        while looks and call.end_nimg >= looks[0]:
            looks.pop(0)
            values.append({"kimg": state.progress.cur_nimg / 1000} | judge(state))
    return state, values, time.process_time() - began


def augment(args):
    """Every dataset, augmentation and seed."""
    root = pathlib.Path(args.outdir)
    for name in args.datasets:
        num, resolution, num_epochs = SETS[name]
        kimg = {"faces": args.faces_kimg, "emoji": args.emoji_kimg}[name]
        wanted = (name, num + NUM_JUDGED, resolution, num_epochs)
        images, classifier = images_of(*wanted, args.emoji)
        dataset = dataset_of(root / f"{name}-{num}", images[:num])
        judge = Judge(images[num:], classifier)
        print(json.dumps({"dataset": name, "accuracy": classifier.accuracy}), flush=True)
        for seed in args.seeds:
            for kind in args.kinds:
                config = config_of(dataset, kimg, seed, {"augment.aug": kind})
                looks = [kimg / 2, kimg]
                state, values, sec = trained(config, dataset, looks, judge)
                found = state.progress.augment
                line = {"dataset": name, "aug": kind, "seed": seed, "kimg": kimg, "cpu_sec": sec}
                line |= {"half": values[0], **values[1], "p": found.p}
                line |= {"signal": found.signal_mean}
                print(json.dumps(line), flush=True)
                if seed == 1:
                    experiments.save_picture(root / f"{name}-{kind}.png", state.Gs, seed)


def transfer(args):
    """Networks of 16x16 faces carried on, and new ones that see twice as many images."""
    root = pathlib.Path(args.outdir)
    large, _ = face_images(NUM_TRAINED + NUM_JUDGED, 32, 1)
    small = large.reshape(len(large), 16, 2, 16, 2, 3).mean((2, 4)).round().astype(np.uint8)
    gray = small.mean(3, keepdims=True).round().astype(np.uint8)
    hair = demo.factor_values(demo.sample_faces(len(large), 1))[:, _HAIR]
    hair = np.eye(4, dtype=np.float32)[hair]
    dataset, judge = dataset_of(root / "faces-16", small[:NUM_TRAINED]), Judge(small[NUM_TRAINED:])
    config = config_of(dataset, args.source_kimg, 1, {})
    state, values, _ = trained(config, dataset, [args.source_kimg], judge)
    print(json.dumps({"source": values}), flush=True)
    source = transfers.Source("source", state.G, state.D, state.Gs, ())
    targets = {"32": (large, None), "labels": (small, hair), "gray": (gray, None)}
    for name in args.targets:
        images, labels = targets[name]
        rest = None if labels is None else labels[NUM_TRAINED:]
        own = None if labels is None else labels[:NUM_TRAINED]
        dataset = dataset_of(root / f"faces-{name}", images[:NUM_TRAINED], own)
        judge = Judge(images[NUM_TRAINED:], labels=rest)
        fade = _phases(16, 0, args.kimg / 5) if name == "32" else {}
        kinds = {"new": {}, "transfer": fade, "freeze_D": fade | {"training.freeze_D": 2}}
        if name == "32":
            kinds["grown"] = _phases(4, args.kimg / 8, args.kimg / 8)
        for kind, changes in kinds.items():
            is_new = kind in ("new", "grown")
            kimg = args.kimg if is_new else args.kimg / 2
            config, start = config_of(dataset, kimg, 1, changes), None
            if not is_new:
                start, _ = transfers.begin(source, config, dataset.label_names)
            looks = [x for x in np.linspace(0, args.kimg, 9)[1:].tolist() if x <= kimg]
            looks = [x for x in looks if config.schedule.lod(round(1000 * x)) < 1]
            _, values, sec = trained(config, dataset, looks, judge, start)
            swd = {value["kimg"]: value["swd"] for value in values}
            print(json.dumps({"to": name, "from": kind, "cpu_sec": sec, "swd": swd}), flush=True)


def _phases(first, stable_kimg, fade_kimg):
    names = ("lod_initial_resolution", "lod_training_kimg", "lod_transition_kimg")
    values = (first, stable_kimg, fade_kimg)
    return {f"schedule.{name}": value for name, value in zip(names, values, strict=True)}


def main():
    parser = Parser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    p = commands.add_parser("augment", help=augment.__doc__)
    p.add_argument("--emoji", default="package", help="unpacked emoji-datasource-google")
    p.add_argument("--outdir", default="small-data")
    p.add_argument("--datasets", type=among(SETS), default=list(SETS))
    p.add_argument("--kinds", type=among(KINDS), default=KINDS)
    p.add_argument("--seeds", type=arguments.integers, default=[1, 2, 3])
    p.add_argument("--faces_kimg", type=float, default=24)
    p.add_argument("--emoji_kimg", type=float, default=16)
    p.set_defaults(run=augment)
    p = commands.add_parser("transfer", help=transfer.__doc__)
    p.add_argument("--outdir", default="small-data")
    p.add_argument("--source_kimg", type=float, default=8)
    p.add_argument("--targets", type=among(TARGETS), default=TARGETS)
    p.add_argument("--kimg", type=float, default=5, help="of new networks; others see half of it")
    p.set_defaults(run=transfer)
    args = parser.parse_args()
    arguments.check_paths(args, "emoji" in getattr(args, "datasets", ()))
    args.run(args)


if __name__ == "__main__":
    main()
