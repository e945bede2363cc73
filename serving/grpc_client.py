"""Asks a model server for images over gRPC: python serving/grpc_client.py demo 0 1 2

Needs tensorflow-serving-api, pillow and numpy. Writes seed0000.png and so on.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:  # Importing packages takes seconds: arguments are read before.
    import numpy as np

PACKAGES = ("grpc", "numpy", "PIL", "tensorflow", "tensorflow_serving")
# The client's own limit is 4 MiB, less than two images of 1024x1024; the server's is 2 GiB.
MAX_MESSAGE_BYTES = 2**31 - 1


class Client:
    """A connection to the model server."""

    def __init__(self, target: str) -> None:
        import grpc
        from tensorflow_serving.apis import prediction_service_pb2_grpc

        options = [("grpc.max_receive_message_length", MAX_MESSAGE_BYTES)]
        self._channel = grpc.insecure_channel(target, options)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def predict(
        self, model: str, signature: str, timeout_sec: float = 60, **inputs: Any
    ) -> dict[str, np.ndarray]:
        """Asks one signature. Takes and returns arrays by name.

        Raises:
            grpc.RpcError: if the server refuses the request or cannot be reached.
        """
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2

        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = model, signature
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        reply = self._stub.Predict(request, timeout_sec)
        return {name: tf.make_ndarray(value) for name, value in reply.outputs.items()}

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()


def fetch(
    client: Client, model: str, seeds: Sequence[int], class_id: int | None = None
) -> np.ndarray:
    """Fetches the images of seeds, of a class for a model with labels: uint8 [N, R, R, C].

    Raises:
        ValueError: if the server says that a row is bad.
    """
    import numpy as np

    inputs = {"seed": np.array(seeds, np.int64)}
    if class_id is not None:
        inputs["class_id"] = np.full(len(seeds), class_id, np.int64)
    answer = client.predict(model, "seeds", **inputs)
    for seed, status in zip(seeds, answer["status"], strict=True):
        if status:
            raise ValueError(f"the row of seed {seed} has status {status}, see docs/serving.md.")
    return answer["images"]


class _Parser(argparse.ArgumentParser):
    """A mistake is one line."""

    def error(self, message: str) -> NoReturn:
        """Exits with code 2."""
        print(f"error: {message} ({self.prog} --help lists the flags)", file=sys.stderr)
        sys.exit(2)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line. Returns the exit code."""
    parser = _Parser(description=(__doc__ or "").split("\n")[0], allow_abbrev=False)
    parser.add_argument("model", help="name of the model")
    parser.add_argument("seeds", type=int, nargs="+", help="seeds, one image each")
    parser.add_argument(
        "--class_id", type=int, help="number of the class, for a model with labels (default: none)"
    )
    parser.add_argument("--target", default="localhost:8500", help="address (default: %(default)s)")
    parser.add_argument("--out", default=".", help="folder for the images (default: %(default)s)")
    args = parser.parse_args(argv)
    if not Path(args.out).is_dir():
        print(f"error: {args.out}: no such folder.", file=sys.stderr)
        return 2
    if missing := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
        remedy = "Install what is needed: python -m pip install tensorflow-serving-api pillow numpy"
        print(f"error: missing Python packages: {', '.join(missing)}. {remedy}", file=sys.stderr)
        return 2
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported
    return _fetch_and_save(args)


def _fetch_and_save(args: argparse.Namespace) -> int:
    """Does what the arguments say. Returns the exit code."""
    import grpc
    import PIL.Image

    client = Client(args.target)
    try:
        images = fetch(client, args.model, args.seeds, args.class_id)
        for seed, image in zip(args.seeds, images, strict=True):
            path = Path(args.out) / f"seed{seed:04d}.png"
            PIL.Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(path)
            print(path)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except grpc.RpcError as error:
        print(f"error: {error.code().name}: {error.details()}", file=sys.stderr)
        return 2
    finally:
        client.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
