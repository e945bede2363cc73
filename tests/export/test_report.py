"""The page about a run: its contents, and its view in a browser."""

import html.parser
import json
import re

import numpy as np
import pytest

from pgtf import images
from pgtf.commands import generate, generate_flags
from pgtf.config import PRESETS
from pgtf.export import charts, report
from pgtf.export.timelapse import Moment


@pytest.fixture
def page(tmp_path):
    """The report of an invented run of 40 ticks with a hostile name."""
    moments = []
    for kimg in range(0, 40, 10):
        path = tmp_path / f"fakes{kimg:06d}.png"
        images.save_png(path, np.full([64, 96, 3], 5 * kimg, np.uint8))
        moments.append(Moment(path, kimg, 1.0, 8, 0.5))
    stats = [
        {
            "kimg": i + 1.0, "resolution": 4 if i < 20 else 8, "train_hours": i / 10,
            "sec_per_kimg": 2.0, "peak_gib": 1.0, "G_loss": i - 20.0, "D_loss": 20.0 - i,
            "real_scores": 1.0, "fake_scores": float("nan") if i == 3 else -1.0, "mixed_norms": 1.0,
        }
        for i in range(40)
    ]  # fmt: skip
    report.write_report(
        tmp_path / "report.html",
        "<b>run & co</b>",
        "Trained. \x1b[2J\x9b\udce9",
        moments=moments,
        stats=stats,
        metrics={"fid": {"fid (100 images, seed 0)": {10: 300.0, 40: 25.5}}},
        stages=[("kimg", "resolution"), ("0 - 20", "4x4"), ("20 - 40", "8x8")],
        neighbours=np.zeros([48, 80, 3], np.uint8),
        config={"training": {"seed": 1000}},
    )
    return tmp_path / "report.html"


class _Tags(html.parser.HTMLParser):
    """Names, attributes and nesting of the tags of a page."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in ("meta", "img", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def curves_of(text):
    """The paths of the curves of all charts, without the keys of the legends."""
    return re.findall(r'<path class="curve[^>]* d="(M[^"]*)"/>(?!</svg>)', text)


def test_the_page_is_well_formed_and_loads_nothing(page):
    tags = _Tags(page.read_text())
    assert tags.open == []
    for tag, attributes in tags.found:
        assert tag not in ("link", "iframe", "object")
        assert "href" not in attributes
        assert attributes.get("src", "data:").startswith("data:")
    assert "http" not in re.sub(r'base64,[^"]*', "", page.read_text())


def test_the_source_of_the_page_commands_no_terminal(page):
    assert re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f]", page.read_text()) == []
    assert "Trained. \\x1b[2J\\x9b\\udce9" in page.read_text()


def test_every_section_holds_what_it_was_given(page):
    text = page.read_text()
    assert "<title>&lt;b&gt;run &amp; co&lt;/b&gt;</title>" in text
    assert "<b>run" not in text
    for words in (
        "40 kimg",
        "8x8",
        "3 h 54 min",
        "25.5",
        "training.seed",
        "1000",
        "0 - 20",
        "10 kimg",
    ):
        assert words in text
    assert sum(tag == "img" for tag, _ in _Tags(text).found) == 4 + 1
    assert len(curves_of(text)) == 2 + 3 + 1


def test_a_resolution_begins_with_the_line_that_names_it():
    lines = [(2.0, 4), (4.1, 8), (12.3, 16), (14.3, 16)]
    stats = [{"kimg": kimg, "resolution": resolution} for kimg, resolution in lines]
    assert report._bands(stats) == [(0, 4.1, "4x4"), (4.1, 12.3, "8x8"), (12.3, 14.3, "16x16")]


def test_a_statistic_that_the_loss_does_not_have_is_not_drawn():
    fields = dict.fromkeys(("G_loss", "D_loss", "real_scores", "fake_scores"), 1.0)
    stats = [{"kimg": float(i), "resolution": 4} | fields for i in range(3)]
    text = report._training_charts(stats)
    assert len(curves_of(text)) == 2 + 2
    assert "gradient norm" not in text
    assert "gradient norm" in report._training_charts([line | {"mixed_norms": 1} for line in stats])


def test_a_missing_section_is_explained(page, tmp_path):
    assert "None was measured" in report._metric_charts({})
    assert "no &lt;dataset&gt;" in report._neighbours("no <dataset>")


def test_a_curve_spans_the_chart_and_outliers_do_not_flatten_it():
    points = [(x, float(x)) for x in range(200)]
    points[7] = (7, 1e6)
    svg = charts.line_chart({"a": points}, "x")
    (path,) = curves_of(svg)
    xs, ys = zip(*(map(float, place.split()) for place in path[1:].split("L")), strict=True)
    assert (xs[0], xs[-1]) == (0, charts.WIDTH)
    assert ys[0] - ys[-1] > 0.9 * charts.HEIGHT
    assert min(ys) >= 0


def test_what_has_no_finite_value_is_said_and_not_drawn():
    nan = {"a & b": [(1, float("nan"))], "c": []}
    assert charts.line_chart(nan, "x") == '<p class="note">a &amp; b, c: no finite value.</p>'
    svg = charts.line_chart(nan | {"d": [(1, 2.0), (2, 3.0)]}, "x")
    assert svg.count('class="dot shown"') == 2
    assert "nan" not in svg


@pytest.mark.parametrize("values", [[0, 1], [-3e-5, 2e-5], [5, 5], [0, 123456]])
def test_ticks_are_round_few_and_inside(values):
    axis = charts._Axis(min(values), max(values), 0, 100)
    assert 1 <= len(axis.ticks) <= charts.NUM_TICKS + 1
    for tick in axis.ticks:
        assert re.fullmatch(r"-?[0-9]{1,3}0*|-?[\d.]{1,4}|-?\d(\.\d)?e[-+]\d+", f"{tick:g}")
        assert 0 <= axis(tick) <= 100


def test_the_names_of_the_stages_lie_above_the_curves():
    bands = [(0, 25, "4x4"), (25, 50, "<8x8>"), (50, 100, "16x16")]
    svg = charts.line_chart({"a": [(0, 1.0), (100, 2.0)]}, "x", bands)
    drawing, _, names = svg.partition("</svg>")
    assert "4x4" not in drawing
    places = re.findall(r'class="band" style="left:(.*?);right:(.*?)" title="(.*?)"', names)
    assert places == [
        ("0%", "75%", "4x4"), ("25%", "50%", "&lt;8x8&gt;"), ("50%", "0%", "16x16"),
    ]  # fmt: skip
    assert re.findall(r'<rect class="shade" x="(.*?)" y="0" width="(.*?)"', drawing) == [
        ("250.0", "250")
    ]


def _luminance(colour):
    """Relative luminance of "#rgb" or "#rrggbb", as WCAG defines it."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * c for c in colour[1:])
    values = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def _contrast(*colours):
    low, high = sorted(map(_luminance, colours))
    return (high + 0.05) / (low + 0.05)


