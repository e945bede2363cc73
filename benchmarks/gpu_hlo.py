"""Reads the kernels of a program from XLA's optimized HLO."""

import dataclasses
import math
import re

_BYTES = {"f64": 8, "s64": 8, "u64": 8, "f32": 4, "s32": 4, "u32": 4, "bf16": 2, "f16": 2}
_BYTES |= {"s16": 2, "u16": 2, "pred": 1, "s8": 1, "u8": 1}
# Instructions that are no work on the device.
_FREE = {
    "parameter",
    "constant",
    "tuple",
    "get-tuple-element",
    "bitcast",
    "after-all",
    "partition-id",
    "replica-id",
}
_INSTRUCTION = re.compile(r"(?:ROOT )?%?([\w.\-]+) = (\(.*?\)|\S+) ([\w\-]+)\((.*)$")
_COMPUTATION = re.compile(r"(ENTRY )?%?([\w.\-]+) \(.*\) -> .* \{$")
_CALLED = re.compile(r"(?:body|to_apply|true_computation|false_computation)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
_SHAPE = re.compile(r"\b(\w+)\[([\d,]*)\]")


@dataclasses.dataclass(frozen=True)
class Kernel:
    """One instruction that the device runs.

    Attributes:
        kind: of the instruction: fusion, copy, custom-call, ...
        convolution: cuDNN's name for the direction of a convolution and its dtype, or "".
        largest: elements of the largest result.
        groups: of a convolution.
    """

    kind: str
    num_bytes: int  # of arguments and results
    flops: float
    convolution: str = ""
    largest: int = 0
    groups: int = 1

    @property
    def is_convolution(self):
        return bool(self.convolution)


def kernels_of(text):
    """Kernels of a module in optimized HLO, those of loops and conditions once: -> [Kernel]."""
    computations, entry = _parsed(text)
    found = []

    def walk(name):
        types = {}
        for line in computations[name]:
            match = _INSTRUCTION.match(line)
            if not match:
                raise ValueError(f"not an instruction of HLO: {line[:120]}")
            result, kind, opcode, rest = match.groups()
            types[result] = kind
            if opcode in ("while", "conditional", "call"):
                branches = ",".join(_BRANCHES.findall(rest)).replace("%", "").split(",")
                for called in (*_CALLED.findall(rest), *(b.strip() for b in branches if b.strip())):
                    walk(called)
            elif opcode not in _FREE:
                found.append(_kernel(kind, opcode, rest, types))

    walk(entry)
    return found


def _parsed(text):
    """Lines of each computation by its name, and the name of the first to run."""
    computations, current, entry = {}, None, None
    for line in text.splitlines():
        if match := _COMPUTATION.match(line):
            current = computations.setdefault(match[2], [])
            entry = match[2] if match[1] else entry
        elif line.startswith("}"):
            current = None
        elif current is not None and " = " in line:
            current.append(line.strip())
    return computations, entry


def _kernel(kind, opcode, rest, types):
    arguments = [types[name] for name in _names(rest) if name in types]
    num_bytes = sum(map(_num_bytes, (kind, *arguments)))
    largest = max((math.prod(shape) for _, shape in _shapes(kind)), default=0)
    target = re.search(r'custom_call_target="([^"]*)"', rest)
    if target and "conv" in target[1].lower():
        groups = re.search(r"feature_group_count=(\d+)", rest)
        groups = int(groups[1]) if groups else 1
        dtype = _shapes(kind)[0][0]
        name = f"{target[1].replace('__cudnn$', '')} {dtype}"
        flops = _convolution_flops(target[1], kind, arguments, rest) / groups
        return Kernel(opcode, num_bytes, flops, name, largest, groups)
    if target and ("gemm" in target[1] or "cublas" in target[1]):
        sizes = [math.prod(_shapes(x)[0][1]) for x in (kind, *arguments[:2])]
        return Kernel(opcode, num_bytes, 2 * math.prod(sizes) ** 0.5, largest=largest)
    return Kernel(opcode, num_bytes, 0.0, largest=largest)


def _names(rest):
    """Names of the arguments, up to the bracket that closes them."""
    depth = 1
    for end, character in enumerate(rest):
        depth += (character == "(") - (character == ")")
        if not depth:
            return re.findall(r"%([\w.\-]+)", rest[:end])
    return []


def _convolution_flops(target, kind, arguments, rest):
    """FLOPs of a convolution in any direction: 2 * output pixels * weights per pixel."""
    feature = re.search(r"dim_labels=\w+->(\w+)", rest)[1].index("f")  # of what it computes
    left, right = (_shapes(argument)[0][1] for argument in arguments[:2])
    result = _shapes(kind)[0][1]
    if "BackwardFilter" in target:  # images, gradients of outputs -> weights
        outputs, weights = right, result
    elif "BackwardInput" in target:  # gradients of outputs, weights -> images
        outputs, weights = left, right
    else:
        outputs, weights = result, right
    return 2 * math.prod(outputs) / outputs[feature] * math.prod(weights)


def _shapes(kind):
    """[(dtype, sizes)] of a type, which may be a tuple."""
    return [
        (dtype, [int(size) for size in sizes.split(",") if size])
        for dtype, sizes in _SHAPE.findall(kind)
        if dtype in _BYTES
    ]


def _num_bytes(kind):
    return sum(_BYTES[dtype] * math.prod(sizes) for dtype, sizes in _shapes(kind))
