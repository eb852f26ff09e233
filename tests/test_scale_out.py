"""A Dask cluster of two worker processes, one of them killed half-way: the frames are the same."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from types import SimpleNamespace

import joblib
import numpy as np
import pandas as pd
import pytest
from distributed import Client, LocalCluster
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge

import graf_utils
from graf_utils import NB201, Table, evaluate
from graf_utils._parallel import _watch, unordered

ROOT = Path(graf_utils.__file__).resolve().parents[1]
LIMIT = 120  # seconds
CELLS = NB201().sample(150, random_state=1)


class Slow(Ridge):
    def fit(self, X, y):
        time.sleep(0.1)
        return super().fit(X, y)


class Nothing(Ridge):
    def predict(self, X):
        return np.full(len(X), np.nan)


def long_nap(number):
    time.sleep(0.05)
    return number


def nap(run):
    time.sleep(0.1)
    return 1


@pytest.fixture(autouse=True)
def limit():
    """A cluster that waits for ever fails its test."""

    def stop(number, frame):
        raise TimeoutError(f"no end after {LIMIT} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LIMIT)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    ) as started:
        yield started


@pytest.fixture
def client(cluster):
    """Two workers are up, and joblib's backend is theirs.

    A cluster forgets a worker that a test before has killed and that was not back after 15 s
    (``distributed.deploy.lost-worker-timeout``), so it is asked for again.
    """
    with Client(cluster) as connected:
        cluster.scale(2)
        connected.wait_for_workers(2, timeout=60)
        with joblib.parallel_config("dask"):
            yield connected


def run(predictors, seeds=range(10), cache=None):
    y = np.isin(CELLS, [2, 3]).sum(axis=1) + np.random.default_rng(1).normal(size=len(CELLS))
    table = Table("small", "test", NB201(), CELLS, {"y": y})
    return evaluate(
        table, "y", ["op-count", "graf"], predictors, 20, seeds, cache=cache, progress=False
    )


def alone(function, *arguments, **options):
    with joblib.parallel_config("sequential"):
        return function(*arguments, **options)


def assert_identical(found, expected):
    assert len(found) == len(expected)
    times = [name for name in expected if "seconds" in name]
    pd.testing.assert_frame_equal(
        found.drop(columns=times), expected.drop(columns=times), check_exact=True
    )


def unfinished(dask_scheduler):
    """Calls of ours that have no result yet, and how many each worker process is at."""
    names = [key for key, task in dask_scheduler.tasks.items() if task.state != "memory"]
    return names, {w.name: len(w.processing) for w in dask_scheduler.workers.values()}


class Killer(threading.Thread):
    """Kills the busiest worker process with -9 once `ended()` has reached `after`."""

    def __init__(self, cluster, client, ended, after):
        super().__init__(daemon=True)
        self.cluster, self.client, self.ended, self.after = cluster, client, ended, after
        self.pid = None
        self.start()

    def run(self):
        deadline = time.monotonic() + 60
        while self.ended() < self.after and time.monotonic() < deadline:
            time.sleep(0.01)
        self.pending, self.busy = self.client.run_on_scheduler(unfinished)
        self.victim = max(self.busy, key=self.busy.get)
        self.pid = self.cluster.workers[self.victim].pid
        os.kill(self.pid, signal.SIGKILL)
        self.at = self.ended()

    def check(self, total):
        """The kill came in mid-run, hit a worker that had work, and its process is no more.

        Whether another is started in its place is for the cluster: after 15 s it gives a worker up.
        """
        self.join()
        assert self.pid is not None
        print(f"killed one: {len(self.pending)} unfinished, {self.at} of {total} done")
        assert self.after <= self.at < total
        assert self.busy[self.victim] > 0, self.busy
        assert len(self.pending) >= 5
        nanny = self.cluster.workers.get(self.victim)
        assert nanny is None or nanny.pid != self.pid


def test_evaluate_with_a_worker_killed(cluster, client, tmp_path):
    predictors = {"forest": RandomForestRegressor(5, random_state=0), "slow": Slow()}
    expected = alone(run, predictors)
    killer = Killer(cluster, client, lambda: len(list(tmp_path.rglob("*.json"))), 6)
    found = run(predictors, cache=tmp_path)
    killer.check(len(expected))
    assert_identical(found, expected)
    assert {name.rsplit("-", 6)[0] for name in killer.pending} <= {"_run", "asarray"}, (
        "what a predictor does in parallel by itself must not become tasks"
    )
    assert len(list(tmp_path.rglob("*.json"))) == len(expected)
    assert_identical(alone(run, predictors, cache=tmp_path), expected)


def test_score_with_a_worker_killed(cluster, client, tmp_path):
    from graf_utils import scoring
    from graf_utils.proxies import BUILT_IN

    images = np.random.default_rng(0).normal(size=(6, 3, 8, 8)).astype(np.float32)
    file = tmp_path / "scores.jsonl"

    def score(checkpoint=None):
        return scoring.score(
            CELLS[:24],
            [*BUILT_IN, nap],
            (images, np.arange(6) % 3),
            checkpoint=checkpoint,
            width=4,
            cells=1,
            classes=3,
            progress=False,
        )

    expected = alone(score)
    assert expected["nap"].eq(1).all()
    killer = Killer(
        cluster, client, lambda: file.exists() and file.read_bytes().count(b"\n") - 1, 6
    )
    found = score(file)
    killer.check(len(set(expected["architecture"])))
    assert_identical(found, expected)
    assert_identical(alone(score, file), expected)


@pytest.mark.slow
def test_a_worker_that_is_taken_away_is_not_needed(tmp_path):
    """Half-way the cluster is made smaller; the other worker ends the calls."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
        joblib.parallel_config("dask"),
    ):
        client.wait_for_workers(2, timeout=60)
        results = {}
        for number, value in unordered(long_nap, [(i,) for i in range(60)]):
            results[number] = value
            if len(results) == 6:
                cluster.scale(1)
        assert len(cluster.worker_spec) == 1
    assert results == {i: i for i in range(60)}