def test_text_and_curves_are_read_on_light_and_dark_screens():
    styles = re.findall(r":root \{(.*?)\}", report.TEMPLATE.read_text(), re.DOTALL)
    assert len(styles) == 2
    assert _contrast("#4f46e5", "#fff") >= 4.5  # the button
    for style in styles:
        colours = dict(re.findall(r"--(\w+): (#\w+)", style))
        for paper in (colours["card"], colours["page"]):
            assert _contrast(colours["ink"], paper) >= 7
            assert _contrast(colours["soft"], paper) >= 4.5
        curves = [f"c{i}" for i in range(charts.NUM_COLOURS)]
        for name in (*curves, "accent", "edge"):
            assert _contrast(colours[name], colours["card"]) >= 3, (name, colours)


def test_headings_are_in_order_and_pictures_and_tables_have_names(page):
    tags = _Tags(page.read_text()).found
    levels = [int(tag[1]) for tag, _ in tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in zip(levels, levels[1:], strict=False))
    assert ("html", {"lang": "en"}) in tags
    for tag, attributes in tags:
        if tag == "img":
            assert attributes["alt"]
        if tag == "svg" and attributes.get("aria-hidden") != "true":
            assert attributes["aria-label"]
        if attributes.get("class") == "scroll":  # reached and scrolled by keyboard
            assert attributes["tabindex"] == "0"
            assert attributes["aria-label"]


def test_long_curves_are_thinned_to_means():
    thinned = charts._thinned([(x, float(x % 2)) for x in range(4000)])
    assert len(thinned) == charts.MAX_POINTS
    assert {y for _, y in thinned} == {0.5}


def test_report_gathers_a_run(tmp_path):
    folder = tmp_path / "000-faces-demo"
    folder.mkdir()
    (folder / "config.json").write_text(PRESETS["demo"].to_json())
    images.save_png(folder / "fakes000004.png", np.zeros([64, 64, 3], np.uint8))
    fields = dict.fromkeys(("G_loss", "D_loss", "real_scores", "fake_scores", "mixed_norms"), 1.0)
    times = {"lod": 3, "resolution": 4, "train_hours": 1, "sec_per_kimg": 1, "peak_gib": 1}
    (folder / "stats.jsonl").write_text(json.dumps({"kimg": 4.03} | times | fields) + "\n")
    record = {"num_images": 9, "seed": 0, "reals": "x", "kimg": 4, "values": {"fid": 77.5}}
    (folder / "metric-fid.jsonl").write_text(json.dumps(record) + "\n")
    generate.run(generate_flags.parse(["generate.py", "report", f"--outdir={tmp_path}"]))
    text = (folder / "report.html").read_text()
    for words in ("77.5", "000-faces-demo", "stabilise", "schedule.resolution_log2"):
        assert words in text
    assert "Not searched: " in text  # there is no dataset


def test_a_person_moves_through_time(page, browser):
    browser.get(page.as_uri())

    def shown():
        images_ = browser.find_elements("css selector", ".moment")
        return [image.get_attribute("alt") for image in images_ if image.is_displayed()]

    caption = browser.find_element("id", "caption")
    assert shown() == [caption.text] == ["30 kimg   8x8   lod 1.00   30 min"]
    slider = browser.find_element("id", "moment")
    slider.send_keys("\ue012")  # arrow left
    assert shown() == [caption.text] == ["20 kimg   8x8   lod 1.00   30 min"]
    slider.send_keys("\ue011")  # home
    play = browser.find_element("id", "play")
    play.click()
    assert play.text == "Stop"
    play.click()
    assert play.text == "Play"
    assert not browser.find_element("xpath", "//td[text()='training.seed']").is_displayed()
    browser.find_element("css selector", "summary").click()
    assert browser.find_element("xpath", "//td[text()='training.seed']").is_displayed()
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    assert browser.get_log("browser") == []


def test_a_run_on_a_small_dataset_shows_overfitting_and_marks_the_best_snapshot():
    stats = [
        {"kimg": float(i), "resolution": 16, "lod": lod, "aug_p": i / 100, "held_out_swd": swd}
        for i, (lod, swd) in enumerate([(1, 3.0), (0, 20.0), (0, 12.5), (0, 14.0)])
    ]
    (section,) = report._small_data(stats)
    assert "Closest to the held-out images at 2 kimg, SWD 12.500" in section
    assert section.count("<figure") == 2
    assert report._small_data([{"kimg": 1.0, "resolution": 16, "lod": 0}]) == []
