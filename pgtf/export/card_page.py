"""README.md beside an exported model: its card as a person reads it, and as model hubs parse it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pgtf.export.markdown import plain
from pgtf.foreign.terminal import one_line
from pgtf.installation import spelled
from pgtf.wording import counted

PAGE_FILE = "README.md"
PICTURE_FILE = "samples.png"
# Kind of label columns -> their word, and its plural.
LABELS = {
    "class": ("class", "classes"),
    "multilabel": ("finding", "findings"),
    "continuous": ("number", "numbers"),
}
TAGS = ["gan", "pggan", "progressive-growing", "image-generation", "tensorflow"]
UNSPECIFIED = "unspecified"
# Identifiers of licences that model hubs know; others are "other" with a name.
LICENCES = (
    *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "gpl-3.0", "lgpl-3.0", "agpl-3.0"),
    *("cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-sa-4.0"),
    *("cc-by-nc-nd-4.0", "mpl-2.0", "openrail", "unlicense", "wtfpl"),
)
USE = """\
    import tensorflow as tf
    seeds = tf.saved_model.load("path/of/this/folder").signatures["seeds"]
    images = seeds(seed=tf.constant([1, 2], tf.int64){label})["images"]  # {dtype} {shape}
"""


def write_page(
    folder: Path, card: Mapping[str, Any], num_samples: int, use: str | None = None
) -> None:
    """Writes README.md.

    Args:
        folder: folder of the version; holds the picture.
        card: contents of model_card.json.
        num_samples: images in the picture, of seeds 0, 1, ...; 0 = there is none.
        use: text of the section about use; None = about the SavedModel.
    """
    sections = {
        "Data": _data(card),
        "Training": _training(card),
        "Metrics": _metrics(card["metrics"]),
        "Limits": _limits(card),
        "Speed": _speed(card["latency_ms"]),
        "Use": use or _use(card),
        "Licence": _licence(card["licence"]),
    }
    size = _size(card["size"])
    kind = {1: "grayscale", 3: "RGB"}.get(card["channels"], f"{card['channels']}-channel")
    text = f"{_head(card)}\n# {_text(card['name'])}\n\n"
    text += f"A progressive growing GAN that generates {size} {kind} images.\n"
    if num_samples:
        images = counted(num_samples, "generated image")
        seeds = f"Seeds 0 to {num_samples - 1}" if num_samples > 1 else "Seed 0"
        text += f"\n![{images}]({PICTURE_FILE})\n\n*{seeds}, not selected.*\n"
    text += "".join(f"\n## {title}\n\n{content.rstrip()}\n" for title, content in sections.items())
    (folder / PAGE_FILE).write_text(text, encoding="utf-8")


def _head(card: Mapping[str, Any]) -> str:
    """Makes the YAML head; JSON texts are YAML, whatever is in them."""
    licence = card["licence"].lower()
    fields: dict[str, Any] = {"license": licence if licence in LICENCES else "other"}
    if licence == UNSPECIFIED:
        fields["license"] = "unknown"
    elif licence not in LICENCES:
        fields["license_name"] = card["licence"]
    fields |= {
        "library_name": "tensorflow",
        "pipeline_tag": "unconditional-image-generation",
        "tags": [*TAGS, *(["conditional"] if _is_labelled(card) else [])],
    }
    if dataset := _dataset_name(card):
        fields["datasets"] = [dataset]
    if card["metrics"]:
        fields["metrics"] = sorted(card["metrics"])
    lines = (f"{name}: {json.dumps(value)}\n" for name, value in fields.items())
    return f"---\n{''.join(lines)}---\n"


def _data(card: Mapping[str, Any]) -> str:
    name = _dataset_name(card)
    text = f"Trained on the dataset {_text(name)}." if name else "The dataset is not recorded."
    dataset = card["config"].get("dataset", {})
    if dataset.get("mirror_augment"):
        text += " Half of its images were mirrored at random."
    if card["dtype"] != "uint8":
        low, high = card["range"]
        text += f" Its values are {card['dtype']} from {low:g} to {high:g}."
    for group in card["label_groups"]:
        if not (names := group.get("names")):
            continue
        shown = ", ".join(map(_text, names[:20]))
        more = f" and {len(names) - 20} more" if len(names) > 20 else ""
        text += f" It has {counted(len(names), *LABELS[group['kind']])}: {shown}{more}."
    return text


def _training(card: Mapping[str, Any]) -> str:
    kimg = card["kimg"]
    shown = "an unknown number of" if kimg is None else f"{kimg:,} thousand"
    software = card["software"]
    return (
        f"{shown[0].upper()}{shown[1:]} images were shown; the network is {card['stage']}. Its "
        "weights are the moving average of the generator's, in float32. TensorFlow "
        f"{software['tensorflow']}, Keras {software['keras']}. All options are in model_card.json."
    )


def _metrics(metrics: Mapping[str, Mapping[str, Any]]) -> str:
    if not metrics:
        measuring = spelled("`python -m metrics --snapshot=FILE` measures a snapshot.")
        return f"None was measured. {measuring}"
    rows = [
        f"| {_text(name)} | {_rounded(record.get('value'))} | {_rounded(record.get('num_images'))} "
        f"| {_text(record.get('reals', 'not recorded'))} |\n"
        for name, record in sorted(metrics.items())
    ]
    return (
        f"| metric | value | images | compared with |\n| --- | --- | --- | --- |\n{''.join(rows)}"
    )


def _limits(card: Mapping[str, Any]) -> str:
    size = _size(card["size"])
    limits = [
        "The images are invented. Do not present them as photographs of people, places or events.",
        "It generates what its training images show: what is rare there is rare or distorted here, "
        "and their bias is its bias.",
        "It may repeat training images. "
        + spelled("`python generate.py report` shows the nearest ones."),
        f"It generates {size} pixels and no other size.",
    ]
    if card["lod"] > 0:
        full = _size(card["full_size"])
        limits.append(f"It is {card['stage']}: its training was to reach {full}.")
    return "".join(f"- {limit}\n" for limit in limits)


def _speed(latency: Mapping[str, Any]) -> str:
    rows = [
        f"| {num} | {milliseconds:g} ms | {milliseconds / num:.3g} ms |\n"
        for key, milliseconds in latency.items()
        if (match := re.fullmatch(r"batch_(\d+)", key)) and (num := int(match[1]))
    ]
    if not rows:
        return "Not measured."
    return (
        f"| images per call | time per call | per image |\n| --- | --- | --- |\n{''.join(rows)}\n"
        f"Medians of {counted(latency['calls'], 'call')} after a warm-up, on the machine of the "
        f"export ({_text(latency['device'])})."
    )


def _use(card: Mapping[str, Any]) -> str:
    inputs = card["signatures"].get("seeds", {}).get("inputs", {})
    label = ", class_id=tf.constant([0, 0], tf.int64)" if "class_id" in inputs else ""
    if "labels" in inputs:
        size = sum(end - begin for begin, end in (g["columns"] for g in card["label_groups"]))
        label = f", labels=tf.zeros([2, {size}])"
    shape = [2, *card["size"], card["channels"]]
    return USE.format(label=label, shape=shape, dtype=card["dtype"])


def _is_labelled(card: Mapping[str, Any]) -> bool:
    return bool(
        {"class_id", "labels"} & card["signatures"].get("seeds", {}).get("inputs", {}).keys()
    )


def _size(size: Sequence[int]) -> str:
    """Formats height and width in pixels."""
    height, width = size
    return f"{height}x{width}" + ("" if height == width else " (height x width)")


def _licence(licence: str) -> str:
    if licence == UNSPECIFIED:
        return "Not specified. " + spelled("`generate.py export --licence=NAME` records it.")
    return f"{_text(licence)}"


def _dataset_name(card: Mapping[str, Any]) -> str:
    """Returns the name of the dataset's folder; its place on a disk tells strangers nothing."""
    return one_line(Path(card["dataset"]).name) if card["dataset"] else ""


def _text(value: Any) -> str:
    return plain(one_line(value))


def _rounded(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)
