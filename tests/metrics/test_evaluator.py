"""Several metrics in one pass, with records, cache and errors."""

import json
import re

import numpy as np
import pytest

from pgtf.metrics import fid, image_sets, inception_score, kid, ms_ssim, precision_recall, records
from pgtf.metrics.evaluator import SEED, Evaluator
from pgtf.metrics.inception import GRAPH_NAME, Inception
from pgtf.metrics.plan import parse_plan
from pgtf.metrics.swd import SlicedWasserstein
from tests.metrics.frozen_graph import FrozenGraph
from tests.metrics.pictures import waves

SIDE, NUM = 32, 70  # more than one batch


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = tmp_path_factory.mktemp("inception") / GRAPH_NAME
    path.write_bytes(FrozenGraph().serialized())
    return Inception(path)


@pytest.fixture(scope="module")
def reals():
    return image_sets.of_array("reals", waves(NUM, SIDE, seed=1))


@pytest.fixture(scope="module")
def fakes():
    return image_sets.of_array("fakes", waves(NUM, SIDE, seed=2))


@pytest.fixture(scope="module")
def found(network, reals, fakes):
    plan = parse_plan("swd:66,msssim,fid,is,kid:50,pr")
    evaluator = Evaluator(plan, reals, inception=network, num_fakes=NUM, seed=11)
    return {record["metric"]: record for record in evaluator(fakes, snapshot="x.h5", kimg=3)}


def in_order(image_set, stream, seed=11):
    """All images in the evaluator's order."""
    order = np.random.RandomState([seed, stream]).permutation(image_set.num_images)
    return image_set.read(0, image_set.num_images)[order]


def test_swd_sees_its_own_number_of_images_in_batches_of_64(found, reals, fakes):
    metric = SlicedWasserstein(66, (SIDE, SIDE, 3), np.random.RandomState(11))
    for part in (slice(64), slice(64, 66)):
        metric.feed_reals(in_order(reals, 1)[part])
    metric.begin_fakes()
    for part in (slice(64), slice(64, 66)):
        metric.feed_fakes(in_order(fakes, 2)[part])
    expected = metric.result()
    assert found["swd"]["num_images"] == 66
    assert found["swd"]["values"] == {
        "swd": expected["avg"],
        "swd_32": expected["32"],
        "swd_16": expected["16"],
    }


def test_inception_metrics_equal_their_functions_on_the_features(found, network, reals, fakes):
    (x, _), (y, p) = network(in_order(reals, 1)), network(in_order(fakes, 2))
    statistics = [(f.mean(axis=0), np.cov(f.astype(np.float64), rowvar=False)) for f in (x, y)]
    expected = fid.frechet_distance(*statistics[0], *statistics[1])
    assert found["fid"]["value"] == pytest.approx(expected, rel=1e-4)
    assert found["is"]["values"] == pytest.approx(
        dict(zip(("is", "is_std"), inception_score.inception_score(p), strict=True)), rel=1e-5
    )
    mean, std = kid.kernel_distance(x, y[:50], np.random.RandomState(11))
    assert found["kid"]["values"] == pytest.approx({"kid": 1e3 * mean, "kid_std": 1e3 * std}, 1e-3)
    assert (found["kid"]["num_images"], found["kid"]["num_reals"]) == (50, NUM)
    precision, recall = precision_recall.precision_recall(x, y)
    assert found["pr"]["values"] == {"precision": precision, "recall": recall}


def test_ms_ssim_of_random_pairs_is_also_computed_between_reals(found, reals, fakes):
    for name, image_set, stream in (("msssim", fakes, 2), ("msssim_reals", reals, 1)):
        images = in_order(image_set, stream)
        expected = ms_ssim.ms_ssim(images[0::2], images[1::2]).mean()
        assert found["msssim"]["values"][name] == pytest.approx(expected, rel=1e-12)
    assert found["msssim"]["pairing"] == "random"
    assert (found["msssim"]["pairs"], found["msssim"]["pairs_reals"]) == (35, 35)


def generator(seed=3, side=16):
    """Any number of images: waves of another phase in each batch."""
    return image_sets.ImageSet(
        "G", (side, side, 3), None, lambda begin, end: waves(end - begin, side, [seed, begin])
    )


def test_fakes_and_reals_are_counted_apart(network):
    """2,000 fakes of a generator and 400 reals, at a smaller scale."""
    few, fakes = image_sets.of_array("few", waves(40, 16, seed=1)), generator()
    plan = parse_plan("swd:100,msssim:200,fid:100,kid:100,pr:100")
    found = {r["metric"]: r for r in Evaluator(plan, few, inception=network, seed=11)(fakes)}
    counts = {name: (r["num_images"], r["num_reals"]) for name, r in found.items()}
    assert counts == {name: (100, 40) for name in found} | {"msssim": (200, 40)}
    made = np.concatenate(list(fakes.batches(200)))
    for name, images in (("msssim", made), ("msssim_reals", in_order(few, 1))):
        expected = ms_ssim.ms_ssim(images[0::2], images[1::2]).mean()
        assert found["msssim"]["values"][name] == pytest.approx(expected, rel=1e-12)
    assert (found["msssim"]["pairs"], found["msssim"]["pairs_reals"]) == (100, 20)
    x, y = network(few.read(0, 40))[0], network(made[:100])[0]
    statistics = [(f.mean(axis=0), np.cov(f.astype(np.float64), rowvar=False)) for f in (x, y)]
    expected = fid.frechet_distance(*statistics[0], *statistics[1])
    assert found["fid"]["value"] == pytest.approx(expected, rel=1e-4)
    precision, recall = precision_recall.precision_recall(x, y)
    assert found["pr"]["values"] == {"precision": precision, "recall": recall}


