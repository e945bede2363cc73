"""The options of create_faces."""

import pytest

from pgtf.dataset.faces import FaceOptions


@pytest.mark.parametrize(
    ("resolution", "min_face", "least"),
    [(1024, None, 128), (256, None, 32), (4, None, 1), (256, 0, 0), (256, 200, 200)],
)
def test_the_least_face_is_an_eighth_of_the_resolution_unless_given(resolution, min_face, least):
    assert FaceOptions(resolution=resolution, min_face=min_face).least_face == least
