"""Evolution in a space of 10**20 cells, killed three times: the same rows as if it had not been.

`python search_huge_space.py 10000` prints seconds and peak memory.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from graf_utils.search import Candidates, search
from graf_utils.spaces import CellSpace

EVALUATIONS = int(sys.argv[1]) if len(sys.argv) > 1 else 200
EDGES = [(i, j) for j in range(1, 7) for i in range(j) if (i, j) != (0, 6)]  # 20 of them
SPACE = CellSpace(["none", "skip_connect", *"abcdefgh"], EDGES, name="huge")
WORTH = np.random.default_rng(0).normal(size=(20, 10))


def train(cells):
    """Stands for a training: a number per cell, and some that diverge."""
    if cells[0][3] == 5:
        raise FloatingPointError("the loss diverged")
    return WORTH[range(20), cells[0]].sum()


def run(checkpoint=None):
    cells = Candidates.of(SPACE, None)  # evolution reads no features
    return search(cells, train, "evolution", EVALUATIONS, checkpoint=checkpoint, random_state=0)


if __name__ == "__main__" and len(sys.argv) > 2:
    run(sys.argv[2])
elif __name__ == "__main__":
    expected = run()
    seconds, usage = time.process_time(), resource.getrusage(resource.RUSAGE_SELF)
    file = Path(tempfile.mkdtemp()) / "search.jsonl"
    for share in (0.2, 0.5, 0.8):
        process = subprocess.Popen([sys.executable, __file__, str(EVALUATIONS), str(file)])
        while not file.exists() or file.read_bytes().count(b"\n") < share * EVALUATIONS:
            time.sleep(0.01)
        process.kill()  # signal 9
        print("killed:", process.wait() == -9)
    resumed = run(file)
    print("same rows:", resumed.equals(expected))
    print(f"{resumed['architecture'].nunique()} cells, {(resumed['error'] != '').sum()} failed")
    print(f"{seconds:.1f} s of one core, at most {usage.ru_maxrss / 1024:.0f} MB, with the imports")
