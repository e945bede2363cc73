"""CPU time of create_faces: decoding, alignment and score of one face, without the records.

    python -m benchmarks.faces --resolution=256
    python -m benchmarks.faces --resolution=1024 --restore=restoration/sr --jpeg=restoration/jpeg

One line of JSON per way to restore; the photographs are those of tests/data/celebahq whose
landmarks lie in the picture. CPU seconds of one process are those of one core.
"""

import argparse
import json
import os

if __name__ == "__main__":  # before what imports NumPy
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))

import dataclasses
import pathlib
import time

from pgtf.commands.parsers import Parser
from pgtf.dataset.celebahq.inputs import IMAGE_FOLDER, LANDMARK_FILE
from pgtf.dataset.faces.landmarks import read_landmarks
from pgtf.dataset.faces.maker import Maker
from pgtf.dataset.faces.options import FaceOptions
from pgtf.dataset.faces.quality import quality
from pgtf.dataset.sources.images import list_images
from pgtf.restoration.restorer import Restorer

CELEBA = pathlib.Path(__file__).parents[1] / "tests" / "data" / "celebahq" / "celeba"


def usable(maker, faces):
    """Faces that can be made."""
    for face in faces:
        try:
            maker.make(face)
        except ValueError:
            continue
        yield face


def measure(maker, faces, repeats):
    """CPU seconds per face, the best of several rounds."""
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        for face in faces:
            quality(maker.make(face))
        best = min(best, (time.process_time() - start) / len(faces))
    return best


def main():
    parser = Parser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--resolution", type=int, default=256, help="(default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=2, help="(default: %(default)s)")
    parser.add_argument("--restore", help="SavedModel of --task=sr, measured beside the others")
    parser.add_argument("--jpeg", help="SavedModel of --task=jpeg, used with it")
    args = parser.parse_args()
    folder, table = str(CELEBA / IMAGE_FOLDER), str(CELEBA / LANDMARK_FILE)
    side = args.resolution
    lanczos = FaceOptions(resolution=side, gray="convert")
    ways = {"none": dataclasses.replace(lanczos, lanczos=False), "lanczos": lanczos}
    if args.restore:
        ways[args.restore] = dataclasses.replace(
            lanczos,
            upscale=Restorer.open(args.restore, "sr"),
            clean=Restorer.open(args.jpeg, "jpeg") if args.jpeg else None,
        )
    plain = Maker(folder, table, ways["none"])
    faces = list(usable(plain, read_landmarks(table, folder, list_images(folder)[0])))
    for name, options in ways.items():
        seconds = measure(dataclasses.replace(plain, options=options), faces, args.repeats)
        line = {
            "restore": name,
            "resolution": side,
            "faces": len(faces),
            "cpu_sec_per_face": round(seconds, 4),
            "faces_per_sec_per_core": round(1 / seconds, 2),
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
