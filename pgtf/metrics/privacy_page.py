"""The page of `python -m metrics privacy`: verdict, numbers, closest pairs, limits."""

from __future__ import annotations

import base64
import dataclasses
import html
from collections.abc import Mapping

import numpy as np

from pgtf import images
from pgtf.metrics import privacy
from pgtf.metrics.privacy import Membership, Nearness

NUM_PAIRS = 12
SIDE = 96  # pixels that a picture of the pairs has at least
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;display:block;overflow-x:auto}"
    "td,th{border:1px solid #8888;padding:.3rem .6rem;text-align:left}"
    "img{max-width:100%;image-rendering:pixelated}.verdict{font-size:1.6rem;margin:.5rem 0}"
)
_LIMITS = (
    "The tests compare training images with the held-out images of the same dataset. If both show "
    "the same people, an image that repeats a person counts for neither side: split by person "
    "(--split_by of the command that made the dataset).",
    "A test finds what its distances see: pixels, and coarse shapes; with --inception also what a "
    "network for photographs sees. A face that a person would recognise may be far away in all of "
    "them.",
    "With few held-out images a small difference is not found. No sign is not the same as no risk.",
    "The search for the latents of an image may miss them; a longer one (--projection_steps) finds "
    "more. Someone with more time than this page may succeed where it did not.",
    "A number here does not decide if data are personal in the sense of a law. That decision, and "
    "consent, remain with those who are responsible for the images.",
)


@dataclasses.dataclass(frozen=True)
class Findings:
    """Everything that was measured."""

    counts: Mapping[str, int]  # images by kind
    nearnesses: Mapping[str, Nearness]  # by the name of the vectors, such as "pixels"
    members: Mapping[str, Membership]  # by what the guess is made from
    notes: tuple[str, ...] = ()  # sentences about the measurement

    @property
    def p_values(self) -> dict[str, float]:
        """Values of all tests, by name."""
        found = {}
        for name, nearness in self.nearnesses.items():
            found[f"distances of {name}"] = nearness.p
            found[f"copies by {name}"] = nearness.copies_p
        return found | {name: member.p for name, member in self.members.items()}

    @property
    def verdict(self) -> tuple[str, str]:
        """The verdict in a few words, and the sentence that explains it."""
        copies = max(nearness.copies for nearness in self.nearnesses.values())
        return privacy.verdict(self.p_values, copies)


def page(name: str, found: Findings, pairs: np.ndarray) -> str:
    """Makes the page.

    Args:
        name: name of the network.
        found: results.
        pairs: picture of the closest pairs, uint8 [H, W, C].
    """
    title, sentence = found.verdict
    rows = "".join(_near_row(kind, x) for kind, x in found.nearnesses.items())
    guesses = "".join(_member_row(kind, x) for kind, x in found.members.items())
    sizes = ", ".join(f"{number:,} {kind}" for kind, number in found.counts.items())
    picture = base64.b64encode(images.png_bytes(pairs)).decode("ascii")
    limits, notes = (
        "".join(f"<li>{html.escape(text)}" for text in texts) for texts in (_LIMITS, found.notes)
    )
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Privacy of {html.escape(name)}</title><style>{_STYLE}</style>
<h1>Is {html.escape(name)} safe to publish?</h1>
<p class="verdict"><strong>{html.escape(title)}</strong>
<p>{html.escape(sentence)}
<h2>What was measured</h2>
<p>{html.escape(sizes)}. If the network had learnt only what its images have in common, it would
treat images that it never saw as those that it was trained on. Every p below is the chance of a
difference at least as large by luck. The verdict takes the smallest p of {len(found.p_values)}
tests, times their number: below {privacy.ALARM} it is "Do not publish", below {privacy.DOUBT} "Look
closely", which more than {privacy.MANY_COPIES:g} copies per thousand are as well.
<h3>Does it repeat training images?</h3>
<table><tr><th>compared by<th>generated images closest to a training image<th>expected<th>p
<th>copies per thousand of training images<th>of held-out images<th>p</tr>{rows}</table>
<p>p is the share of random splits of the same images that look at least as suspicious. A copy is a
generated image that is as close to a real one as the closest 1% of the real images are to each
other, and clearly closer to it than to the next one: fewer than ten per thousand are expected, of
training and held-out images in the same proportion as there are such images.
<h3>Does it tell who was in training?</h3>
<table><tr><th>guess from<th>AUC<th>95% interval<th>p<th>images</tr>{guesses}</table>
<p>AUC is the chance to pick the training image of a pair in which the other one was held out:
0.5 is guessing, 1 is certainty. The discriminator's score matters if the discriminator is
published too, as in a snapshot. The search for an image looks for latents that make it: a network
reproduces what it remembers better than what it never saw.
<ul>{notes}</ul>
<h2>The closest pairs</h2>
<p>Above a generated image, below the training image closest to it.
<p><img src="data:image/png;base64,{picture}" alt="generated images and training images">
<h2>Limits</h2>
<ul>{limits}</ul>
</html>
"""


def _near_row(kind: str, found: Nearness) -> str:
    return (
        f"<tr><td>{html.escape(kind)}<td>{found.share:.1%}<td>{found.expected:.1%}"
        f"<td>{_p(found.p)}<td>{found.copies:.1f}<td>{found.held_out_copies:.1f}"
        f"<td>{_p(found.copies_p)}</tr>"
    )


def _member_row(kind: str, found: Membership) -> str:
    return (
        f"<tr><td>{html.escape(kind)}<td>{found.auc:.3f}<td>{found.low:.3f} to {found.high:.3f}"
        f"<td>{_p(found.p)}<td>{found.num:,}</tr>"
    )


def _p(value: float) -> str:
    return "below 0.0001" if value < 0.0001 else f"{value:.4f}"


def pairs_of(fakes: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Draws pairs, the first above the second: pictures uint8 [n, H, W, C] of both -> [H, W, C]."""
    cells = np.concatenate([fakes, training])
    zoom = max(-(-SIDE // fakes.shape[1]), 1)
    cells = cells.repeat(zoom, axis=1).repeat(zoom, axis=2)
    return images.image_grid(cells, (len(fakes), 2))
