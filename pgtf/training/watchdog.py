"""An end for what hangs."""

import contextlib
import os
import subprocess
import sys

# Runs beside this process: TensorFlow holds Python's lock, and SIGTERM, while it waits for workers,
# so that no thread and no gentler signal could end it.
_CODE = """
import os, signal, sys, time
parent, seconds, message = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
def interrupted(*_):
    time.sleep(1)  # for an end in order, where the parent can
    if os.getppid() == parent:
        os.kill(parent, signal.SIGKILL)
    sys.exit()
for number in (signal.SIGINT, signal.SIGTERM):  # Ctrl-C and schedulers signal the whole group
    signal.signal(number, interrupted)
end = time.monotonic() + seconds
while time.monotonic() < end:
    if os.getppid() != parent:
        sys.exit()
    time.sleep(0.05)
print(f"error: {message}", file=sys.stderr, flush=True)
os.kill(parent, signal.SIGKILL)
"""


@contextlib.contextmanager
def time_limit(seconds, message):
    """Ends this process with one line and SIGKILL when what is inside `with` takes longer.

    A SIGINT or SIGTERM to the process group ends it too.
    """
    command = [sys.executable, "-S", "-E", "-c", _CODE, str(os.getpid()), str(seconds), message]
    watchdog = subprocess.Popen(command)
    try:
        yield
    finally:
        watchdog.kill()
        watchdog.wait()
