"""Which way of computing gradients --jit=auto takes."""

import time

import tensorflow as tf

from pgtf.training import compilation


def trial_taking(seconds):
    calls = []

    def trial(jit):
        calls.append(jit)
        time.sleep(seconds[jit])

    return trial, calls


def test_on_and_off_measure_nothing():
    trial, calls = trial_taking({})
    assert compilation.is_used("on", trial)
    assert not compilation.is_used("off", trial)
    assert calls == []


def test_auto_is_off_on_a_cpu_and_measured_on_a_gpu(monkeypatch):
    fast, calls = trial_taking({False: 0.02, True: 0.001})
    assert not compilation.is_used("auto", fast)
    assert calls == []
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: ["GPU:0"])
    assert compilation.is_used("auto", fast)
    slow, _ = trial_taking({False: 0.001, True: 0.02})
    assert not compilation.is_used("auto", slow)


def test_the_first_call_is_not_timed_because_it_compiles():
    calls = []

    def trial(jit):
        time.sleep(0.1 if jit and jit not in calls else 0.001 if jit else 0.01)
        calls.append(jit)

    assert compilation.is_faster_compiled(trial)
