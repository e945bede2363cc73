"""Snapshots for what becomes of a finished generator."""

import pytest

from pgtf.interop import save_snapshot
from tests import tiny


@pytest.fixture(scope="session")
def snapshot(tmp_path_factory):
    """A finished 16x16 network without labels."""
    return saved(tmp_path_factory.mktemp("networks") / "network-snapshot-000012.h5", 0)


@pytest.fixture(scope="session")
def labelled_snapshot(tmp_path_factory):
    """The same with three classes."""
    return saved(tmp_path_factory.mktemp("networks") / "network-snapshot-000012.h5", 3)


def saved(path, label_size):
    makers = (tiny.generator, tiny.discriminator, tiny.generator)
    G, D, Gs = (make(seed, label_size=label_size) for seed, make in enumerate(makers))
    save_snapshot(path, G, D, Gs, cur_nimg=12000)
    return path
