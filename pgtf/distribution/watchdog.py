"""An end for what hangs."""

import contextlib
import os
import signal
import subprocess
import sys

# Runs beside this process: TensorFlow holds Python's lock while it waits for workers, so that no
# thread could end it and no handler of a signal runs. That a signal came still shows in the pipe,
# but for a SIGTERM to this process alone, which TensorFlow takes.
_CODE = """
import os, select, signal, sys, time
parent, seconds, message = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
def stop(*_):
    time.sleep(1)  # for an end in order, if the parent can
    if os.getppid() == parent:
        os.kill(parent, signal.SIGKILL)
    sys.exit()
stopping = (signal.SIGINT, signal.SIGTERM)
for number in stopping:  # of Ctrl-C and of schedulers, for the whole group
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
def time_limit(seconds, message):
    """Ends this process with one line and SIGKILL when what is inside `with` takes longer.

    It ends it too, silently, a second after SIGINT or SIGTERM. In the main thread only.
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
