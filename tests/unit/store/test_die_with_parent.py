"""A process whose parent dies does not outlive it, though it does not hear the signal.
https://man7.org/linux/man-pages/man2/getppid.2.html"""

from __future__ import annotations

import subprocess
import sys

import psutil

_PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
sys.stdin.read()
"""

_DEAF = """
import signal, time
from fhir_server.store.die_with_parent import die_with_this_parent, end_after_this_parent
signal.signal(signal.SIGTERM, signal.SIG_IGN)
die_with_this_parent(signal.SIGTERM)
end_after_this_parent(0.2)
print("ready", flush=True)
time.sleep(600)
"""


def test_one_that_does_not_hear_the_signal_ends_all_the_same() -> None:
    arguments = [sys.executable, "-c", _PARENT, _DEAF]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        assert child.is_running()
        parent.kill()
        psutil.wait_procs([child], timeout=20)
        assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
