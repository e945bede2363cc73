"""SIGINT and SIGTERM: the first during training is noted, all others end the process."""

import signal

import pytest
import tensorflow as tf

from pgtf.distribution.interrupt import Interrupt
from pgtf.distribution.signals import SIGNALS, Stopped, stopped_by_signals
from pgtf.distribution.workers import Workers


@pytest.fixture
def interrupt():
    return Interrupt(Workers(tf.distribute.get_strategy()))


@pytest.mark.parametrize("signum", SIGNALS)
def test_before_training_a_signal_ends_everything_at_once(signum):
    before = signal.getsignal(signum)
    with pytest.raises(Stopped) as stop, stopped_by_signals():
        signal.raise_signal(signum)
    assert stop.value.signum == signum
    assert signal.getsignal(signum) is before


@pytest.mark.parametrize("signum", SIGNALS)
def test_the_first_signal_while_training_is_noted_and_the_second_ends_at_once(interrupt, signum):
    with stopped_by_signals(), interrupt:
        interrupt.agree()
        assert interrupt.signum is None
        signal.raise_signal(signum)
        interrupt.agree()
        assert interrupt.signum == signum
        with pytest.raises(Stopped) as stop:
            signal.raise_signal(signal.SIGTERM)
    assert stop.value.signum == signal.SIGTERM


def test_a_stop_is_no_exception_that_training_might_catch():
    assert not issubclass(Stopped, Exception)
