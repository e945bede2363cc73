"""Share of degraded tiles of real photographs that score below their originals.

    python -m benchmarks.quality --side=128 --tiles=4 --seed=1

One line of JSON per way to spoil them; the photographs ship inside scikit-image and scikit-learn.
"""

import argparse
import json

import numpy as np

from pgtf import lazy
from pgtf.commands.parsers import Parser
from pgtf.dataset.faces.quality import quality

photographs = lazy.Module("tests.dataset.photographs")  # The command line does without it.


def score(image):
    """Quality of uint8 [H, W, 3]."""
    return quality(image.transpose(2, 0, 1))


def main():
    parser = Parser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--side", type=int, default=128, help="pixels (default: %(default)s)")
    parser.add_argument("--tiles", type=int, default=4, help="of a photograph, at most")
    parser.add_argument("--seed", type=int, default=1, help="which tiles (default: %(default)s)")
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    tiles = [tile for _, tile in photographs.tiles(args.side, args.tiles, rng)]
    originals = np.array([score(tile) for tile in tiles])
    for name, spoil in photographs.SPOILED.items():
        below = np.array([score(spoil(tile)) for tile in tiles]) < originals
        line = {"spoiled": name, "tiles": len(tiles), "below": round(float(below.mean()), 3)}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
