"""Kill a computation at random, again and again, and see what it leaves.

`run` starts one process that imports what it needs, and forks ten children that begin the work.
Each is killed with signal 9 after a random time. Then the work is done once to its end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

_SCRIPT = """
import json, os, random, signal, sys, time
{setup}

def work():
    {work}

def parts():
    return [
        os.path.join(folder, name)
        for folder, _, names in os.walk(sys.argv[1]) for name in names if name.endswith(".part")
    ]

random.seed(0)
left = killed = 0
for _ in range(10):
    child = os.fork()
    if not child:
        try:
            work()
        finally:
            os._exit(0)
    time.sleep(random.uniform({low}, {high}))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    killed += os.WIFSIGNALED(status)
    left += bool(parts())
work()
print("\\n" + json.dumps({{"killed": killed, "left": left, "after": parts()}}))
"""


def run(folder: Path, setup: str, work: str, low: float, high: float) -> dict[str, object]:
    """How many of ten children were killed, after how many kills temporaries were there, and which
    are there in the end.
    """
    script = _SCRIPT.format(setup=setup, work=work, low=low, high=high)
    command = [sys.executable, "-c", script, str(folder)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, encoding="utf8")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
