"""Results are added to their tables or replaced in them, whatever happens to the run."""

import ast
import subprocess
import sys
from pathlib import Path

import killing
import numpy as np
import pandas as pd
import pytest
from recipes import load_recipe

from graf_utils import results as store
from graf_utils._keys import NotKeyable
from graf_utils.registry import DataError, data_path
from graf_utils.results import (
    conditions,
    forbid_loss,
    kept,
    merge_file,
    merge_results,
    processor,
    provenance_of,
    write_table,
)

ROOT = Path(__file__).resolve().parents[1]
RECIPES = sorted(data_path("recipes").glob("*.py"))
COMMITTED = {
    "paper_tasks": [
        "table",
        "source",
        "target",
        "encoding",
        "predictor",
        "train_size",
        "data_seed",
    ],
    "search": ["table", "source", "target", "method", "encoding", "option", "seed"],
    "proxies": ["table", "scores", "against", "score", "group"],
    "fashion_trials": ["setting"],
}


def rows(*seeds, tau=0.5, table="t"):
    return pd.DataFrame({"table": table, "seed": seeds, "tau": [tau + seed for seed in seeds]})


def read(path):
    return pd.read_parquet(path).drop(columns="run", errors="ignore")


# --- merged ---------------------------------------------------------------------------------------


def test_rows_are_added_replaced_and_never_lost(tmp_path):
    file = tmp_path / "deep" / "r.parquet"
    merge_results(file, rows(3, 1, 2), ["table", "seed"], recipe="a")
    merged = merge_results(file, rows(4, 1, tau=0.7), ["table", "seed"], recipe="b")
    expected = rows(3, 1, 2, 4).assign(tau=[3.5, 1.7, 2.5, 4.7])
    pd.testing.assert_frame_equal(read(file), expected)
    pd.testing.assert_frame_equal(pd.read_parquet(file), merged)
    merge_results(file, rows(1, table="other"), ["table", "seed"], recipe="b")
    assert read(file)["seed"].tolist() == [3, 1, 2, 4, 1]
    assert [path.name for path in file.parent.iterdir()] == ["r.parquet"]


def test_rows_of_one_result_are_replaced_together(tmp_path):
    """A search that is run again may have fewer rows than before."""
    file = tmp_path / "r.parquet"
    curve = pd.DataFrame({"seed": [1, 2, 1, 2, 1], "step": [0, 0, 5, 6, 9]})
    merge_results(file, curve, ["seed"])
    again = pd.DataFrame({"seed": [1, 1], "step": [0, 7]})
    merge_results(file, again, ["seed"])
    assert read(file).to_numpy().tolist() == [[1, 0], [1, 7], [2, 0], [2, 6]]


@pytest.mark.parametrize("name", COMMITTED)
def test_a_table_that_has_it_all_is_not_touched(tmp_path, name):
    """Any part of a committed table, in any order of the results, changes no byte of it."""
    file = tmp_path / f"{name}.parquet"
    file.write_bytes(data_path("results", file.name).read_bytes())
    before = file.read_bytes()
    table = pd.read_parquet(file).drop(columns="run", errors="ignore")
    keys = COMMITTED[name]
    groups = [group for _, group in table.groupby(keys, sort=False)][::-7]
    merged = merge_results(file, pd.concat(groups, ignore_index=True), keys, recipe="again")
    assert file.read_bytes() == before
    pd.testing.assert_frame_equal(merged.drop(columns="run"), table)


def test_every_row_says_which_run_made_it(tmp_path, monkeypatch):
    """Rows that stay keep the stamp of their run, also those that were computed again and equal."""
    file = tmp_path / "r.parquet"
    write_table(rows(1, 2), file, recipe="before runs were told apart", files={"f": "0"})
    old = provenance_of(file)
    monkeypatch.setattr(store, "conditions", lambda: {"processor": "P", "versions": {"numpy": "9"}})
    new = pd.concat([rows(1), rows(2, tau=0.9), rows(3)])
    merge_results(file, new, ["seed"], recipe="r", files={"g": "1"}, note=7)
    facts = provenance_of(file)
    runs = facts["runs"]
    assert pd.read_parquet(file)["run"].tolist() == [0, 1, 1]
    assert runs[0] == old
    assert (runs[1]["processor"], runs[1]["versions"]) == ("P", {"numpy": "9"})
    assert (facts["recipe"], facts["files"], facts["note"]) == ("r", {"f": "0", "g": "1"}, 7)
    assert not {"processor", "versions", "machine"} & set(facts)
    merge_results(file, rows(4), ["seed"], recipe="r", files={"g": "1"}, note=7)
    assert provenance_of(file)["runs"] == runs  # the same run
    merge_results(file, rows(1, tau=0.9), ["seed"], recipe="r", files={"g": "1"}, note=7)
    assert provenance_of(file)["runs"] == runs[1:]  # no row is left of the first
    assert pd.read_parquet(file)["run"].tolist() == [0, 0, 0, 0]


