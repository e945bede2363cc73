import pytest

from pgtf.dataset.celebahq import maker
from pgtf.dataset.celebahq.align import align


@pytest.fixture(scope="package", autouse=True)
def aligned_once():
    """Makes this process align each photograph once for all tests, because it takes seconds."""
    done = {}

    def aligned(photograph, landmarks):
        key = photograph.shape, photograph.tobytes(), landmarks.tobytes()
        if key not in done:
            done[key] = align(photograph, landmarks)
        return done[key].copy()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maker, "align", aligned)
        yield
