import pytest

from pgtf.dataset import exporter, partial


@pytest.fixture
def small_tasks(monkeypatch):
    """Several tasks, and a journal line after each, even for a few small images."""
    monkeypatch.setattr(exporter, "BYTES_PER_WORKER", 1)
    monkeypatch.setattr(exporter, "MAX_CHUNK", 4)
    monkeypatch.setattr(partial, "CHECKPOINT_SECONDS", 0)
