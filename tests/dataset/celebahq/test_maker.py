"""Every way in which one image can fail, and the outcome that names it."""

import bz2
import dataclasses
import errno
import io
import pickle
import zipfile

import numpy as np
import PIL.Image
import pytest

from pgtf import files
from pgtf.dataset.celebahq.maker import Item, Maker
from pgtf.dataset.celebahq.report import Outcome
from pgtf.dataset.encoder import Rejected
from pgtf.foreign import files as foreign_files

from .fixture import CELEBA, DELTAS, LANDMARKS, ROWS, jpeg_bytes, md5, subset, token, write_zip
from .test_deltas import flipped, sealed

IDX = 4  # the quickest
ROW = dataclasses.replace(ROWS[IDX], idx=0)
ITEM = Item(ROW, LANDMARKS[ROW.orig_idx])


@pytest.fixture
def folders(tmp_path):
    """Inputs of one image, which a test may spoil -> photograph, delta folder, Maker."""
    celeba, deltas = subset(tmp_path, [IDX])
    return celeba / "img_celeba" / ROW.orig_file, deltas, Maker(str(celeba), str(deltas))


def test_a_good_image_is_ok_and_final():
    image, result = Maker(str(CELEBA), str(DELTAS)).make(Item(ROWS[IDX], ITEM.landmarks))
    assert (result.outcome, result.detail) == (Outcome.OK, "")
    assert md5(image) == ROW.final_md5


def test_a_maker_with_open_archives_can_be_sent_to_a_worker():
    maker = Maker(str(CELEBA), str(DELTAS), resolution=256, skip=True)
    assert maker._archives.read(IDX) == token(IDX)
    received = pickle.loads(pickle.dumps(maker))
    assert received == maker
    assert received._archives is not maker._archives
    assert received._archives.read(IDX) == token(IDX)


def cmyk():
    buffer = io.BytesIO()
    PIL.Image.new("CMYK", (250, 300)).save(buffer, "JPEG")
    return buffer.getvalue()


def arithmetic():
    return jpeg_bytes(IDX).replace(b"\xff\xc0", b"\xff\xc9", 1)


def reencoded():
    buffer = io.BytesIO()
    PIL.Image.open(io.BytesIO(jpeg_bytes(IDX))).save(buffer, "JPEG")
    return buffer.getvalue()


JPEG_FAULTS = {
    "truncated": (lambda: jpeg_bytes(IDX)[:20_000], "truncated"),
    "CMYK": (cmyk, "Received: 4 (CMYK)"),
    "arithmetic": (arithmetic, "Received: arithmetic"),
    "re-encoded": (reencoded, "a re-encoded, aligned or renamed copy"),
    "empty": (lambda: b"", "not a JPEG file"),
}


@pytest.mark.parametrize(("content", "detail"), JPEG_FAULTS.values(), ids=JPEG_FAULTS)
def test_another_photograph_is_named(folders, content, detail):
    path, _, maker = folders
    path.write_bytes(content())
    image, result = maker.make(ITEM)
    assert image is None
    assert result.outcome is Outcome.JPEG_DIFFERS
    assert detail in result.detail
    assert str(result).startswith("000005.jpg (idx 0): JPEG differs: ")


def test_a_missing_file_or_delta_is_named(folders):
    path, deltas, maker = folders
    path.unlink()
    _, result = maker.make(ITEM)
    assert (result.outcome, result.detail) == (Outcome.MISSING, "000005.jpg is missing")
    path.write_bytes(jpeg_bytes(IDX))
    (deltas / "deltas00000.zip").unlink()
    _, result = Maker(maker.celeba_dir, maker.delta_dir).make(ITEM)
    assert (result.outcome, result.detail) == (Outcome.MISSING, "deltas00000.zip is missing")


def test_a_file_that_cannot_be_read_is_an_outcome(folders):
    path, deltas, maker = folders
    path.unlink()
    path.mkdir()  # in place of a bad disk
    _, result = maker.make(ITEM)
    assert result.outcome is Outcome.MISSING
    assert result.detail.startswith("cannot be read: [Errno 21] Is a directory")
    path.rmdir()
    path.write_bytes(jpeg_bytes(IDX))
    (deltas / "deltas00000.zip").unlink()
    (deltas / "deltas00000.zip").mkdir()
    _, result = Maker(maker.celeba_dir, maker.delta_dir).make(ITEM)
    assert (result.outcome, result.detail[:15]) == (Outcome.MISSING, "cannot be read:")


