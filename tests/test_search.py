"""Search: candidates, covering sets, Pareto fronts, each method's rule, guidance, results."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from bad_input import must_name
from hypothesis import given, settings
from hypothesis import strategies as st

from graf_utils.datasets import load_table
from graf_utils.encodings import encode
from graf_utils.registry import data_path
from graf_utils.search import METHODS, Candidates, hypervolume, k_centre, pareto_front, search
from graf_utils.spaces import DARTS, NB201, CellSpace

SPACE = NB201()
CHAIN = CellSpace(["a", "b", "c"], edges=[(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)])  # 243 cells
VARIANTS = [
    ("random", {}),
    ("random", {"restrict": True}),
    ("evolution", {}),
    ("evolution", {"guided": True}),
    ("evolution", {"restrict": True}),
    ("local", {}),
    ("local", {"guided": True}),
    ("predictor", {}),
    ("predictor", {"restrict": True}),
    ("predictor", {"start": "k-centre"}),
]
NAMES = ["-".join([method, *options]) for method, options in VARIANTS]


@pytest.fixture(scope="module")
def chain():
    """All 243 cells of a chain, with how often each operation occurs, and a target in the codes."""
    cells = CHAIN.enumerate()
    counts = pd.DataFrame({f"n_{i}": (cells == i).sum(axis=1) for i in range(3)})
    weights = np.array([5.0, 4, 3, 2, 1])
    return Candidates(CHAIN, cells, counts.assign(first=cells[:, 0])), cells @ weights


@pytest.fixture(scope="module")
def table():
    return load_table("nb201-cifar10", source="embedded")


@pytest.fixture(scope="module")
def pool(table):
    return Candidates.of(table, "op-count")


# --- candidates -----------------------------------------------------------------------------------


def test_neighbours_are_the_single_changes(pool):
    row = {cell: i for i, cell in enumerate(pool.architectures)}
    for index in np.random.default_rng(0).integers(len(pool), size=20):
        changed = SPACE.from_codes(SPACE.neighbours(pool.architectures[index]))
        assert sorted(pool.neighbours(index)) == sorted(row[cell] for cell in changed)


def test_in_a_sample_neighbours_are_the_nearest():
    space = DARTS()
    cells = space.sample(60, random_state=0)
    sample = Candidates(space, cells, np.arange(60)[:, None])
    for index in range(0, 60, 7):
        distance = [np.sum(sample.codes[index] != code) for code in sample.codes]
        distance[index] = 10**6
        assert list(sample.neighbours(index)) == list(np.flatnonzero(distance == min(distance)))
    run = search(sample, np.arange(60.0), "evolution", 40, random_state=0)
    assert run["candidate"].is_unique


# --- covering sets, fronts, areas -----------------------------------------------------------------


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(4, 9), st.integers(1, 4))
def test_k_centre_covers_within_twice_the_best_choice(seed, n, k):
    x = np.random.default_rng(seed).integers(0, 5, size=(n, 2)).astype(float)
    scaled = (x - x.mean(0)) / np.where(x.std(0) > 0, x.std(0), 1)
    distance = np.linalg.norm(scaled[:, None] - scaled, axis=2)
    chosen = k_centre(x, k, random_state=seed)
    assert len(set(chosen.tolist())) == k
    radius = distance[:, chosen].min(axis=1).max()
    best = min(distance[:, list(c)].min(axis=1).max() for c in combinations(range(n), k))
    assert radius <= 2 * best + 1e-9
    for i in range(1, k):  # each is a farthest of those left
        left = np.delete(np.arange(n), chosen[:i])
        assert np.isclose(
            distance[chosen[i], chosen[:i]].min(), distance[left][:, chosen[:i]].min(1).max()
        )


points = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=9)


@settings(max_examples=60)
@given(points)
def test_front_and_area_against_their_definitions(rows):
    def beats(a, b):
        return a != b and a[0] >= b[0] and a[1] >= b[1]

    front = pareto_front(rows)
    assert front.tolist() == [not any(beats(other, row) for other in rows) for row in rows]
    cells = {(i, j) for a, b in rows for i in range(a) for j in range(b)}  # unit squares
    assert hypervolume(rows, (0, 0)) == len(cells)
    above = {(i, j) for i, j in cells if i >= 2 and j >= 1}
    assert hypervolume(rows, (2, 1)) == len(above)
    assert hypervolume(np.array(rows)[front], (0, 0)) == len(cells)


def test_front_of_three_objectives():
    values = np.random.default_rng(0).integers(0, 4, size=(60, 3))
    wanted = [not ((values >= v).all(1) & (values > v).any(1)).any() for v in values]
    assert pareto_front(values).tolist() == wanted


# --- every method ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "options"), VARIANTS, ids=NAMES)
def test_a_run_is_an_honest_curve(chain, method, options):
    candidates, y = chain
    test, cost = np.arange(243.0), np.linspace(1, 2, 243)
    arguments = {"n_initial": 10, "batch_size": 7, "random_state": 3, "cost": cost, **options}
    run = search(candidates, y, method, 60, test=test, **arguments)
    assert run["evaluation"].tolist() == list(range(1, 61))
    assert run["candidate"].is_unique
    assert (run["value"] == y[run["candidate"]]).all()
    for i in range(60):  # the incumbent: the first of the best by value, whatever its test value
        seen = run["candidate"][: i + 1]
        assert run["best"][i] == y[seen].max()
        assert run["incumbent"][i] == seen.iloc[y[seen].argmax()]
        assert np.isclose(run["cost"][i], cost[seen].sum())
    assert (run["test"] == test[run["incumbent"]]).all()
    blind = search(candidates, y, method, 60, test=-test, **arguments)
    assert (blind["candidate"] == run["candidate"]).all()  # test is never read
    other = search(candidates, y, method, 60, **(arguments | {"random_state": 4}))
    assert (other["candidate"] != run["candidate"]).any()


@pytest.mark.parametrize(("method", "options"), VARIANTS, ids=NAMES)
def test_the_whole_pool_is_evaluated_in_the_end(chain, method, options):
    candidates, y = chain
    run = search(candidates, y, method, 243, n_initial=5, batch_size=40, random_state=0, **options)
    assert sorted(run["candidate"]) == list(range(243))
    assert run["best"].iloc[-1] == y.max()


@pytest.mark.parametrize("method", METHODS)
def test_a_callable_gives_the_same_run_as_its_table(chain, method):
    candidates, y = chain
    value, asked = dict(zip(candidates.architectures, y, strict=True)), []

    def train(cells):
        asked.extend(cells)
        return [value[cell] for cell in cells]

    run = search(candidates, train, method, 50, random_state=1)
    assert (run.pop("error") == "").all()
    assert run.equals(search(candidates, y, method, 50, random_state=1))
    assert asked == [candidates.architectures[i] for i in run["candidate"]]  # each once


@pytest.mark.parametrize("guided", [False, True])
def test_evolution_mutates_a_living_member(chain, guided):
    candidates, y = chain
    run = search(candidates, y, "evolution", 60, n_initial=12, random_state=0, guided=guided)
    code = candidates.codes[run["candidate"]]
    parents = [(code[i - 12 : i] != code[i]).sum(axis=1).min() for i in range(12, 60)]
    assert np.mean(np.array(parents) == 1) > 0.9  # others: all neighbours of the parent were seen


def test_local_search_walks_from_better_to_better(chain):
    candidates, y = chain
    run = search(candidates, y, "local", 80, n_initial=5, random_state=2)
    seen = run["candidate"].tolist()
    at, restarts = seen[int(np.argmax(y[seen[:5]]))], 0
    for i in range(5, 80):
        left = set(candidates.neighbours(at)) - set(seen[:i])
        if not left:  # a local optimum: a random restart
            at, restarts = seen[i], restarts + 1
            continue
        assert seen[i] in left
        at = seen[i] if y[seen[i]] > y[at] else at
    assert restarts
    assert run["best"].iloc[-1] == y.max()  # the target has no other optimum


def test_a_restricted_space_is_the_range_of_the_best():
    space = CellSpace(["a", "b", "c"], edges=[(i, i + 1) for i in range(8)])  # 6,561 cells
    cells = space.enumerate()
    y = (cells @ [8.0, 7, 6, 5, 4, 3, 2, 1]).round()
    pool = Candidates(space, cells, y[:, None])
    run = search(pool, y, "random", 100, n_initial=20, batch_size=10, restrict=True, random_state=0)
    for start in range(20, 100, 10):
        known, new = run["candidate"][:start], run["candidate"][start : start + 10]
        best = known.iloc[np.argsort(-y[known], kind="stable")[: round(0.25 * start)]]
        inside = (y >= y[best].min()) & (y <= y[best].max())
        assert 100 <= inside.sum() < 3281
        assert inside[new].all()


def test_guidance_is_worth_its_evaluations(table):
    graf, y = Candidates.of(table, "graf"), table.target("accuracy")

    def median(method, **options):
        runs = [search(graf, y, method, 60, random_state=s, **options) for s in range(5)]
        return np.median([y.max() - run["best"].iloc[-1] for run in runs])

    random = median("random")
    assert median("predictor") < random
    assert median("evolution", guided=True) < random
    assert median("random", restrict=True) < random


def test_the_diverse_start_is_a_covering_set(pool, table):
    y = table.target("accuracy")
    run = search(pool, y, "predictor", 20, start="k-centre", random_state=5)
    x = (pool.matrix - pool.matrix.mean(0)) / pool.matrix.std(0)

    def radius(rows):
        return np.linalg.norm(x[:, None] - x[rows][None], axis=2).min(axis=1).max()

    random = search(pool, y, "predictor", 20, random_state=5)
    assert radius(run["candidate"]) < 0.8 * radius(random["candidate"])


# --- several objectives ---------------------------------------------------------------------------


def test_two_objectives_spread_over_the_front(table):
    pool = Candidates.of(table, "graf")
    flops = table.space.cost(table.architectures)[:, 1]
    goals = pd.DataFrame({"accuracy": table.target("accuracy"), "cheap": -flops})
    front = goals[pareto_front(goals)]
    low = front.min().to_numpy()

    def share(method, seed, budget=100):
        run = search(pool, goals, method, budget, random_state=seed)
        assert list(run) == ["evaluation", "candidate", "accuracy", "cheap", "cost"]
        assert (run["cheap"] == goals["cheap"].to_numpy()[run["candidate"]]).all()
        return hypervolume(run[list(goals)], low) / hypervolume(front, low)

    seeds = range(4)
    means = {m: np.mean([share(m, s) for s in seeds]) for m in ("random", "predictor", "evolution")}
    mean = means | {m: share(m, 0, 40) for m in METHODS if m not in means}
    assert max(mean.values()) < 1
    assert mean["random"] < min(mean["predictor"], mean["evolution"])
    assert share("predictor", 1, 40) == share("predictor", 1, 40)


# --- bad input ------------------------------------------------------------------------------------


CELLS = SPACE.from_codes(SPACE.sample(5, random_state=0))
LINE = Candidates(CHAIN, CHAIN.enumerate(), np.arange(243.0)[:, None])


def wrong(**changes):
    arguments = {"objective": np.arange(243.0), "method": "random", "budget": 30} | changes
    return lambda: search(LINE, **arguments)


BAD = {
    "features: rows": (
        lambda: Candidates(SPACE, CELLS, np.zeros((4, 1))),
        ["features", "(4, 1)", "(5, n_features)"],
    ),
    "features: NaN": (
        lambda: Candidates(SPACE, CELLS, [[0], [1], [np.nan], [2], [3]]),
        ["features", "finite"],
    ),
    "repeats": (
        lambda: Candidates(SPACE, [*CELLS, CELLS[0]], np.zeros((6, 1))),
        ["1 repeats", "Drop"],
    ),
    "method": (wrong(method="evolutoin"), ["'evolutoin'", "Did you mean 'evolution'"]),
    "start": (wrong(start="k-center"), ["'k-center'", "Did you mean 'k-centre'"]),
    "guided": (wrong(method="predictor", guided=True), ["guided=True", "'evolution' or 'local'"]),
    "budget": (wrong(budget=244), ["budget=244", "243 candidates"]),
    "n_initial": (wrong(n_initial=1), ["n_initial=1", "2 <= n_initial"]),
    "batch_size": (wrong(batch_size=0), ["batch_size=0", "batch_size >= 1"]),
    "objective: rows": (wrong(objective=np.zeros(3)), ["objective", "3 rows", "243 candidates"]),
    "objective: NaN": (wrong(objective=np.full(243, np.nan)), ["objective", "not finite"]),
    "objective: returned": (
        wrong(objective=lambda cells: [1.0, 2.0]),
        ["objective", "2 rows", "1 architecture", "max_failures"],
    ),
    "test: rows": (wrong(test=np.zeros(2)), ["test", "(2,)", "243"]),
    "cost: infinite": (wrong(cost=np.full(243, np.inf)), ["cost", "finite", "243"]),
    "test: two objectives": (
        wrong(objective=np.zeros((243, 2)), test=np.zeros(243)),
        ["test", "one objective"],
    ),
    "k": (lambda: k_centre(np.zeros((3, 2)), 5), ["k=5", "1..3"]),
    "points: NaN": (lambda: pareto_front([[1, np.nan]]), ["values", "finite"]),
    "points: three": (
        lambda: hypervolume([[1, 2, 3]], (0, 0)),
        ["values", "(1, 3)", "two objectives"],
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_teaches(what):
    must_name(*BAD[what])


# --- the committed results ------------------------------------------------------------------------

KEYS = ["table", "source", "target", "method", "encoding", "option"]


def test_the_committed_runs_are_whole():
    found = pd.read_parquet(data_path("results", "search.parquet"))
    runs = found.groupby([*KEYS, "seed"])
    assert (found.groupby(KEYS)["seed"].nunique() == 50).all()
    assert runs["best"].is_monotonic_increasing.all()
    assert runs["evaluation"].max().isin([150, 200, 300]).all()
    areas = pd.read_parquet(data_path("results", "search_pareto.parquet"))
    assert (areas.groupby(KEYS)["seed"].nunique() == 50).all()
    assert areas["hypervolume"].between(0, 1).all()


def again(table, row, **options):
    graf, y = Candidates.of(table, row["encoding"]), table.target(row["target"])
    return search(graf, y, row["method"], row["budget"], random_state=row["seed"], **options)


@pytest.mark.parametrize("source", ["embedded", pytest.param("paper", marks=pytest.mark.paper)])
def test_a_committed_run_is_computed_again(source, request):
    if source == "paper":
        request.getfixturevalue("paper_dir")
    found = pd.read_parquet(data_path("results", "search.parquet"))
    row = {"method": "predictor", "encoding": "graf", "option": "", "seed": 7}
    row |= {"table": "nb201-cifar10", "source": source, "target": "accuracy"}
    known = found[(found[list(row)] == pd.Series(row)).all(axis=1)].set_index("evaluation")
    row["budget"] = int(known.index.max())
    table = load_table("nb201-cifar10", source=source)
    run = again(table, row).set_index("evaluation")
    assert np.allclose(known["regret"], table.target("accuracy").max() - known["best"])
    assert len(known) > 2
    assert (run.loc[known.index, "incumbent"] == known["incumbent"]).all()
    assert np.allclose(run.loc[known.index, "best"], known["best"])


def test_features_of_the_pool_are_those_of_the_encoding(table, pool):
    assert pool.features.equals(encode(table, "op-count"))
    assert pool.matrix.shape == (len(table), 5)
