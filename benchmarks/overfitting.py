"""Training that overfits, with and without augmentation: a very small dataset seen very often.

    python -m benchmarks.overfitting --images=64 --kimg=60 --kinds=none,ada --seeds=1
    python -m benchmarks.overfitting --emoji=package --images=64 --kimg=25

Demo faces at 16x16, or emoji (small_data.py). At each look one line of JSON: the overfitting signal
r_v over the last 1,000 images, from 64 images that nothing is trained on, p of the augmentations,
and values of the fakes against 900 others: SWD x 10^3, KID x 10^3 and modes by a classifier.
"""

import argparse
import json
import os
import pathlib
import time

if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported

import numpy as np

from benchmarks import arguments, small_data
from pgtf.commands.parsers import Parser, among
from pgtf.training import held_out

RESOLUTION, NUM_HELD_OUT = 16, 64
NUM_EPOCHS = 4  # of the classifier
OPTIONS = {
    "none": {"augment.watch": True},
    "ada": {"augment.aug": "ada"},
    "fixed": {"augment.aug": "ada", "augment.aug_p": 0.3},
    "diffaug": {"augment.aug": "diffaug"},
}


def run(args):
    """Every kind of augmentation with every seed, in turns."""
    name = "faces" if args.emoji is None else "emoji"
    numbers = np.arange(args.images + NUM_HELD_OUT)
    wanted = (name, len(numbers) + small_data.NUM_JUDGED, RESOLUTION, NUM_EPOCHS)
    images, classifier = small_data.images_of(*wanted, args.emoji)
    judge = small_data.Judge(images[len(numbers) :], classifier)
    folder = pathlib.Path(args.outdir) / f"{name}-{args.images}-{NUM_HELD_OUT}"
    dataset = small_data.dataset_of(folder, images[numbers])
    train_part, kept_part = np.split(numbers, [args.images])
    parts = held_out.Parts(dataset.subset(train_part), dataset.subset(kept_part), None)
    looks = [look for look in args.looks if look <= args.kimg]
    for seed in args.seeds:
        for kind in args.kinds:
            began = time.process_time()

            def look(state, kind=kind, seed=seed, began=began):
                found = state.progress.augment
                line = {"aug": kind, "seed": seed, "kimg": state.progress.cur_nimg / 1000}
                line |= {"signal": found.signal_mean, "p": found.p, **judge(state)}
                line |= {"cpu_sec": round(time.process_time() - began)}
                print(json.dumps(line), flush=True)
                return line

            changes = {"augment.aug_interval": 1000, "augment.aug_target": args.target}
            changes |= {"augment.aug_kimg": args.aug_kimg, "D.fmap_base": 8 * args.D_fmaps}
            changes |= {"D.fmap_max": args.D_fmaps} | OPTIONS[kind]
            config = small_data.config_of(dataset, args.kimg, seed, changes)
            small_data.trained(config, dataset, looks, look, parts=parts)


def main():
    parser = Parser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=64, help="to train on")
    parser.add_argument("--kimg", type=float, default=60)
    looks = [2, 5, 10, 20, 30, 40, 50, 60, 80, 100]
    parser.add_argument("--looks", type=arguments.numbers, default=looks)
    parser.add_argument("--kinds", type=among(OPTIONS), default=["none", "ada"])
    parser.add_argument("--seeds", type=arguments.integers, default=[1])
    parser.add_argument("--target", type=float, default=0.6, help="aug_target")
    parser.add_argument("--aug_kimg", type=float, default=20, help="aug_kimg")
    parser.add_argument("--D_fmaps", type=int, default=32, help="feature maps of D; G has 32")
    parser.add_argument("--emoji", help="unpacked emoji-datasource-google; none = faces")
    parser.add_argument("--outdir", default="small-data")
    args = parser.parse_args()
    arguments.check_paths(args, args.emoji is not None)
    run(args)


if __name__ == "__main__":
    main()