def test_a_damaged_delta_is_told_from_another_photograph(folders):
    _, deltas, maker = folders
    write_zip(deltas, [flipped(5000)])
    _, result = maker.make(ITEM)
    assert result.outcome is Outcome.DELTA_DAMAGED
    assert result.detail == "its signature does not match its content"


def test_a_renamed_photograph_does_not_open_its_delta(folders):
    path, _, maker = folders
    (path.parent / "000099.jpg").write_bytes(path.read_bytes())
    row = dataclasses.replace(ROW, orig_file="000099.jpg")  # the salt of the key
    _, result = maker.make(Item(row, ITEM.landmarks))
    assert result.outcome is Outcome.JPEG_DIFFERS


def test_other_pixels_are_an_outcome_or_tolerated(folders):
    _, _, maker = folders
    item = Item(dataclasses.replace(ROW, proc_md5="0" * 32), ITEM.landmarks)
    image, result = maker.make(item)
    assert image is None
    assert result.outcome is Outcome.PIXELS_DIFFER
    image, result = dataclasses.replace(maker, tolerant=True).make(item)
    assert result.outcome is Outcome.TOLERATED
    expected, _ = maker.make(ITEM)
    assert (image != expected).mean() < 1e-3  # large steps of the fixture's random blocks


def test_other_finished_pixels_are_an_outcome(folders):
    _, _, maker = folders
    _, result = maker.make(Item(dataclasses.replace(ROW, final_md5="0" * 32), ITEM.landmarks))
    assert result.outcome is Outcome.FINAL_DIFFERS


@pytest.mark.parametrize(
    ("landmarks", "detail"),
    [(np.zeros((5, 2)), "span a face"), (ITEM.landmarks + 5000, "lie in the image")],
)
def test_landmarks_of_no_face_are_an_outcome(folders, landmarks, detail):
    _, result = folders[2].make(Item(ROW, landmarks.astype(np.float32)))
    assert result.outcome is Outcome.PIXELS_DIFFER
    assert detail in result.detail


def test_a_file_that_opens_its_delta_but_cannot_be_decoded_is_an_outcome(folders):
    path, deltas, maker = folders
    path.write_bytes(cmyk())
    write_zip(deltas, [sealed(bz2.compress(bytes(3 << 20)), cmyk(), ROW.orig_file)])
    _, result = maker.make(ITEM)
    assert result.outcome is Outcome.PIXELS_DIFFER
    assert "CMYK" in result.detail


def test_the_first_failure_stops_or_is_skipped(folders):
    path, _, maker = folders
    path.unlink()
    with pytest.raises(ValueError, match="000005.jpg .*missing.*--on_error=skip leaves such"):
        list(maker([ITEM]))
    (rejected,) = dataclasses.replace(maker, skip=True)([ITEM])
    assert rejected == Rejected("000005.jpg", "missing: 000005.jpg is missing")


def test_the_fixtures_tokens_are_as_published():
    assert token(0).startswith(b"gAAAAA")


@pytest.mark.parametrize("name", ["photograph", "archive"])
def test_a_wavering_disk_leaves_no_image_out(name, folders, monkeypatch):
    _, deltas, maker = folders
    maker = dataclasses.replace(maker, skip=True, resolution=64)
    monkeypatch.setattr(files, "WAITS_SEC", (0, 0))
    place, attribute = {
        "photograph": (foreign_files, "open_regular"),
        "archive": (zipfile.ZipFile, "open"),
    }[name]
    opened, failures = getattr(place, attribute), [0]

    def wavering(*args):
        failures[0] += 1
        if failures[0] <= limit:
            raise OSError(errno.EIO, "Input/output error", str(args[-1]))
        return opened(*args)

    monkeypatch.setattr(place, attribute, wavering)
    limit = 2
    (image,) = maker([ITEM])
    assert image.shape == (3, 64, 64)
    limit, failures[0] = 9, 0
    with pytest.raises(OSError, match="Input/output error"):
        next(maker([ITEM]))
