"""Training without files, which the benchmarks of small datasets share, with tiny networks."""

import numpy as np

from benchmarks import experiments, small_data
from pgtf.training import transfers

TINY = {f"{network}.{name}": value for network in "GD" for name, value in {"fmap_max": 4}.items()}


def made(tmp_path, num_channels):
    images = np.random.RandomState(0).randint(0, 256, (32, 8, 8, num_channels), np.uint8)
    dataset = small_data.dataset_of(tmp_path / f"noise-{num_channels}", images)
    return dataset, small_data.config_of(dataset, 0.1, 1, TINY)


def test_transferred_networks_begin_with_the_weights_of_the_source(tmp_path, monkeypatch):
    def skip(state, steps, config, num_evaluations):
        state.progress.cur_nimg = 1000
        return None, 0.0

    monkeypatch.setattr(experiments, "run_next", skip)
    dataset, config = made(tmp_path, 3)
    state, _, _ = small_data.trained(config, dataset)
    for network in state.networks().values():
        for variable in network.variables_by_name.values():
            variable.assign_add(np.ones(variable.shape, np.float32))
    source = transfers.Source("source", state.G, state.D, state.Gs, ())
    gray, config = made(tmp_path, 1)
    start, _ = transfers.begin(source, config, gray.label_names)
    taken, _, _ = small_data.trained(config, gray, start=start)
    for mine, theirs in zip(taken.networks().values(), state.networks().values(), strict=True):
        old = theirs.variables_by_name
        new = [k for k, v in mine.variables_by_name.items() if not np.array_equal(v, old[k])]
        assert {name.split("_lod")[0] for name in new} in ({"ToRGB"}, {"FromRGB"})


def test_values_name_the_images_shown_when_the_judge_looked(tmp_path):
    dataset, config = made(tmp_path, 1)
    _, values, _ = small_data.trained(config, dataset, [0.05, 0.1], lambda state: {"swd": 1})
    assert values == [{"kimg": 0.128, "swd": 1}] * 2  # Both were reached in one call.
