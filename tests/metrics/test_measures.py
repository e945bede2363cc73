"""The facts about each metric, and the registry."""

import importlib
import subprocess
import sys

import pytest

import metrics
from pgtf.metrics import records
from pgtf.metrics.during_training import keep_best
from pgtf.metrics.interface import NEEDS, Measure
from pgtf.metrics.measures import MEASURES

# name: default and least number of images, images per k, better, needs, cached, reals
FACTS = {
    "swd": (16384, 1, 1024, "lower", None, None, "same"),
    "msssim": (20000, 2, 1000, None, None, "msssim", "same"),
    "fid": (50000, 2, 1000, "lower", "inception", "statistics", "all"),
    "is": (50000, 10, 1000, "higher", "inception", None, None),
    "kid": (10000, 2, 1000, "lower", "inception", "features", "all"),
    "pr": (50000, 4, 1000, None, "inception", "features", "all"),
    "modes": (25600, 1, 1000, "higher", "classifier", None, None),
    "labels": (5000, 100, 1000, None, "labels", None, "same"),
}


def test_each_metric_has_the_facts_of_its_source():
    found = {
        name: (
            *(kind.default_images, kind.min_images, kind.images_per_k),
            *(kind.better, kind.needs, kind.state_name),
            kind.default_reals if kind.uses_reals else None,
        )
        for name, kind in MEASURES.items()
    }
    assert found == FACTS
    assert list(found) == list(FACTS)  # the order of help texts and plots


@pytest.mark.parametrize("kind", MEASURES.values(), ids=MEASURES)
def test_each_metric_is_complete(kind):
    assert issubclass(kind, Measure)
    assert kind.title
    assert kind.needs is None or kind.needs in NEEDS
    assert (kind.needs in (None, "labels")) == (not kind.network_fields)
    for method in ("reals_state", "restore_reals"):
        assert (getattr(kind, method) is not getattr(Measure, method)) == bool(kind.state_name)
    assert (kind.feed_reals is not Measure.feed_reals) == kind.uses_reals


def test_the_registry_needs_no_tensorflow():
    code = "import sys, pgtf.metrics.evaluator; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    ("metric", "field"), [("modes", "classifier_sha256"), ("fid", "inception_sha256")]
)
def test_values_of_different_networks_do_not_compete_for_the_best(tmp_path, metric, field):
    name = "network-snapshot-000001.h5"
    (tmp_path / name).write_bytes(b"snapshot")
    worse, better = (5.0, 9.0) if MEASURES[metric].better == "higher" else (9.0, 5.0)

    def is_best(value, network):
        found = {"metric": metric, "value": value, "snapshot": name, field: network}
        records.append(tmp_path, found)
        return keep_best(tmp_path, found)

    assert is_best(better, "one")
    assert not is_best(worse, "one")
    assert is_best(worse, "another")


def test_the_front_hands_out_the_modules_of_the_package():
    for name in metrics.__all__:
        assert getattr(metrics, name) is importlib.import_module(f"pgtf.metrics.{name}")
    with pytest.raises(AttributeError, match="module 'metrics' has no attribute 'nothing'"):
        metrics.nothing  # noqa: B018
