"""The reader of optimized HLO, and the model of the schedule."""

import subprocess
import sys

import pytest

from benchmarks import gpu_program
from benchmarks.gpu_hlo import kernels_of

HLO = """HloModule program, is_scheduled=true

%fused (p.0: f32[8,4]) -> bf16[8,4] {
  %p.0 = f32[8,4]{1,0} parameter(0)
  ROOT %convert = bf16[8,4]{1,0} convert(%p.0)
}

ENTRY %main (x: bf16[2,4,4,8], w: bf16[3,3,8,16], y: f32[8,4]) -> (bf16[2,4,4,16], bf16[8,4]) {
  %x = bf16[2,4,4,8]{3,2,1,0} parameter(0)
  %w = bf16[3,3,8,16]{3,2,1,0} parameter(1)
  %y = f32[8,4]{1,0} parameter(2)
  %copy.1 = bf16[3,3,8,16]{3,2,1,0} copy(%w)
  %conv = (bf16[2,4,4,16]{3,2,1,0}, u8[64]{0}) custom-call(%x, %copy.1), window={size=3x3 \
pad=1_1x1_1}, dim_labels=b01f_01io->b01f, custom_call_target="__cudnn$convForward"
  %gte = bf16[2,4,4,16]{3,2,1,0} get-tuple-element(%conv), index=0
  %fusion = bf16[8,4]{1,0} fusion(%y), kind=kLoop, calls=%fused
  ROOT %tuple = (bf16[2,4,4,16]{3,2,1,0}, bf16[8,4]{1,0}) tuple(%gte, %fusion)
}
"""


def test_kernels_are_counted_with_their_bytes_and_operations():
    copy, convolution, fusion = kernels_of(HLO)
    assert (copy.kind, copy.num_bytes) == ("copy", 2 * 2 * 9 * 8 * 16)
    assert (fusion.kind, fusion.num_bytes, fusion.flops) == ("fusion", 8 * 4 * 6, 0)
    assert convolution.convolution == "convForward bf16"
    assert convolution.flops == 2 * 9 * 8 * 16 * 2 * 4 * 4
    assert convolution.num_bytes == 2 * (256 + 9 * 8 * 16 + 512) + 64
    assert (convolution.groups, convolution.largest) == (1, 512)
    summary = gpu_program.summary([copy, convolution, fusion])
    assert (summary["kernels"], summary["copies"]) == (3, 1)
    assert summary["model_ms"] == pytest.approx(3 * 1e3 * gpu_program.LAUNCH_SEC)
    assert dict(summary["convolutions"]) == {"convForward bf16": 1}


@pytest.mark.parametrize(
    ("direction", "shapes"),
    [
        ("convBackwardInput", ("2,4,4,16", "16,3,3,8", "2,4,4,8")),
        ("convBackwardFilter", ("2,4,4,8", "2,4,4,16", "16,3,3,8")),
    ],
)
def test_all_directions_of_a_convolution_have_the_same_work(direction, shapes):
    types = [f"bf16[{shape}]{{0}}" for shape in shapes]
    call = "custom-call(%x, %w), dim_labels=b01f_o01i->b01f, "
    call += f'custom_call_target="__cudnn${direction}"'
    text = f"""ENTRY %main (x: bf16[1]) -> bf16[1] {{
  %x = {types[0]} parameter(0)
  %w = {types[1]} parameter(1)
  ROOT %y = {types[2]} {call}
}}"""
    (kernel,) = kernels_of(text)
    assert kernel.flops == 2 * 9 * 8 * 16 * 2 * 4 * 4


def test_grouped_convolutions_are_seen():
    text = HLO.replace("->b01f,", "->b01f, feature_group_count=8,")
    assert [kernel.groups for kernel in kernels_of(text)] == [1, 8, 1]


def test_the_models_hours_are_those_of_the_schedule():
    stages = {int(r): int(m) for r, m in (s.split(":") for s in gpu_program.STAGES.split(","))}
    rows = {resolution: (minibatch, 36.0) for resolution, minibatch in stages.items()}
    iterations = sum(gpu_program.KIMG.get(r, 1200) * 1000 / m for r, m in stages.items())
    assert gpu_program.hours(rows) == pytest.approx(iterations * 0.036 / 3600)
    kimg = sum(gpu_program.KIMG.get(r, 1200) for r in stages)
    assert kimg == 12000


@pytest.mark.slow
def test_an_iteration_is_lowered_without_a_gpu(tmp_path):
    """Both updates are called by their private names."""
    command = [sys.executable, "-m", "benchmarks.gpu_lowering", "4", "4", "fp32", "iteration"]
    subprocess.run([*command, str(tmp_path / "x.pb")], check=True, capture_output=True)
    assert (tmp_path / "x.pb").stat().st_size > 100_000