def test_rows_of_another_machine_keep_what_is_known_of_them(tmp_path, monkeypatch):
    here, there = tmp_path / "here.parquet", tmp_path / "there.parquet"
    merge_results(here, rows(1, 2), ["seed"], recipe="r")
    mine = provenance_of(here)["runs"]
    monkeypatch.setattr(store, "conditions", lambda: {"processor": "P", "versions": {"numpy": "9"}})
    merge_results(there, rows(2, tau=0.9), ["seed"], recipe="r", files={"g": "1"})
    monkeypatch.setattr(store, "conditions", lambda: {"processor": "Q", "versions": {"numpy": "9"}})
    merge_results(there, rows(3), ["seed"], recipe="r", files={"g": "1"})
    theirs = provenance_of(there)["runs"]
    monkeypatch.undo()
    merged = merge_file(here, there, ["seed"])
    expected = rows(1, 2, 3).assign(tau=[1.5, 2.9, 3.5])
    pd.testing.assert_frame_equal(read(here), expected)
    assert merged["run"].tolist() == [0, 1, 2]
    assert provenance_of(here)["runs"] == [*mine, *theirs]
    before = here.read_bytes()
    merge_file(here, there, ["seed"])
    assert here.read_bytes() == before
    merge_file(tmp_path / "new.parquet", there, ["seed"])
    assert provenance_of(tmp_path / "new.parquet")["runs"] == theirs
    with pytest.raises(DataError, match="is not there, so nothing was written"):
        merge_file(here, tmp_path / "nowhere.parquet", ["seed"])
    assert here.read_bytes() == before


def test_missing_values_and_other_types_are_compared_as_they_are(tmp_path):
    file = tmp_path / "r.parquet"
    frame = pd.DataFrame({"key": ["", "b", None], "x": [np.nan, 1.0, np.inf], "n": [1, 2, 3]})
    merge_results(file, frame.astype({"x": "float32"}), ["key"])
    before = file.read_bytes()
    merge_results(file, frame[::-1].astype({"x": "float32", "n": "int8"}), ["key"])
    assert file.read_bytes() == before
    merge_results(file, frame.head(1).assign(x=0.0), ["key"])
    assert read(file)["x"].tolist() == [0, 1, np.inf]
    merge_results(file, frame.tail(1).assign(x=2.0), ["key"])
    assert read(file)["x"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("new", "keys", "message"),
    [
        (rows(), ["seed"], "rows: 0 rows with .* at least one"),
        (rows(1), ["seeds"], r"\['seeds'\] are no columns of the rows; name some of"),
        (rows(1), [], "there must be one at least; name some of"),
        (rows(1).assign(run=1), ["seed"], "no column 'run', which merge_results adds; drop or"),
    ],
)
def test_wrong_arguments_touch_nothing(tmp_path, new, keys, message):
    file = tmp_path / "r.parquet"
    with pytest.raises(ValueError, match=message):
        merge_results(file, new, keys)
    assert not file.exists()


def test_other_columns_are_refused(tmp_path):
    file = tmp_path / "r.parquet"
    merge_results(file, rows(1), ["seed"])
    before = file.read_bytes()
    for new in (rows(2).assign(x=1), rows(2).drop(columns="tau")):
        with pytest.raises(DataError, match=r"has the columns .* nothing was written. Move the"):
            merge_results(file, new, ["seed"])
    assert file.read_bytes() == before
    file.rename(tmp_path / "old.parquet")  # the remedy
    merge_results(file, new, ["seed"])


def damages():
    yield "cut", lambda content: content[:-9]
    yield "halved", lambda content: content[: len(content) // 2]
    yield "empty", lambda content: b""
    yield "text", lambda content: b"my notes"
    yield "zeros", lambda content: bytes(len(content))
    for share in (0.02, 0.1, 0.2, 0.3):
        yield f"flipped at {share}", lambda content, share=share: flip(content, share)


def flip(content, share):
    place = int(len(content) * share)
    return content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :]


DAMAGES = list(damages())


@pytest.fixture(scope="module")
def large():
    """A table whose pages fill most of its file."""
    random = np.random.default_rng(0)
    return pd.DataFrame({"seed": np.arange(3000), "tau": random.normal(size=3000)})