def test_a_number_of_reals_is_a_random_choice_of_them(network, reals, fakes):
    plan = parse_plan("fid:40,msssim:40", num_reals=30)
    found = Evaluator(plan, reals, inception=network, seed=11)(fakes)
    assert [r["num_reals"] for r in found] == [30, 30]
    x, y = network(in_order(reals, 1)[:30])[0], network(in_order(fakes, 2)[:40])[0]
    statistics = [(f.mean(axis=0), np.cov(f.astype(np.float64), rowvar=False)) for f in (x, y)]
    expected = fid.frechet_distance(*statistics[0], *statistics[1])
    assert found[0]["value"] == pytest.approx(expected, rel=1e-4)


def test_sets_of_fakes_of_different_size_are_measured_by_one_evaluator(reals, fakes):
    evaluator = Evaluator(parse_plan("msssim"), reals)
    small = image_sets.of_array("small", fakes.read(0, 20))
    assert [evaluator(x)[0]["num_images"] for x in (fakes, small, fakes)] == [NUM, 20, NUM]
    with pytest.raises(ValueError, match="asked for 50 images, and there are only 20"):
        Evaluator(parse_plan("msssim:50"), reals)(small)


def test_a_record_holds_everything_that_a_value_depends_on(found, network):
    record = found["fid"]
    assert record["value"] == record["values"]["fid"]
    assert record["mode"] == "legacy"
    assert record["inception_sha256"] == network.sha256
    assert (record["num_images"], record["seed"], record["minibatch_size"]) == (NUM, 11, 64)
    assert (record["num_reals"], record["evaluations"], record["order"]) == (NUM, 1, "random")
    assert (record["grid"], record["channels"], record["mirror"]) == ([SIDE, SIDE], 3, False)
    assert (record["reals"], record["fakes"]) == ("reals", "fakes")
    assert (record["snapshot"], record["kimg"]) == ("x.h5", 3)
    assert record["gray_shown_as_rgb"] is False
    assert record["seconds"] >= 0
    assert {"python", "tensorflow", "keras", "numpy", "scipy", "pillow"} == set(record["versions"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", record["time"])
    assert json.loads(json.dumps(record)) == record


def test_each_set_of_fakes_is_measured_as_if_it_were_alone(network, reals, fakes):
    plan = parse_plan("swd:16,msssim:16,fid:16,kid:16,is:16,pr:16")
    together = Evaluator(plan, reals, inception=network)
    values = [[r["values"] for r in together(x)] for x in (fakes, reals, fakes)]
    assert values[0] == values[2]
    assert values[0] != values[1]
    alone = Evaluator(plan, reals, inception=network)(reals)
    assert values[1] == [r["values"] for r in alone]


class Counted:
    """Counts the images the network was shown."""

    def __init__(self, network):
        self._network, self.num = network, 0
        self.mode, self.sha256 = network.mode, network.sha256

    def __call__(self, images):
        self.num += len(images)
        return self._network(images)


def test_statistics_of_reals_are_cached_by_content(network, reals, fakes, tmp_path):
    plan = parse_plan("fid:40,kid:40,pr:40", num_reals=40)

    def measure(image_set, folder=tmp_path):
        counted = Counted(network)
        evaluator = Evaluator(plan, image_set, inception=counted, cache_folder=folder)
        return counted.num, [r["value"] for r in evaluator(fakes)], counted.num

    first, again = measure(reals), measure(image_sets.of_array("same", reals.read(0, NUM).copy()))
    assert first[2] == 80
    assert again[2] == 40  # the fakes alone
    assert again[1] == pytest.approx(first[1], rel=1e-12)
    changed = reals.read(0, NUM).copy()
    last = np.random.RandomState([SEED, 1]).permutation(NUM)[39]
    changed[last, 0, 0, 0] ^= 1
    assert measure(image_sets.of_array("changed", changed))[2] == 80
    for path in tmp_path.iterdir():
        path.write_bytes(b"damaged")
    assert measure(reals)[1:] == first[1:]


def test_statistics_of_another_mode_or_network_are_not_taken_from_the_cache(
    reals, fakes, tmp_path, network
):
    path = tmp_path / "other.pb"
    path.write_bytes(FrozenGraph(seed=1).serialized())
    networks = [network, Inception(network.path, mode="clean"), Inception(path)]
    plan, folder = parse_plan("fid:16,kid:16,pr:16", num_reals=16), tmp_path / "cache"
    for shown in (32, 16):  # reals and fakes, then fakes alone
        for each in networks:
            counted = Counted(each)
            found = Evaluator(plan, reals, inception=counted, cache_folder=folder)(fakes)
            assert counted.num == shown
            expected = Evaluator(plan, reals, inception=each)(fakes)
            for record, alone in zip(found, expected, strict=True):
                assert record["values"] == pytest.approx(alone["values"], rel=1e-9)


def test_a_cache_that_cannot_be_written_gives_a_warning_and_the_same_values(
    network, reals, fakes, tmp_path, caplog
):
    in_the_way = tmp_path / "cache"
    in_the_way.write_text("a file where the folder should be")
    plan = parse_plan("fid:40,msssim:40")
    with caplog.at_level("WARNING", logger="absl"):
        found = Evaluator(plan, reals, inception=network, cache_folder=in_the_way)(fakes)
    assert "Statistics of reals were not kept: " in caplog.text
    expected = Evaluator(plan, reals, inception=network)(fakes)
    assert [r["values"] for r in found] == [r["values"] for r in expected]


def test_ms_ssim_of_equal_reals_is_computed_once(reals, fakes, tmp_path, monkeypatch):
    values, fed = [], []
    feed = ms_ssim.MultiScaleSSIM.feed
    counted = lambda self, images: (fed.append(len(images)), feed(self, images))  # noqa: E731
    monkeypatch.setattr(ms_ssim.MultiScaleSSIM, "feed", counted)
    for _ in range(2):
        (record,) = Evaluator(parse_plan("msssim"), reals, cache_folder=tmp_path)(fakes)
        values.append(record["values"])
    assert values[0] == values[1]
    assert sum(fed) == 3 * NUM  # reals and fakes, then fakes alone


def test_reals_are_fed_again_after_a_failed_reading(network, reals, fakes):
    """A disk that comes back during training must not leave images counted twice."""
    broken, read_so_far = [True], []

    def read(begin, end):
        read_so_far.append(begin)
        if len(read_so_far) > 65 and broken:
            broken.clear()
            raise OSError("the disk is gone")
        return reals.read(begin, end)

    plan = parse_plan("swd,msssim,fid,kid")
    evaluator = Evaluator(
        plan, image_sets.ImageSet("reals", reals.shape, NUM, read), inception=network
    )
    with pytest.raises(OSError, match="the disk is gone"):
        evaluator(fakes)
    expected = Evaluator(plan, reals, inception=network)(fakes)
    assert [r["values"] for r in evaluator(fakes)] == [r["values"] for r in expected]


def test_a_metric_without_reals_does_not_read_them(network, fakes):
    def unread(begin, end):
        raise AssertionError("read")

    reals = image_sets.ImageSet("reals", (SIDE, SIDE, 3), NUM, unread)
    (record,) = Evaluator(parse_plan("is"), reals, inception=network)(fakes)
    assert record["value"] >= 1


def test_gray_images_shown_as_rgb_are_recorded_with_a_warning(network, caplog):
    gray = [image_sets.of_array("gray", waves(12, 16, seed=s, channels=1)) for s in (1, 2)]
    with caplog.at_level("WARNING", logger="absl"):
        (record,) = Evaluator(parse_plan("is:12"), gray[0], inception=network)(gray[1])
    assert record["gray_shown_as_rgb"] is True
    assert "Inception is shown gray images in all three channels." in caplog.messages


def test_bad_input_is_refused_before_the_work(network, reals, fakes):
    with pytest.raises(ValueError, match="`fid` needs the Inception network. Give its file as"):
        Evaluator(parse_plan("fid"), reals)
    with pytest.raises(ValueError, match="`modes` needs a classifier"):
        Evaluator(parse_plan("modes"), reals)
    with pytest.raises(ValueError, match="asked for 100 images, and there are only 70"):
        Evaluator(parse_plan("swd:100"), reals, num_fakes=70)
    with pytest.raises(ValueError, match="`num_reals` must be at most 70, .* or all. Received: nu"):
        Evaluator(parse_plan("swd", num_reals=71), reals)
    small = image_sets.of_array("small", waves(20, 8, seed=0))
    with pytest.raises(ValueError, match="16x16 pixels or more. Received: 8x8"):
        Evaluator(parse_plan("swd"), small)
    with pytest.raises(ValueError, match="5 scales needs images of 16 pixels or more"):
        Evaluator(parse_plan("msssim"), small)
    with pytest.raises(ValueError, match=r"small: must have images like reals, \[32, 32, 3\]"):
        Evaluator(parse_plan("msssim"), reals)(small)


def test_records_survive_a_torn_line(tmp_path):
    records.append(tmp_path, {"metric": "swd", "value": 1.5})
    with open(records.path_of(tmp_path, "swd"), "a") as file:
        file.write('{"metric": "sw')
    records.append(tmp_path, {"metric": "swd", "value": 2.5})
    assert [record["value"] for record in records.load(tmp_path, "swd")] == [1.5, 2.5]
    assert records.load(tmp_path, "fid") == []
