"""Compiles HLO for an H200 on a machine without GPUs: python -m benchmarks.gpu_compiling IN.pb OUT

It needs what requirements-gpu-program.txt names, and no TensorFlow. JAX compiles ahead of time for
a described device; its function is replaced by ours, for which it has no public way.
"""

import argparse
import os
import pathlib
import re

_TYPES = {
    "bf16": "bfloat16",
    "f16": "float16",
    "f32": "float32",
    "i1": "bool",
    "i32": "int32",
    "i64": "int64",
    "ui8": "uint8",
    "ui32": "uint32",
    "ui64": "uint64",
}
TARGET = pathlib.Path(__file__).with_name("h200.textproto")


def compile_for_gpu(module):
    """Optimized HLO, as text, of a serialized module."""
    import jax
    from jax._src.interpreters import mlir
    from jax._src.lib import xla_client
    from jax.experimental import topologies
    from jaxlib.mlir import ir

    jax.config.update("jax_enable_x64", True)
    lines = TARGET.read_text().splitlines()
    target = "\n".join(line for line in lines if not line.startswith("#"))
    options = {"target_config": target, "topology": "1x1x1"}
    topology = topologies.get_topology_desc(platform="cuda", **options)
    mesh = topologies.make_mesh(topology, (1,), ("device",))
    where = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    computation = xla_client.XlaComputation(module)
    text = str(xla_client._xla.mlir.xla_computation_to_mlir_module(computation))
    with mlir.make_ir_context():
        arguments, results = _signature(ir, ir.Module.parse(text))
    specs = [jax.ShapeDtypeStruct(*argument, sharding=where) for argument in arguments]
    lowered = jax.jit(
        lambda *_: tuple(jax.numpy.zeros(*result) for result in results), keep_unused=True
    ).lower(*specs)
    own = lowered._lowering._hlo
    with own.context:
        ours = ir.Module.parse(text)
        for name in ("mhlo.num_partitions", "mhlo.num_replicas", "sym_name"):
            ours.operation.attributes[name] = own.operation.attributes[name]
    lowered._lowering._hlo = ours
    return lowered.compile().as_text()


def _signature(ir, module):
    """Shapes and dtypes of the arguments and of the results of a module's main function."""
    (main,) = (op for op in module.body.operations if str(op.attributes["sym_name"]) == '"main"')
    kind = ir.FunctionType(ir.TypeAttr(main.attributes["function_type"]).value)

    def parsed(tensor):
        *sizes, dtype = re.fullmatch("tensor<(.*)>", str(tensor))[1].split("x")
        return tuple(map(int, sizes)), _TYPES[dtype]

    return [*map(parsed, kind.inputs)], [*map(parsed, kind.results)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("source", type=pathlib.Path, help="serialized HLO module to read")
    parser.add_argument("target", type=pathlib.Path, help="text file to write")
    args = parser.parse_args()
    try:
        module = args.source.read_bytes()
    except OSError as error:
        parser.error(str(error))
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["JAX_SKIP_CUDA_CONSTRAINTS_CHECK"] = "1"
    os.environ["XLA_FLAGS"] = "--xla_gpu_autotune_level=0"  # nothing can be timed
    args.target.write_text(compile_for_gpu(module))
