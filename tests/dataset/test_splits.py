"""Images that training never sees."""

import json

import numpy as np
import pytest

from pgtf.dataset import inspection, open_dataset, pipeline
from pgtf.dataset.fingerprint import fingerprint
from pgtf.dataset.splits import held_out, parse_held_out
from tests.dataset.commands import run
from tests.dataset.folders import create, save


@pytest.mark.parametrize(
    ("text", "amount"), [("5", 5), ("0.25", 0.25), ("10%", 0.1), ("1", 1), ("1e3", 1000)]
)
def test_an_amount_is_a_number_or_a_share(text, amount):
    assert parse_held_out(text) == amount
    assert type(parse_held_out(text)) is type(amount)


@pytest.mark.parametrize("text", ["0", "-1", "1.0", "1.5", "200%", "many", "nan", "inf"])
def test_another_amount_is_refused(text):
    with pytest.raises(
        ValueError, match="`held_out` must be a number of images from 1, or a share"
    ):
        parse_held_out(text)


def test_groups_are_chosen_by_seed_and_name_alone():
    names = [f"{i:03d}" for i in range(100)]
    chosen = held_out(names, 0.2, 0)
    assert chosen.sum() == 20
    assert held_out(names[::-1], 20, 0)[::-1].tolist() == chosen.tolist()
    assert held_out(names, 20, 1).tolist() != chosen.tolist()
    fewer = held_out(names, 10, 0)
    assert chosen[fewer].all()  # A larger number adds to a smaller one.


def test_groups_stay_together():
    groups = [str(i // 5) for i in range(50)]
    chosen = held_out(groups, 7, 0).reshape(10, 5)
    assert chosen.all(axis=1).sum() == 2
    assert chosen.any(axis=1).sum() == 2
    with pytest.raises(ValueError, match="must leave images for training.*50 images in 10 groups"):
        held_out(groups, 46, 0)
    with pytest.raises(ValueError, match="3 images in 1 group, .* Add images of other groups, or"):
        held_out(["only"] * 3, 1, 0)


@pytest.fixture
def patients(tmp_path):
    """Twenty images of five patients; the shade of an image is its number."""
    rows = ["file,patient,age"]
    for i in range(20):
        save(tmp_path / "in" / f"{i % 2}" / f"{i:02d}.png", i)
        rows.append(f"{i:02d},p{i % 5},{i}.5")
    (tmp_path / "ages.csv").write_text("\n".join(rows))
    return tmp_path


def read(folder, split):
    dataset = open_dataset(folder, max_label_size="full", split=split)
    every = range(dataset.num_images)
    shades = dataset.read_images(every)[:, 0, 0, 0].tolist()
    assert dataset.read_labels(every)[:, 0].tolist() == [shade + 0.5 for shade in shades]
    return shades


def test_a_column_holds_out_whole_patients(patients, capsys):
    flags = ("--labels", patients / "ages.csv", "--held_out=0.2", "--split_by=patient")
    assert run("create_from_images", patients / "out", patients / "in", *flags) == 0
    assert "Images         20, 4 of them held out\n" in capsys.readouterr().out
    train, others = (read(patients / "out", split) for split in ("train", "held_out"))
    assert sorted(train + others) == list(range(20))
    assert len(others) == 4
    assert len({i % 5 for i in others}) == 1
    assert read(patients / "out", "all") == train + others
    meta = open_dataset(patients / "out", max_label_size=0).meta
    assert meta["split"] == {"held_out": 4, "seed": 123, "by": "patient"}
    assert meta["subjects"] == 5
    assert meta["label_names"] == ["age"]
    assert meta["label_groups"][0]["mean"] == [float(f"{np.mean(train) + 0.5:.6g}")]
    assert inspection.verify(str(patients / "out")).num_images == 20
    assert inspection.extract(str(patients / "out"), str(patients / "png")) == 20


def test_folders_may_be_held_out(patients):
    flags = ("--held_out=1", "--split_by=folder", "--shuffle=0", "--labels", patients / "ages.csv")
    flags += ("--label_columns=age",)
    assert run("create_from_images", patients / "out", patients / "in", *flags) == 0
    others = read(patients / "out", "held_out")
    assert others in ([*range(0, 20, 2)], [*range(1, 20, 2)])


def test_rejected_files_do_not_shift_the_split(patients):
    (patients / "in" / "0" / "00.png").write_text("no image")
    (patients / "in" / "1" / "01.png").write_text("no image")
    before = create(patients, held_out="6", max_errors=2)
    train = open_dataset(patients / "out", max_label_size=0)
    others = open_dataset(patients / "out", max_label_size=0, split="held_out")
    assert len(before.rejected) == 2
    assert (train.num_images, others.num_images) in ((12, 6), (13, 5), (14, 4))
    names = sorted(f"{i % 2}/{i:02d}.png" for i in range(20))
    chosen = held_out(names, 6, 123)
    expected = {int(name[2:4]) for name, out in zip(names, chosen, strict=True) if out} - {0, 1}
    assert {*others.read_images(range(others.num_images))[:, 0, 0, 0].tolist()} == expected


def test_training_reads_none_of_them_and_another_split_is_another_dataset(patients):
    create(patients, held_out="5")
    train = open_dataset(patients / "out", max_label_size=0)
    others = open_dataset(patients / "out", max_label_size=0, split="held_out")
    batches = pipeline.batches(train, resolution_log2=3, minibatch=15, seed=0)
    seen = set()
    for images, _ in batches.take(4):
        seen |= set(images.numpy()[:, 0, 0, 0].tolist())
    held = set(others.read_images(range(5))[:, 0, 0, 0].tolist())
    assert (len(seen), len(held), seen & held) == (15, 5, set())
    with pytest.raises(ValueError, match="held-out images must not be trained on"):
        pipeline.batches(others, resolution_log2=3, minibatch=5, seed=0)

    before = fingerprint(train)
    meta = json.loads((patients / "out" / "dataset.json").read_text())
    meta["split"]["held_out"] = 4
    (patients / "out" / "dataset.json").write_text(json.dumps(meta))
    after = fingerprint(open_dataset(patients / "out", max_label_size=0))
    assert all(before[part] != after[part] for part in before)
    meta["split"]["held_out"] = 20
    (patients / "out" / "dataset.json").write_text(json.dumps(meta))
    with pytest.raises(ValueError, match="`held_out` in `split` must leave images.* 20 of 20"):
        open_dataset(patients / "out", max_label_size=0)


def test_a_split_that_cannot_be_made_is_refused(patients, capsys):
    make = ("create_from_images", patients / "out", patients / "in")
    assert run(*make, "--split_by=folder") == 2
    assert "`split_by` needs `held_out`" in capsys.readouterr().err
    assert run(*make, "--split_by=patient", "--held_out=2") == 2
    assert "must be folder, or a column of a .csv file" in capsys.readouterr().err
    assert run(*make, "--held_out=20") == 2
    assert "must leave images for training" in capsys.readouterr().err
    assert run(*make, "--held_out=x") == 2
    assert run(*make) == 0
    with pytest.raises(ValueError, match="must hold out images. Received: none"):
        open_dataset(patients / "out", max_label_size=0, split="held_out")
