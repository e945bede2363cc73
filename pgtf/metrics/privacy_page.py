"""The page of `python -m metrics privacy`: verdict, numbers, closest pairs, limits."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping

import numpy as np

from pgtf import images
from pgtf.metrics.privacy import Membership, Nearness

NUM_PAIRS = 12
SIDE = 96  # pixels that a picture of the pairs has at least
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}td,th{border:1px solid #8888;padding:.3rem .6rem;text-align:"
    "left}img{max-width:100%;image-rendering:pixelated}.verdict{font-size:1.6rem;margin:.5rem 0}"
)
_LIMITS = (
    "The tests compare training images with the held-out images of the same dataset. If both show "
    "the same people, an image that repeats a person counts for neither side: split by person "
    "(create_from_images --held_out with subjects).",
    "A test finds what its distances see: pixels, and coarse shapes. A face that was recognised "
    "by a person may be far away in both.",
    "With few held-out images a small difference is not found. No sign is not the same as no risk.",
    "A number here does not decide if data are personal in the sense of a law. That decision, and "
    "consent, remain with those who are responsible for the images.",
)


def page(
    name: str,
    found_verdict: tuple[str, str],
    nearnesses: Mapping[str, Nearness],
    member: Membership,
    counts: Mapping[str, int],
    pairs: np.ndarray,
) -> str:
    """Makes the page.

    Args:
        name: name of the network.
        found_verdict: result of `privacy.verdict`.
        nearnesses: by the name of the vectors, such as "pixels".
        member: result of `privacy.membership`.
        counts: images by kind.
        pairs: picture of the closest pairs, uint8 [H, W, C].
    """
    title, sentence = found_verdict
    rows = "".join(_row(kind, x) for kind, x in nearnesses.items())
    sizes = ", ".join(f"{number:,} {kind}" for kind, number in counts.items())
    picture = base64.b64encode(images.png_bytes(pairs)).decode("ascii")
    limits = "".join(f"<li>{html.escape(text)}" for text in _LIMITS)
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Privacy of {html.escape(name)}</title><style>{_STYLE}</style>
<h1>Is {html.escape(name)} safe to publish?</h1>
<p class="verdict"><strong>{html.escape(title)}</strong>
<p>{html.escape(sentence)}
<h2>What was measured</h2>
<p>{html.escape(sizes)}. If the network had learnt only what its images have in common, a generated
image would be as close to images that it never saw as to those it was trained on.
<table><tr><th>distance<th>fakes closest to a training image<th>expected<th>p
<th>copies per thousand</tr>{rows}</table>
<p>p is the share of random splits of the same images that look at least as suspicious. A copy is a
generated image that is closer to a training image than 99% of the held-out images are; ten per
thousand are expected by that definition.
<p>Guessing from the discriminator's score if an image was in training: AUC {member.auc:.3f}
(0.5 = no better than chance), p = {member.p:.4f}. This matters if the discriminator is published
too, as in a snapshot.
<h2>The closest pairs</h2>
<p>Above a generated image, below the training image closest to it.
<p><img src="data:image/png;base64,{picture}" alt="generated images and training images">
<h2>Limits</h2>
<ul>{limits}</ul>
</html>
"""


def _row(kind: str, found: Nearness) -> str:
    return (
        f"<tr><td>{html.escape(kind)}<td>{found.share:.1%}<td>{found.expected:.1%}"
        f"<td>{found.p:.4f}<td>{found.copies_per_thousand:.1f}</tr>"
    )


def pairs_of(found: Nearness, fakes: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Draws the closest pairs: uint8 images [n, H, W, C] of both -> [H, W, C]."""
    order = np.argsort(found.to_training, kind="stable")[:NUM_PAIRS]
    cells = np.concatenate([fakes[order], training[found.nearest[order]]])
    zoom = max(-(-SIDE // fakes.shape[1]), 1)
    cells = cells.repeat(zoom, axis=1).repeat(zoom, axis=2)
    return images.image_grid(cells, (len(order), 2))
