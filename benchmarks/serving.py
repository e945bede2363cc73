"""Overhead of serving over the network itself: python -m benchmarks.serving

For full-size networks of each resolution and each batch size, the median time of a warm request:
the live model under tf.function, the signature `serving_default` of its SavedModel, and the same
over gRPC from a client in another thread of this machine. The three take turns, so that a change in
the machine's speed meets all of them; processor time, of all threads, hardly feels other programs.
One JSON line a case. Needs tensorflow-serving-api for gRPC.
"""

import concurrent.futures
import json
import os
import tempfile
import time

import numpy as np

from pgtf.commands.parsers import Parser

MIN_REPEATS = 3
CLOCKS = {"": time.perf_counter, "cpu_": time.process_time}


def main(argv=None):
    parser = Parser(description=__doc__.split("\n")[0])
    parser.add_argument("--resolutions", type=int, nargs="+", default=[64, 256, 1024])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--seconds", type=float, default=20, help="of a case (default: 20)")
    args = parser.parse_args(argv)
    for resolution in args.resolutions:
        with tempfile.TemporaryDirectory() as folder:
            for line in measure(resolution, args.batches, args.seconds, folder):
                print(json.dumps(line), flush=True)


def measure(resolution, batches, seconds, folder):
    """Yields a dict of median milliseconds for every batch size."""
    import tensorflow as tf

    from pgtf.export import Facts
    from pgtf.export.signatures import make_module
    from pgtf.networks import Generator

    Gs = Generator(resolution=resolution, num_channels=3, seed=1)
    module, signatures = make_module(Gs, Facts(name="benchmark"))
    tf.saved_model.save(module, folder, signatures)
    signature = tf.saved_model.load(folder).signatures["serving_default"]
    model, alpha = Gs.model_at(0.0)
    model = tf.function(model)
    client, stop = _connect(signature)
    for batch in batches:
        latents = np.random.RandomState(0).randn(batch, Gs.latent_size).astype(np.float32)
        rows = tf.constant(latents)
        ways = {
            "live": lambda rows=rows: model([rows, alpha]).numpy(),
            "signature": lambda rows=rows: signature(latents=rows)["images"].numpy(),
            "grpc": lambda latents=latents: client.predict("benchmark", "", latents=latents),
        }
        times = _medians(ways, seconds)
        yield {
            "resolution": resolution,
            "batch": batch,
            **{f"{name}_ms": round(1000 * value, 1) for name, value in times.items()},
            **{f"{clock}signature_over_live": _overhead(times, clock) for clock in CLOCKS},
            "cores": os.cpu_count(),
            "tensorflow": tf.__version__,
        }
    stop()


def _medians(ways, seconds):
    """Median seconds of each way and clock, called in turn after a call that warms it up."""
    times: dict[str, list[float]] = {clock + name: [] for clock in CLOCKS for name in ways}
    for call in ways.values():
        call()
    begin = time.perf_counter()
    while len(times["live"]) < MIN_REPEATS or time.perf_counter() - begin < seconds:
        for name, call in ways.items():
            started = {clock: read() for clock, read in CLOCKS.items()}
            call()
            for clock, read in CLOCKS.items():
                times[clock + name].append(read() - started[clock])
    return {name: float(np.median(values)) for name, values in times.items()}


def _overhead(times, clock):
    """Extra time of the signature as a share of the live model's."""
    return round(times[f"{clock}signature"] / times[f"{clock}live"] - 1, 3)


def _connect(signature):
    """A client of a server in this process that knows one signature: -> client, stop."""
    import grpc
    from tensorflow_serving.apis import prediction_service_pb2_grpc

    from serving.grpc_client import MAX_MESSAGE_BYTES, Client
    from tests.serving.servers import PredictionService

    options = [("grpc.max_receive_message_length", MAX_MESSAGE_BYTES)]
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(1), options=options)
    service = PredictionService({"benchmark": {"serving_default": signature}})
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    client = Client(f"127.0.0.1:{port}")

    def stop():
        client.close()
        server.stop(None).wait()

    return client, stop


if __name__ == "__main__":
    main()