@pytest.mark.parametrize(("name", "damage"), DAMAGES, ids=[name for name, _ in DAMAGES])
def test_a_damaged_table_is_refused_and_stays(tmp_path, large, name, damage):
    file = tmp_path / "r.parquet"
    merge_results(file, large, ["seed"])
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    before = file.read_bytes()
    with pytest.raises(DataError, match="nothing was written to it. Restore it .* or move it away"):
        merge_results(file, rows(1).drop(columns="table"), ["seed"])
    with pytest.raises(DataError, match="cannot be read as a table of results"):
        forbid_loss(file, rows(1), ["seed"])
    assert file.read_bytes() == before


def test_a_smaller_table_does_not_replace_a_larger(tmp_path):
    file = tmp_path / "r.parquet"
    forbid_loss(file, rows(1), ["seed"])
    write_table(rows(1, 2, 3), file)
    forbid_loss(file, rows(4, 3, 2, 1), ["seed"])
    with pytest.raises(DataError, match="3 rows, and 1 of them are not among the 3 new ones"):
        forbid_loss(file, rows(4, 3, 2), ["seed"])


# --- kept -----------------------------------------------------------------------------------------


class Work:
    def __init__(self):
        self.done = 0

    def __call__(self):
        self.done += 1
        return rows(1, 2)


def test_a_part_is_computed_once_and_again_if_anything_differs(tmp_path, monkeypatch):
    work = Work()
    assert kept(tmp_path, ["a", 1, np.ones(3)], work)[1]
    again, computed = kept(tmp_path, ["a", 1, np.ones(3)], work)
    assert not computed
    pd.testing.assert_frame_equal(again, rows(1, 2))
    assert work.done == 1
    other = [
        ["b", 1, np.ones(3)],
        ["a", 2, np.ones(3)],
        ["a", 1, np.ones(4)],
        ["a", 1.0, np.ones(3)],
    ]
    for parts in other:
        assert kept(tmp_path, parts, work)[1]
    for name, value in conditions().items():
        monkeypatch.setattr(store, "conditions", lambda n=name, v=value: conditions() | {n: [v]})
        assert kept(tmp_path, ["a", 1, np.ones(3)], work)[1]
    assert work.done == 1 + len(other) + 2


def test_an_edited_function_is_another_part(tmp_path):
    work, spaces = Work(), [{}, {}, {}]
    for space, number in zip(spaces, (1, 1, 2), strict=True):
        exec(f"def helper(): return {number}\ndef f(): return helper()", space)
        kept(tmp_path, [space["f"]], work)
    assert work.done == 2


@pytest.mark.parametrize(("name", "damage"), DAMAGES, ids=[name for name, _ in DAMAGES])
def test_a_damaged_part_is_computed_again(tmp_path, large, name, damage):
    kept(tmp_path, ["a"], lambda: large)
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    again, computed = kept(tmp_path, ["a"], lambda: large)
    assert computed
    pd.testing.assert_frame_equal(again, large)
    assert not kept(tmp_path, ["a"], lambda: large)[1]


def test_the_file_of_another_part_is_not_taken_for_this_one(tmp_path):
    kept(tmp_path, ["a"], lambda: rows(1))
    kept(tmp_path, ["b"], lambda: rows(2))
    first, second = sorted(tmp_path.iterdir())
    first.write_bytes(second.read_bytes())
    seeds = [
        kept(tmp_path, [name], lambda n=n: rows(n))[0]["seed"][0]
        for n, name in ((1, "a"), (2, "b"))
    ]
    assert seeds == [1, 2]


def test_what_cannot_be_described_is_not_kept(tmp_path):
    with pytest.raises(NotKeyable):
        kept(tmp_path, [(x for x in "abc")], Work())
    assert not list(tmp_path.iterdir())


# --- recipes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipes_write_through_the_package_only(path):
    """No temporaries, moves or writes of their own, and no file read in the locale's encoding."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    calls = [call for call in calls if ast.unparse(call.func) != "Image.open"]  # of bytes
    names = {getattr(call.func, "attr", getattr(call.func, "id", "")) for call in calls}
    assert not names & {"mkstemp", "TemporaryDirectory", "NamedTemporaryFile", "mktemp", "chmod"}
    assert not names & {"to_parquet", "to_csv", "to_json", "write_bytes", "open", "truncate"}
    if "replacing" not in names:
        assert not names & {"savefig"}
    for call in calls:
        name = getattr(call.func, "attr", "")
        if name in ("replace", "rename"):
            assert getattr(call.func.value, "id", "") != "os"
        if name in ("read_text", "write_text") and isinstance(call.func, ast.Attribute):
            assert "encoding" in {keyword.arg for keyword in call.keywords}


@pytest.mark.parametrize("name", ["paper_tasks", "paper_nb201", "brpnas_nb201", "proxies"])
def test_with_the_tables_missing_and_no_network_nothing_is_lost(tmp_path, monkeypatch, name):
    """The network is off, as far as the recipe can tell: each connection is refused."""
    recipe_name = {
        "paper_tasks": "task_results",
        "paper_nb201": "paper_results",
        "brpnas_nb201": "brpnas_results",
        "proxies": "proxy_results",
    }[name]
    (tmp_path / "empty").mkdir()
    script = f"""