class FewWorkers:
    """A client of a cluster that lacks one of three workers for some looks; then it is over."""

    scheduler = SimpleNamespace(address="tcp://127.0.0.1:8786")

    def __init__(self, present, looks):
        self.present, self.left, self.asked = present, looks, []
        self.cluster = SimpleNamespace(
            worker_spec=dict.fromkeys("abc"), workers=dict.fromkeys("ab"), scale=self.asked.append
        )

    def scheduler_info(self):
        return {"workers": self.present}

    def wait(self, seconds):
        self.left -= 1
        return self.left < 0


def test_workers_that_a_cluster_gave_up_are_asked_for_again():
    client = FewWorkers({"a": {}}, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _watch(client, client)
        assert client.asked == [3, 3]
        client.left, client.cluster = 100, None  # of a scheduler elsewhere, nothing is asked
        _watch(client, client)


def test_a_cluster_without_workers_is_no_silent_wait():
    client = FewWorkers({}, 200)
    with pytest.warns(UserWarning, match="no worker for 60 s") as said:
        _watch(client, client)
    assert len(said) == 1
    assert "dask worker tcp://127.0.0.1:8786" in str(said[0].message)


def test_importances_on_a_cluster(client):
    from graf_utils.explain import importances

    y = np.isin(CELLS, [2, 3]).sum(axis=1) + np.random.default_rng(1).normal(size=len(CELLS))
    table = Table("small", "test", NB201(), CELLS, {"y": y})
    forest = RandomForestRegressor(5, random_state=0)
    arguments = (table, "y", "op-count", forest)
    options = {"methods": "impurity", "train_size": 60, "data_seeds": range(6)}
    assert_identical(importances(*arguments, **options), alone(importances, *arguments, **options))


def hide():
    from graf_utils._store import Store

    def write(self, key, scores):
        raise PermissionError(13, "no such folder here")

    Store.shown, Store.write = Store.write, write


def show():
    from graf_utils._store import Store

    Store.write = Store.shown


def test_workers_that_do_not_see_the_cache(client, tmp_path):
    predictors = {"ridge": Ridge()}
    client.run(hide)
    try:
        found = run(predictors, cache=tmp_path)
    finally:
        client.run(show)
    expected = alone(run, predictors)
    assert_identical(found, expected)
    assert len(list(tmp_path.rglob("*.json"))) == len(expected)
    pd.testing.assert_frame_equal(run(predictors, cache=tmp_path), found)


def test_an_error_ends_the_run(client):
    with pytest.raises(ValueError, match=r"Nothing\(\).*NaN.*20 training networks"):
        run({"nothing": Nothing()})


def test_the_code_of_the_page_runs(client, tmp_path, monkeypatch, capsys):
    text = (ROOT / "book" / "scale_out.md").read_text(encoding="utf8")
    script, scores = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    Path("run.py").write_text(script, encoding="utf8")
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "run.py"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        encoding="utf8",
    )
    assert done.returncode == 0, done.stderr
    assert "op-count" in done.stdout
    assert len(list(Path("fits").rglob("*.json"))) == 10
    exec(scores, {"joblib": joblib})
    assert "synflow" in capsys.readouterr().out
    assert Path("scores.jsonl").read_text(encoding="utf8").count("\n") == 9
