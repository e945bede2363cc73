"""Tiny model servers for tests: the PredictionService of the official stubs, and its REST form."""

import base64
import http.server
import json

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Answers Predict from loaded SavedModels."""

    def __init__(self, models):
        self._models = models  # {name: signatures}

    def Predict(self, request, context):
        name = request.model_spec.name
        if name not in self._models:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {name}")
        signature = request.model_spec.signature_name or "serving_default"
        inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
        try:
            answer = ask(self._models[name][signature], inputs)
        except tf.errors.InvalidArgumentError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, error.message)
        reply = predict_pb2.PredictResponse()
        for key, value in answer.items():
            reply.outputs[key].CopyFrom(tf.make_tensor_proto(value))
        return reply


def rest_handler(models):
    """Makes a handler of REST requests as the server's, in column and row format."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            name = self.path.removeprefix("/v1/models/").removesuffix(":predict")
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            signature = models[name][asked["signature_name"]]
            specs, rows = signature.structured_input_signature[1], asked.get("instances")
            columns = asked["inputs"] if rows is None else _columns(rows)
            inputs = {
                key: np.array(value, specs[key].dtype.as_numpy_dtype)
                for key, value in columns.items()
            }
            try:
                answer = {key: _json(key, v) for key, v in ask(signature, inputs).items()}
                code, reply = 200, {"outputs": answer}
                if rows is not None:
                    reply = {
                        "predictions": [
                            dict(zip(answer, row, strict=True))
                            for row in zip(*answer.values(), strict=True)
                        ]
                    }
            except tf.errors.InvalidArgumentError as error:
                code, reply = 400, {"error": error.message}
            self.send_response(code)
            self.end_headers()
            self.wfile.write(json.dumps(reply).encode())

        def log_message(self, *args):
            pass

    return Handler


def ask(signature, inputs):
    answer = signature(**{key: tf.constant(value) for key, value in inputs.items()})
    return {key: value.numpy() for key, value in answer.items()}


def _columns(rows):
    return {key: [row[key] for row in rows] for key in rows[0]}


def _json(name, value):
    if name.endswith("_bytes"):  # the rule of the REST API
        return [{"b64": base64.b64encode(item).decode()} for item in value]
    return value.tolist()
