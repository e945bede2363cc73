"""Builds a dataset of the best faces in a folder of photographs."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pgtf.dataset.description import PAPER_GRID
from pgtf.dataset.exporter import Options, Summary, export, shuffled
from pgtf.dataset.faces.landmarks import Face, read_landmarks
from pgtf.dataset.faces.maker import Maker, read_report
from pgtf.dataset.faces.options import FaceOptions
from pgtf.dataset.faces.ranking import (
    RECORDS,
    SCORES_FILE,
    SHEET_FILE,
    best_first,
    score,
    write_scores,
    write_sheet,
)
from pgtf.dataset.folder import open_dataset
from pgtf.dataset.ownership import refuse_existing, refuse_foreign
from pgtf.dataset.partial import SUFFIX, PartialFolder
from pgtf.dataset.pyramid import size_of
from pgtf.dataset.sources.images import list_images
from pgtf.dataset.sources.survey import known_range, survey, warn

RANKING = ".ranking"  # added to the target: folder of scores while all faces are being scored
REPORT_FILE = "quality.jsonl"  # scores while faces that are all kept are being made


@dataclasses.dataclass(frozen=True)
class Built:
    """The result of `create`."""

    summary: Summary
    num_faces: int  # in the photographs, including unusable ones
    scores_file: str
    quality_sheet: str


def create(
    tfrecord_dir: str,
    image_dir: str,
    landmark_file: str,
    faces: FaceOptions = FaceOptions(),  # noqa: B008 (frozen)
    options: Options = Options(),  # noqa: B008 (frozen)
    names_of_models: Mapping[str, str] | None = None,
) -> Built:
    """Creates a dataset of the best aligned faces in the photographs.

    If there are more faces than are kept, all are made and scored first, and the best are then made
    again, because the images of all faces could take terabytes.

    Args:
        tfrecord_dir: dataset folder to create.
        image_dir: folder of photographs.
        landmark_file: see `read_landmarks`.
        faces: resolution, number of faces, treatment of photographs.
        options: number of workers, and whether to continue an interrupted job.
        names_of_models: distinguish the job from jobs with other networks.

    Raises:
        ValueError: a face cannot be used, or an argument is wrong.
        OSError: a file cannot be read or written.
    """
    target = os.fspath(tfrecord_dir).rstrip("/")
    refuse_existing(target)
    refuse_foreign(target + SUFFIX)  # now, not after all faces have been ranked
    if faces.keep < 1:
        raise ValueError(f"`keep` must be at least 1. Received: keep={faces.keep}.")
    size_of(faces.resolution, options.grid)  # refuses other numbers than powers of two
    names, others = list_images(image_dir)
    found = read_landmarks(landmark_file, image_dir, names)
    warn(survey(image_dir, names, faces.max_pixels), faces.value_range is not None, takes_all=True)
    places = image_dir, names, faces.max_pixels, options.num_workers
    faces = dataclasses.replace(faces, value_range=known_range(faces.value_range, *places))
    job = _job(image_dir, landmark_file, found, faces, names_of_models or {})
    if options.grid != PAPER_GRID:
        job |= {"grid": str(options.grid)}
    build = _build_all if len(found) <= faces.keep else _build_best
    maker = Maker(image_dir, landmark_file, faces, grid=options.grid)
    summary = build(target, found, maker, job, options)
    return Built(
        dataclasses.replace(summary, skipped=tuple(others)),
        len(found),
        os.path.join(target, SCORES_FILE),
        os.path.join(target, SHEET_FILE),
    )


def _build_all(
    target: str, found: Sequence[Face], maker: Maker, job: Mapping[str, Any], options: Options
) -> Summary:
    """Makes every face once, and ranks them."""
    ordered = [found[i] for i in shuffled(len(found))]
    summary = export(
        target,
        items=ordered,
        num_items=len(ordered),
        load=dataclasses.replace(maker, report=os.path.join(target + SUFFIX, REPORT_FILE)),
        shape=(3, *size_of(maker.options.resolution, options.grid)),
        job=job,
        meta=_facts(maker.options),
        max_errors=maker.options.max_errors,
        report=REPORT_FILE,
        options=options,
    )
    report = os.path.join(target, REPORT_FILE)
    quality = read_report(report)
    made = [face for face in ordered if (face.file, face.number) in quality]  # face i is record i
    scores = np.array([quality[face.file, face.number] for face in made])
    order = best_first(scores)
    _write_scores(target, scores[order], [made[i] for i in order], len(made))
    dataset = open_dataset(target)
    records = dataset.files[dataset.resolution_log2]
    write_sheet(os.path.join(target, SHEET_FILE), order, records.read)
    os.unlink(report)
    return summary


def _build_best(
    target: str, found: Sequence[Face], maker: Maker, job: Mapping[str, Any], options: Options
) -> Summary:
    """Scores every face, then makes the best again."""
    faces = maker.options
    with PartialFolder(target + RANKING, RECORDS, job, options.resume) as folder:
        scores = score(folder, found, maker, faces.max_errors, options.num_workers)
        order = best_first(scores)
        best = np.sort(order[: faces.keep])
        chosen = [found[best[i]] for i in shuffled(len(best))]
        summary = export(
            target,
            items=chosen,
            num_items=len(chosen),
            load=maker,
            shape=(3, *size_of(faces.resolution, options.grid)),
            job=job,
            meta=_facts(faces),
            options=options,
        )
        ranked = [found[i] for i in order]
        _write_scores(target, scores[order], ranked, len(chosen))
        write_sheet(
            os.path.join(target, SHEET_FILE),
            order,
            lambda places: maker(found[place] for place in places),
        )
        folder.discard()
    return summary


def _facts(faces: FaceOptions) -> dict[str, Any]:
    """More fields of dataset.json."""
    return {} if faces.value_range is None else {"range": faces.value_range}


def _write_scores(target: str, scores: np.ndarray, ranked: Sequence[Face], num_kept: int) -> None:
    rows = [(face.file, face.number, place < num_kept) for place, face in enumerate(ranked)]
    write_scores(os.path.join(target, SCORES_FILE), scores, rows, ["file", "face", "kept"])


def _job(
    image_dir: str,
    landmark_file: str,
    found: Sequence[Face],
    faces: FaceOptions,
    names_of_models: Mapping[str, str],
) -> dict[str, Any]:
    """Everything that must be the same when an interrupted job is continued."""
    table = hashlib.sha256()
    for face in found:
        table.update(face.file.encode("utf-8", "surrogateescape") + b"\0")
        table.update(b"" if face.landmarks is None else face.landmarks.tobytes())
    options = {
        field.name: getattr(faces, field.name)
        for field in dataclasses.fields(faces)
        if field.name not in ("clean", "upscale", "max_errors", "max_pixels")
        and (field.name, getattr(faces, field.name)) != ("value_range", None)  # as older jobs
    }
    return {
        "command": "create_faces",
        "image_dir": os.path.abspath(image_dir),
        "landmarks": os.path.abspath(landmark_file),
        "faces": table.hexdigest(),
        **options,
        **names_of_models,
    }