import socket, sys
sys.path.insert(0, {str(ROOT / "tests")!r})
from pathlib import Path
from recipes import load_recipe
from graf_utils.evaluation import DATA_SEEDS
def refuse(*arguments, **options):
    raise OSError("the network is off")
socket.socket.connect = refuse
socket.getaddrinfo = refuse
recipe = load_recipe({recipe_name!r})
folder = Path({str(tmp_path)!r})
for variable, value in (("OUTPUT", folder), ("RESULTS", folder)):
    if hasattr(recipe, variable):
        value = value / "paper_tasks.parquet" if {name!r} == "paper_tasks" else value
        value = value / "paper_nb201.parquet" if {name!r} == "paper_nb201" else value
        setattr(recipe, variable, value)
if hasattr(recipe, "ROUNDS"):
    recipe.ROUNDS = (1,)
    recipe.PLAN = [
        line[:4] + (("one-hot",), 8, DATA_SEEDS[:1]) for line in recipe.PLAN
    ]
sys.argv = ["recipe"] + ([] if {name!r} == "proxies" else ["--cache", str(folder / "cache")])
recipe.main()
"""
    file = tmp_path / f"{name}.parquet"
    file.write_bytes(data_path("results", file.name).read_bytes())
    before = read(file)
    monkeypatch.setenv("GRAF_DATA_DIR", str(tmp_path / "empty"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, encoding="utf8"
    )
    assert done.returncode not in (0, 2), done.stdout + done.stderr
    after = read(file)
    pd.testing.assert_frame_equal(after.head(len(before)), before)
    assert "could not be downloaded" in done.stderr
    if name == "paper_tasks":
        assert len(after) == len(before) + 6  # the embedded table's six targets
        assert "6 tables are missing" in done.stderr
        assert "--without nb201-hardware-cifar10" in done.stderr
    else:
        assert file.read_bytes() == data_path("results", file.name).read_bytes()
    assert not list((tmp_path / "empty").iterdir())


def test_tables_left_out_on_purpose_are_no_failure(tmp_path, monkeypatch, capsys):
    recipe = load_recipe("task_results")
    monkeypatch.setenv("GRAF_DATA_DIR", str(tmp_path / "empty"))
    monkeypatch.setattr(recipe, "OUTPUT", tmp_path / "r.parquet")
    monkeypatch.setattr(recipe, "ROUNDS", (1, 2))
    plan = [
        ("ridge", "nb201-cifar10", "embedded", ("accuracy",), ("op-count",), 8, (42, 43, 44)),
        ("ridge", "nb201-robustness", "paper", ("accuracy",), ("op-count",), 8, (42, 43)),
    ]
    monkeypatch.setattr(recipe, "PLAN", plan)
    command = ["recipe", "--cache", str(tmp_path / "cache"), "--without", "nb201-robustness"]
    monkeypatch.setattr(sys, "argv", command)
    recipe.main()
    assert "complete" in capsys.readouterr().out
    assert read(tmp_path / "r.parquet")["data_seed"].tolist() == [42, 43]


def test_a_recipe_that_is_killed_ten_times_gives_what_one_run_gives(tmp_path):
    """All splits, no row lost or twice, nothing left beside the table and in the cache."""
    file, cache = tmp_path / "killed" / "r.parquet", tmp_path / "killed" / "cache"
    setup = f"""
