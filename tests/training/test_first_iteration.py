"""Order and amount of the work before the first iteration, which people wait for."""

import re

import numpy as np

from pgtf import images, marks
from pgtf.networks import Generator
from pgtf.runs.checkpoints import Checkpoints
from pgtf.training import callbacks, loop, plan, randomness
from pgtf.training.state import TrainingState
from pgtf.training.stepper import Stepper
from tests.training import jobs


def recorded(monkeypatch, kind, name, label, events):
    original = getattr(kind, name)

    def call(*args, **kwargs):
        events.append(label)
        return original(*args, **kwargs)

    monkeypatch.setattr(kind, name, call)


def test_the_first_iteration_precedes_checkpoint_and_pictures(
    config, dataset, strategy, tmp_path, monkeypatch
):
    events = []
    recorded(monkeypatch, Stepper, "run", "iterations", events)
    recorded(monkeypatch, Generator, "run", "images", events)
    recorded(monkeypatch, Checkpoints, "save", "checkpoint", events)
    recorded(monkeypatch, images, "save_png", "reals.png", events)
    changes = {"schedule.lod_training_kimg": 1, "training.total_kimg": 0.096}  # 4x4 throughout
    loop.run(config.replace(changes), dataset, strategy, tmp_path)
    assert events[:2] == ["iterations"] * 2  # one call, whose first iteration is timed apart
    assert events[2:5] == ["checkpoint", "images", "reals.png"]


def test_the_first_picture_is_of_the_weights_before_the_first_iteration(
    config, dataset, strategy, tmp_path
):
    state = TrainingState(config, strategy)
    state.Gs.lod = 1.0
    tensorboard = type("", (), {"picture": lambda *args: None})()
    grid = callbacks.ImageGrid(tmp_path, dataset, state, config, tensorboard)
    latents = randomness.normal(grid._latents.shape, config.training.seed, 0, 5).numpy()
    np.testing.assert_array_equal(grid._latents, latents[: len(grid._latents)])
    expected = grid._grid(state.Gs.run(grid._latents, lod=1.0))
    for variable in state.Gs.variables_by_name.values():
        variable.assign_add(variable * 0.5 + 1.0)
    state.Gs.lod = 0.5
    moved = {name: v.numpy() for name, v in state.Gs.variables_by_name.items()}
    grid.begin()
    images.save_png(tmp_path / "expected.png", expected)
    found, plain = (tmp_path / name for name in ("fakes000000.png", "expected.png"))
    assert found.read_bytes() == marks.in_png(plain.read_bytes(), marks.Mark().packet)
    for name, variable in state.Gs.variables_by_name.items():
        np.testing.assert_array_equal(variable, moved[name])
    assert state.Gs.lod == 0.5


def test_the_graph_of_a_stage_holds_the_weights_of_its_resolution_only(config, dataset, strategy):
    state = TrainingState(config, strategy)
    stepper = Stepper(state, config, dataset, strategy)
    function = jobs.traced(stepper, plan.next_call(config.schedule, config.training, 0, 0, 1))
    captured = {id(handle) for handle, _ in function.graph.captures}
    for network in state.networks().values():
        held = {n for n, v in network.variables_by_name.items() if id(v.handle) in captured}
        assert held == set(network.stored_at(2))
        assert not any(re.match(r"8x8/|(To|From)RGB_lod0/", name) for name in held)


def test_the_average_begins_as_the_generator_of_the_seed(config, strategy):
    state, other = TrainingState(config, strategy), TrainingState(config, strategy)
    for name, values in other.G.variables_by_name.items():
        np.testing.assert_array_equal(state.Gs.variables_by_name[name], values)
