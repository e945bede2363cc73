"""The small files beside the records: labels, description, contact sheet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from pgtf import images as images_lib
from pgtf.dataset.description import META_FILE
from pgtf.dataset.folder import CONTACT_SHEET, Dataset

LABEL_BYTES = 1 << 22  # bytes of rows written at a time
SHEET_SIDE = 8  # images along each side of a contact sheet
SHEET_LOG2 = 7  # A contact sheet shows at most 128x128.


def label_size_of(labels: np.ndarray | None) -> int:
    """Number of label columns of a matrix, or of the one-hot codes of class numbers."""
    if labels is None:
        return 0
    return int(labels.max()) + 1 if labels.ndim == 1 else labels.shape[1]


def write_labels(path: str, labels: np.ndarray, label_size: int) -> None:
    """Writes a .npy file of float32 [n, L], in parts because one-hot codes may be huge."""
    shape = (len(labels), label_size)
    with open(path, "wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        step = max(LABEL_BYTES // max(4 * label_size, 1), 1)
        for start in range(0, len(labels), step):
            part = labels[start : start + step]
            if part.ndim == 1:
                part = part[:, np.newaxis] == np.arange(label_size)
            file.write(part.astype("<f4").tobytes())


def write_meta(path: str, content: Mapping[str, Any]) -> None:
    """Writes dataset.json, which holds facts that the original's files do not."""
    with open(f"{path}/{META_FILE}", "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1, ensure_ascii=False)
        file.write("\n")


def write_contact_sheet(dataset: Dataset) -> None:
    """Writes a grid of the first images."""
    log2 = min(dataset.resolution_log2, SHEET_LOG2)
    images = dataset.read_images(range(min(dataset.num_images, SHEET_SIDE**2)), log2)
    images_lib.save_image_grid(f"{dataset.path}/{CONTACT_SHEET}", dataset.preview_of(images))