sys.path.insert(0, {str(ROOT / "tests")!r})
from pathlib import Path
from recipes import load_recipe
from graf_utils import load_table
recipe = load_recipe("task_results")
recipe.PLAN = [
    ("ridge", "nb201-cifar10", "embedded", ("accuracy",), ("op-count", "flops+params"), (8, 16),
     tuple(range(42, 42 + n)))
    for n in (8, 18)
]
recipe.ROUNDS = (2, 5, 10, 18)
table = load_table("nb201-cifar10", "embedded")
recipe.load_table = lambda name, source: table
"""
    work = f"recipe.run(Path({str(file)!r}), Path({str(cache)!r}))"
    result = killing.run(tmp_path / "killed", setup, work, 0.02, 0.15)
    assert result["killed"] >= 5
    assert result["after"] == []
    recipe = load_recipe("task_results")
    single = tmp_path / "single.parquet"
    plan = [
        ("ridge", "nb201-cifar10", "embedded", ("accuracy",), ("op-count", "flops+params"),
         (8, 16), tuple(range(42, 60)))
    ]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipe, "PLAN", plan)
        patch.setattr(recipe, "ROUNDS", (18,))
        assert recipe.run(single, tmp_path / "other-cache") == {}
    keys = [*recipe.FIT]
    killed, whole = (read(path).sort_values(keys, ignore_index=True) for path in (file, single))
    pd.testing.assert_frame_equal(
        killed.drop(columns="cpu_seconds"), whole.drop(columns="cpu_seconds")
    )
    assert len(killed) == 2 * 2 * 18


def test_importances_are_kept_by_all_that_decides_them(tmp_path, monkeypatch):
    """Another budget, method, table or code is computed anew."""
    recipe = load_recipe("importance_results")
    seen = []

    def importances(table, target, columns, *, data_seeds, **options):
        seen.append((target, data_seeds, options))
        frame = {"feature": list(columns), "importance": 1.0, "rank": 1.0, "data_seed": data_seeds}
        return pd.DataFrame(frame)

    line = ("nb201-cifar10", "embedded", ("accuracy",), recipe.GROUPS, (42,), ("impurity",))
    monkeypatch.setattr(recipe, "columns_of", lambda table, name: table.targets[["ptq_accuracy"]])
    with monkeypatch.context() as patch:
        patch.setattr(
            recipe, "kept", lambda folder, parts, compute: kept(folder, parts[1:], compute)
        )
        patch.setattr(recipe, "importances", importances)
        recipe.importances_of_line(line, tmp_path)
        recipe.importances_of_line(line, tmp_path)
        assert len(seen) == 1
        recipe.importances_of_line((*line[:5], ("shap",)), tmp_path)
        recipe.importances_of_line((*line[:4], (43,), line[5]), tmp_path)
        patch.setattr(recipe, "N_EXPLAINED", 7)
        recipe.importances_of_line(line, tmp_path)
        patch.setattr(recipe, "columns_of", lambda t, name: t.targets[["ptq_accuracy"]] + 1)
        recipe.importances_of_line(line, tmp_path)
    assert len(seen) == 5


def test_searches_are_kept_by_all_that_decides_them(tmp_path, monkeypatch):
    recipe = load_recipe("search_results")
    monkeypatch.setattr(recipe, "SEEDS", range(2))
    runs = (("random", "op-count", ""),)
    done = []

    def run_of(task):
        rows = task.finished(tmp_path)
        files = len(list(tmp_path.glob("*.parquet")))
        done.append(files)
        return rows

    task = recipe.Task.of("nb201-cifar10", "embedded", "accuracy", 30, runs)
    first = run_of(task)
    pd.testing.assert_frame_equal(run_of(task), first)
    assert done == [2, 2]
    run_of(recipe.Task.of("nb201-cifar10", "embedded", "accuracy", 31, runs))
    run_of(recipe.Task.of("nb201-cifar10", "embedded", "analog_accuracy", 30, runs))
    run_of(recipe.Task.of("nb201-cifar10", "embedded", "accuracy", 30, (("local", *runs[0][1:]),)))
    monkeypatch.setattr(recipe, "OPTIONS", {"": {"start": "random"}})
    run_of(task)
    monkeypatch.setattr(recipe.Task, "changes", lambda self, curve: curve.tail(1).assign(test=0.0))
    run_of(task)
    task.values = task.values[::-1].copy()  # another table of the same name
    run_of(task)
    assert done == [2, 2, 4, 6, 8, 10, 12, 14]


def test_zero_cost_does_not_replace_many_by_few(tmp_path):
    """Nothing is computed before it is refused."""
    file = tmp_path / "many.parquet"
    file.write_bytes(data_path("results", "proxies_full_200.parquet").read_bytes())
    before = file.read_bytes()
    main = load_recipe("zero_cost").main
    with pytest.raises(DataError, match="200 rows, and .* write to another file"):
        main([str(file), "--sample", "3"])
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["many.parquet"]


def test_the_processor_is_named(tmp_path):
    write_table(rows(1), tmp_path / "t.parquet")
    assert provenance_of(tmp_path / "t.parquet")["processor"] == processor()
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = {line.partition(":")[2].strip() for line in lines if line.startswith("model name")}
    if names:
        assert processor() in names
    assert processor()
