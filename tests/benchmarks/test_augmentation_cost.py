"""The benchmark of what augmentation costs, with tiny networks."""

import argparse

from benchmarks import augmentation_cost
from pgtf.training import feeding


def test_timed_iterations_go_on_with_the_input_of_the_ones_before(tmp_path, monkeypatch):
    starts, iterate = [], feeding.iterate

    def counted(strategy, dataset, call, *args):
        starts.append(call.nimgs[0])
        return iterate(strategy, dataset, call, *args)

    monkeypatch.setattr(feeding, "iterate", counted)
    sizes = {"fmap_base": 16, "fmap_max": 4}
    args = argparse.Namespace(kinds=("none",), turns=2, iterations=2, **sizes)
    line = augmentation_cost.measure(tmp_path, 8, 4, args)
    assert starts == [0]
    assert line["none_cpu_ms"] > 0
    assert line["ada_share"] > 0
