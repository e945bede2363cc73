"""celebahq-report.csv while workers append to it."""

import pytest

from pgtf.dataset.celebahq.report import Outcome, Result, append_result, finish_report
from tests.dataset.celebahq.fixture import ROWS

RESULTS = [Result(row, Outcome.OK) for row in ROWS[:3]]


@pytest.mark.parametrize("end", range(1, 20))
def test_a_line_that_a_crash_cut_costs_no_other(end, tmp_path):
    report = tmp_path / "report.csv"
    append_result(str(report), RESULTS[0])
    with open(report, "a") as file:
        file.write(RESULTS[1].line()[:end])
    for result in RESULTS[1:]:  # the image of the cut line is made again, then the next one
        append_result(str(report), result)
    assert finish_report(str(report), ROWS[:3]) == RESULTS
    assert report.read_text().splitlines()[1:] == [result.line() for result in RESULTS]


@pytest.mark.parametrize(
    "damage", [b"0,1,a.jpg,lost,x\n", b"\xff\n", b"9" * 5000 + b",1,a.jpg,ok,\n"]
)
def test_a_damaged_report_is_named(damage, tmp_path):
    report = tmp_path / "report.csv"
    append_result(str(report), RESULTS[0])
    report.write_bytes(report.read_bytes() + damage)
    with pytest.raises(ValueError, match="report.csv: .*Delete its folder") as caught:
        finish_report(str(report), ROWS[:3])
    assert len(str(caught.value)) < 300 + len(str(report))
