"""TensorBoard events of resumed runs: every tag once at each step."""

import types

import numpy as np
import pytest
import tensorflow as tf

from pgtf.training import events
from tests.training import jobs


def tick(tensorboard, nimg, value=0.0):
    """Writes a tick and a picture of one gray value."""
    line = types.SimpleNamespace(as_line=lambda: {"tick": nimg // 96, "G_loss": value})
    tensorboard(line, types.SimpleNamespace(progress=types.SimpleNamespace(cur_nimg=nimg)), False)
    tensorboard.picture(np.full([4, 4, 3], round(value), np.uint8), nimg)


def steps(folder):
    return {tag: [step for step, _ in curve] for tag, curve in jobs.curves(folder).items()}


def event_file(folder):
    (path,) = folder.glob("events.*")
    return path


def foreign_events(folder, tag):
    """Writes values at 0 ... 900 as another program would; returns the file."""
    with tf.summary.create_file_writer(str(folder)).as_default():
        for step in range(0, 1000, 100):
            tf.summary.scalar(tag, 1.0, step=step)
    tf.summary.flush()
    return event_file(folder)


@pytest.fixture
def written(tmp_path):
    """A run folder with ticks at 96, 192 and 288 images, whose writer is gone."""
    tensorboard = events.TensorBoard(tmp_path, 0)
    for nimg in (96, 192, 288):
        tick(tensorboard, nimg)
    return tmp_path


def test_files_of_one_second_are_read_in_the_order_of_their_beginning(tmp_path):
    for step in range(12):  # As text 10 comes before 9.
        events.Events(tmp_path).scalars({"tick": step}, step)
    assert steps(tmp_path)["tick"] == list(range(12))


@pytest.mark.parametrize(
    ("nimg", "kept"),
    [(0, []), (95, []), (96, [96]), (200, [96, 192]), (288, [96, 192, 288])],
)
def test_events_after_the_checkpoint_are_cut_and_written_once(written, nimg, kept):
    tensorboard = events.TensorBoard(written, nimg)
    assert steps(written) == ({tag: kept for tag in ("tick", "G_loss", "fakes")} if kept else {})
    for later in (96, 192, 288, 384):
        if later > nimg:
            tick(tensorboard, later, value=0.5)
    assert set(map(tuple, steps(written).values())) == {(96, 192, 288, 384)}
    losses = jobs.curves(written)["G_loss"]
    assert [value for _, value in losses] == [0.0] * len(kept) + [0.5] * (4 - len(kept))


@pytest.mark.parametrize("torn", ["the last picture", "a header", "zeros", "a payload"])
def test_a_torn_last_record_is_cut(written, torn):
    path = event_file(written)
    whole = path.read_bytes()
    broken = {
        "a header": whole[:9],
        "zeros": bytes(160),
        "a payload": (8).to_bytes(8, "little") + bytes(4) + b"\xff" * 8 + bytes(4),
    }
    path.write_bytes(whole[:-1] if torn == "the last picture" else whole + broken[torn])
    events.cut(written, 10**6)
    expected = [96, 192, 288]
    assert steps(written)["G_loss"] == expected
    assert steps(written)["fakes"] == (expected[:2] if torn == "the last picture" else expected)
    # This reader raises an error at a torn record.
    read = list(tf.compat.v1.train.summary_iterator(str(path)))
    assert len(read) == 1 + 3 * 2 - (torn == "the last picture")


@pytest.mark.parametrize("content", [b"", b"\x18\x00\x00"])
def test_a_file_that_was_only_begun_does_no_harm(tmp_path, content):
    (tmp_path / "events.out.tfevents.1.host.1.0.v2").write_bytes(content)
    tick(events.TensorBoard(tmp_path, 0), 96)
    assert steps(tmp_path)["tick"] == [96]


def test_files_of_other_programs_and_links_stay_as_they_are(tmp_path):
    for name in ("run", "run/plugins/profile", "other", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    run = tmp_path / "run"
    paths = [foreign_events(run / "plugins/profile", "tick")]
    paths.append(
        foreign_events(tmp_path / "other", "accuracy").rename(run / "events.out.tfevents.u")
    )
    paths.append(foreign_events(tmp_path / "elsewhere", "tick"))
    (run / "events.out.tfevents.link").symlink_to(paths[-1])
    paths[1].write_bytes(paths[1].read_bytes()[:-3])  # Another process is writing it.
    before = [path.read_bytes() for path in paths]
    assert events.cut(run, 100) == set()
    assert [path.read_bytes() for path in paths] == before
    mine = run / "events.out.tfevents.mine"
    mine.write_bytes(before[-1])  # The content behind the link, as a file of the run.
    assert events.cut(run, 100) == {"tick"}
    read = tf.compat.v1.train.summary_iterator(str(mine))
    assert [event.step for event in read if event.summary.value] == [0, 100]


def test_a_run_killed_between_its_first_picture_and_reals_png_has_one_first_picture(tmp_path):
    for _ in range(2):
        events.TensorBoard(tmp_path, 96).picture(np.zeros([4, 4, 3], np.uint8), 96)
    assert steps(tmp_path) == {"fakes": [96]}


def test_a_rollback_in_one_process_cuts_the_file_of_before(tmp_path):
    first = events.TensorBoard(tmp_path, 0)
    for nimg in (96, 192, 288):
        tick(first, nimg)
    second = events.TensorBoard(tmp_path, 96)
    for nimg in (192, 288):
        tick(second, nimg, value=0.5)
    assert set(map(tuple, steps(tmp_path).values())) == {(96, 192, 288)}
    assert [value for _, value in jobs.curves(tmp_path)["G_loss"]] == [0.0, 0.5, 0.5]
