"""Devices in place of files: one that has no end is not read."""

import os

import pytest

from tests.foreign.bounded import outcomes


@pytest.fixture
def endless(tmp_path):
    path = tmp_path / "endless"
    os.symlink("/dev/zero", path)
    return path


def test_a_device_without_end_is_no_pickle(endless):
    (line,) = outcomes("pickle", endless)
    assert "must be a regular file, not a pipe or a device" in line


def test_a_device_without_end_in_a_run_is_an_empty_file(endless):
    assert outcomes("whole file", endless, os.devnull) == ["read", "read"]
