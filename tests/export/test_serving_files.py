"""The server's files beside the SavedModel, read by the official protocol buffers."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from pgtf.export.serving_files import batch_sizes
from tests.serving import server_protos


@pytest.mark.parametrize(
    ("resolution", "sizes"),
    [(4, [1, 2, 4, 8, 16, 32]), (512, [1, 2, 4, 8, 16, 32]), (1024, [1, 2, 4, 8]), (8192, [1])],
)
def test_batches_are_powers_of_two_that_fit(resolution, sizes):
    assert batch_sizes(resolution, resolution) == sizes


@pytest.mark.parametrize("name", ["plain", "labelled"])
def test_every_signature_is_warmed_up_at_every_batch_size(name, request):
    model = request.getfixturevalue(name)
    path = model.folder / "assets.extra" / "tf_serving_warmup_requests"
    seen = []
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record)
        asked = log.predict_log.request
        assert asked.model_spec.name == {"plain": "faces", "labelled": "digits"}[name]
        signature = asked.model_spec.signature_name
        inputs = {key: tf.constant(tf.make_ndarray(value)) for key, value in asked.inputs.items()}
        answer = model.signatures[signature](**inputs)  # refuses wrong names, shapes and dtypes
        if "status" in answer:
            assert not np.any(answer["status"])
        seen.append((signature, len(next(iter(inputs.values())))))
    assert sorted(seen) == sorted((s, n) for s in model.signatures for n in (1, 2, 4, 8, 16, 32))


def test_batching_parameters_are_those_that_the_server_takes(plain):
    text = (plain.folder / "batching_params.pbtxt").read_text()
    parameters = server_protos.parse("BatchingParameters", text)
    assert list(parameters.allowed_batch_sizes) == [1, 2, 4, 8, 16, 32]
    assert parameters.max_batch_size.value == 32  # the server wants the last one to be it
    assert parameters.max_enqueued_batches.value > 0
