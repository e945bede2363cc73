import pytest

from pgtf.grids import Grid


@pytest.mark.parametrize(
    ("text", "level", "size"),
    [
        ("4x4", 10, (1024, 1024)),
        ("5x4", 10, (1280, 1024)),
        ("4x3", 7, (128, 96)),
        ("2x16", 8, (128, 1024)),
        ("2x8", 2, (2, 8)),
    ],
)
def test_a_level_is_the_grid_times_a_power_of_two(text, level, size):
    grid = Grid.parse(text)
    assert str(grid) == text
    assert grid.size_at(level) == size
    assert grid.level_of(*size) == level


def test_other_sizes_have_no_level():
    grid = Grid.parse("5x4")
    for size in ((1024, 1280), (15, 12), (5, 8), (0, 0), (4, 3), (10, 9)):
        assert grid.level_of(*size) is None


@pytest.mark.parametrize(
    "text", ["", "5", "5x", "0x4", "5X4", "65x4", "05x4", "5x4x3", "-5x4", "٥x٤"]
)
def test_other_texts_are_refused(text):
    with pytest.raises(ValueError, match="`grid` must be HEIGHTxWIDTH, each 1 ... 64, such as 5x4"):
        Grid.parse(text)
