"""Reports to which several processes append lines."""

import os

import pytest

from pgtf.dataset.appending import append_line


def test_each_line_is_one_write_at_the_end(tmp_path, monkeypatch):
    """Linux does not interleave such writes, whichever processes make them."""
    written = []
    write = os.write

    def spy(descriptor, data):
        written.append(data)
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", spy)
    report = tmp_path / "report"
    for line in ("first", "second"):
        append_line(str(report), line)
    assert written == [b"\nfirst\n", b"\nsecond\n"]
    assert report.read_bytes() == b"\nfirst\n\nsecond\n"


def test_a_cut_line_does_not_spoil_the_next(tmp_path):
    (tmp_path / "report").write_text("cu")
    append_line(str(tmp_path / "report"), "whole")
    assert (tmp_path / "report").read_text() == "cu\nwhole\n"


def test_a_report_is_not_written_through_a_link(tmp_path):
    (tmp_path / "target").write_text("precious")
    (tmp_path / "report").symlink_to("target")
    with pytest.raises(OSError, match="symbolic links"):
        append_line(str(tmp_path / "report"), "line")
    assert (tmp_path / "target").read_text() == "precious"
