"""Kills the process if a block of code exceeds a time limit."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

# This code runs in a second process. TensorFlow holds Python's lock while it waits for workers, so
# no thread could end the wait and no signal handler runs. Signals still arrive in the pipe, except
# a SIGTERM to this process alone, which TensorFlow handles itself.
_CODE = """
import os, select, signal, sys, time
parent, seconds, message = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
def stop(*_):
    time.sleep(1)  # the parent may still be able to exit in order
    if os.getppid() == parent:
        os.kill(parent, signal.SIGKILL)
    sys.exit()
stopping = (signal.SIGINT, signal.SIGTERM)
for number in stopping:  # Ctrl-C and schedulers signal the whole process group
    signal.signal(number, stop)
end = time.monotonic() + seconds
while select.select([0], [], [], max(end - time.monotonic(), 0))[0]:
    numbers = os.read(0, 1)
    if not numbers:  # the parent is gone
        sys.exit()
    if numbers[0] in stopping:
        stop()
print(f"error: {message}", file=sys.stderr, flush=True)
os.kill(parent, signal.SIGKILL)
"""


@contextlib.contextmanager
def time_limit(seconds: float, message: str) -> Iterator[None]:
    """Context manager that kills this process (SIGKILL) if its block takes longer than `seconds`.

    Prints `message` as one line on standard error first. Also kills the process, without a message,
    one second after SIGINT or SIGTERM. For the main thread only.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    command = [sys.executable, "-S", "-E", "-c", _CODE, str(os.getpid()), str(seconds), message]
    watchdog = subprocess.Popen(command, stdin=reading)
    os.close(reading)
    try:
        yield
    finally:
        watchdog.kill()
        watchdog.wait()
        signal.set_wakeup_fd(before)
        os.close(writing)
