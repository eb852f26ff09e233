"""Keys: whatever decides a number changes the key, and nothing else does."""

import collections
import functools
import importlib
import pickle
import subprocess
import sys
import textwrap
import types

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.feature_selection import f_regression
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF
from sklearn.linear_model import Ridge
from sklearn.metrics import make_scorer, r2_score
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from graf_utils import _keys
from graf_utils._keys import NotKeyable, digest
from graf_utils.features import GRAF
from graf_utils.predictors import PREDICTORS, make_predictor
from graf_utils.spaces import NB201


def made(source, name="mine", **names):
    """What a piece of code defines under a name, as if it stood in a script."""
    scope = {"__name__": "__main__", "np": np, "Ridge": Ridge} | names
    exec(textwrap.dedent(source), scope)
    return scope[name]


# Each pair differs by one edit, and bears the same name.
EDITS = {
    "a constant": ("def mine(x): return x * 2", "def mine(x): return x * 3"),
    "an operator": ("def mine(x): return x + 2", "def mine(x): return x - 2"),
    "a returned text": ("def mine(): return 'mean'", "def mine(): return 'max'"),
    "a function it calls": ("def mine(x): return np.sin(x)", "def mine(x): return np.cos(x)"),
    "a default": ("def mine(x=1): return x", "def mine(x=2): return x"),
    "a keyword default": ("def mine(*, x=1): return x", "def mine(*, x=2): return x"),
    "a lambda's default": ("mine = lambda x, k=1: x", "mine = lambda x, k=2: x"),
    "a lambda's text": ("mine = lambda: 'a'", "mine = lambda: 'b'"),
    "a comprehension": (
        "def mine(y): return ['a' for _ in y]",
        "def mine(y): return ['b' for _ in y]",
    ),
    "an inner function": (
        "def mine():\n  def f(): return 1\n  return f",
        "def mine():\n  def f(): return 2\n  return f",
    ),
    "a global": ("k = 1\ndef mine(x): return x * k", "k = 2\ndef mine(x): return x * k"),
    "a global table": (
        "k = {'a': [1]}\ndef mine(): return k",
        "k = {'a': [2]}\ndef mine(): return k",
    ),
    "a global of an inner function": (
        "k = 1\ndef mine(): return lambda: k",
        "k = 2\ndef mine(): return lambda: k",
    ),
    "a helper": (
        "def f(): return 1\ndef mine(): return f()",
        "def f(): return 2\ndef mine(): return f()",
    ),
    "a helper's helper": (
        "def g(): return 1\ndef f(): return g()\ndef mine(): return f()",
        "def g(): return 2\ndef f(): return g()\ndef mine(): return f()",
    ),
    "an attribute of a function": (
        "def mine(): return mine.k\nmine.k = 1",
        "def mine(): return mine.k\nmine.k = 2",
    ),
    "a closure": (
        "def make(k):\n  return lambda x: x * k\nmine = make(1)",
        "def make(k):\n  return lambda x: x * k\nmine = make(2)",
    ),
    "an array in a closure": (
        "def make(k):\n  return lambda x: x @ k\nmine = make(np.zeros(5000))",
        "def make(k):\n  return lambda x: x @ k\nmine = make(np.arange(5000) == 2500)",
    ),
    "what is caught": (
        "def mine(f):\n  try: return f()\n  except KeyError: return 0",
        "def mine(f):\n  try: return f()\n  except ValueError: return 0",
    ),
    "a method": (
        "class mine(Ridge):\n  def predict(self, X): return 1",
        "class mine(Ridge):\n  def predict(self, X): return 2",
    ),
    "a method of a base class": (
        "class A(Ridge):\n  def predict(self, X): return 1\nclass mine(A): pass",
        "class A(Ridge):\n  def predict(self, X): return 2\nclass mine(A): pass",
    ),
    "a class attribute": ("class mine:\n  k = 1", "class mine:\n  k = 2"),
    "a base class": ("class mine(int): pass", "class mine(float): pass"),
    "a static method": (
        "class mine:\n  @staticmethod\n  def f(): return 1",
        "class mine:\n  @staticmethod\n  def f(): return 2",
    ),
    "a class method": (
        "class mine:\n  @classmethod\n  def f(cls): return 1",
        "class mine:\n  @classmethod\n  def f(cls): return 2",
    ),
    "static or of the class": (
        "class mine:\n  @staticmethod\n  def f(a=1): return a",
        "class mine:\n  @classmethod\n  def f(a=1): return a",
    ),
    "static or not": (
        "class mine:\n  @staticmethod\n  def f(a=1): return a",
        "class mine:\n  def f(a=1): return a",
    ),
    "a property": (
        "class mine:\n  @property\n  def f(self): return 1",
        "class mine:\n  @property\n  def f(self): return 2",
    ),
    "a cached property": (
        "import functools\nclass mine:\n  @functools.cached_property\n  def f(self): return 1",
        "import functools\nclass mine:\n  @functools.cached_property\n  def f(self): return 2",
    ),
    "a method under a condition": (
        "from sklearn.utils.metaestimators import available_if\nclass mine(Ridge):\n"
        "  @available_if(lambda self: True)\n  def predict(self, X): return 1",
        "from sklearn.utils.metaestimators import available_if\nclass mine(Ridge):\n"
        "  @available_if(lambda self: True)\n  def predict(self, X): return 2",
    ),
    "a descriptor": (
        "class D:\n  def __get__(self, *_): return 1\nclass mine:\n  f = D()",
        "class D:\n  def __get__(self, *_): return 2\nclass mine:\n  f = D()",
    ),
    "a metaclass": (
        "class M(type):\n  def __call__(cls): return 1\nclass mine(metaclass=M): pass",
        "class M(type):\n  def __call__(cls): return 2\nclass mine(metaclass=M): pass",
    ),
    "a cached function": (
        "import functools\n@functools.cache\ndef mine(): return 1",
        "import functools\n@functools.cache\ndef mine(): return 2",
    ),
    "a decorated function": (
        "import functools\ndef twice(f):\n  @functools.wraps(f)\n  def g(): return f() * 2\n"
        "  return g\n@twice\ndef mine(): return 1",
        "import functools\ndef twice(f):\n  @functools.wraps(f)\n  def g(): return f() * 3\n"
        "  return g\n@twice\ndef mine(): return 1",
    ),
    "a generic function": (
        "import functools\n@functools.singledispatch\ndef mine(x): return 0\n"
        "@mine.register\ndef _(x: int): return 1",
        "import functools\n@functools.singledispatch\ndef mine(x): return 0\n"
        "@mine.register\ndef _(x: int): return 2",
    ),
    "what is imported": (
        "def mine():\n  from math import sin as f\n  return f(1)",
        "def mine():\n  from math import cos as f\n  return f(1)",
    ),
}


@pytest.mark.parametrize("what", EDITS)
@pytest.mark.parametrize("module", ["__main__", None])
def test_an_edit_changes_the_key(what, module):
    """`None`: code that ``exec`` made without a module takes Python's own module for its own."""
    scopes = {} if module else {"__name__": "builtins"}
    first, second = EDITS[what]
    assert digest(made(first, **scopes)) == digest(made(first, **scopes))
    assert digest(made(first, **scopes)) != digest(made(second, **scopes))


def test_blank_lines_and_places_do_not_change_the_key():
    first = made("def mine(x):\n  return x * 2")
    second = made("\n\n# why\n\ndef mine(x):\n\n  return x  *  2  # so")
    assert digest(first) == digest(second)


def test_names_bound_to_a_state_are_told_apart():
    cases = [
        lambda k: functools.partial(np.clip, 0, a_max=k),
        lambda k: np.random.RandomState(k),
        lambda k: np.random.default_rng(k),
        lambda k: np.random.default_rng(k).normal,
        lambda k: np.random.PCG64(k),
        lambda k: [k].append,
        lambda k: collections.deque([k]),
        lambda k: collections.defaultdict(int, a=k),
        lambda k: {k},
        lambda k: {"a": {"b": (k,)}},
        lambda k: np.ma.array([1, 2], mask=[0, k]),
        lambda k: np.float32(k),
        lambda k: np.array([k, "a"], dtype=object),
        lambda k: np.arange(5000) == 2000 + k,
        lambda k: pd.DataFrame({"a": [k]}),
        lambda k: pd.DataFrame({"a": [0]}, index=[k]),
        lambda k: pd.DataFrame({k: [0]}),
        lambda k: pd.Series(["a", "b"], dtype=pd.CategoricalDtype(["a", "b"][:: 1 - 2 * k])),
        lambda k: pd.Timestamp(2000 + k, 1, 1),
        lambda k: scipy.sparse.eye(3) * (k + 1),
        lambda k: make_scorer(r2_score, greater_is_better=bool(k)),
        lambda k: types.SimpleNamespace(k=k),
        lambda k: slice(k),
        lambda k: Ridge(alpha=k),
        lambda k: [Ridge, RandomForestRegressor][k],
        lambda k: GaussianProcessRegressor(RBF(k + 1.0)),
        lambda k: make_pipeline(FunctionTransformer([np.log, np.exp][k]), Ridge()),
        lambda k: GridSearchCV(Ridge(), {"alpha": [1, k]}, cv=KFold(3)),
        lambda k: FrozenEstimator(Ridge().fit([[0], [1]], [0, k])),
        lambda k: FrozenEstimator(RandomForestRegressor(2, random_state=0).fit([[0], [1]], [0, k])),
        lambda k: GRAF(NB201(), families=[["op_count"], ["min_path_len"]][k]),
    ]
    keys = [[digest(case(k)) for k in (0, 1, 0)] for case in cases]
    for number, (first, second, again) in enumerate(keys):
        assert first == again, number
        assert first != second, number
    assert len({key for row in keys for key in row}) == 2 * len(cases)


def test_types_shapes_and_order_are_told_apart():
    values = [1, 1.0, True, "1", b"1", None, [1], (1,), {1}, {1: 1}, 1j, -0.0, 0.0, float("nan")]
    values += [np.zeros(4), np.zeros((2, 2)), np.zeros(4, int), np.zeros((4, 1)), [1, 2], [2, 1]]
    assert len({digest(value) for value in values}) == len(values)
    assert list({0, 8}) != list({8, 0}), "sets that are walked through in two orders"
    assert digest({0, 8}) == digest({8, 0})
    assert digest([[1], [1]]) == digest([[1]] * 2), "equal lists, whether or not they are one"
    assert digest(np.arange(6).reshape(2, 3).T) == digest(np.array([[0, 3], [1, 4], [2, 5]]))


SUBCLASSES = {
    "list": "class mine(list):\n  def __getitem__(self, i): return {k}",
    "dict": "class mine(dict):\n  def __getitem__(self, i): return {k}",
    "int": "class mine(int):\n  def __add__(self, i): return {k}",
    "ndarray": "class mine(np.ndarray):\n  def __matmul__(self, i): return {k}",
}


@pytest.mark.parametrize("what", SUBCLASSES)
def test_a_class_of_ones_own_counts_with_its_code_and_content(what):
    def new(k, content):
        cls = made(SUBCLASSES[what].format(k=k))
        if what == "ndarray":
            return np.arange(content).view(cls)
        return cls({"list": [content], "dict": {1: content}, "int": content}[what])

    assert digest(new(1, 4)) == digest(new(1, 4))
    assert digest(new(1, 4)) != digest(new(2, 4))
    assert digest(new(1, 4)) != digest(new(1, 5))


def test_slots_and_attributes_count():
    slots = made("class mine:\n  __slots__ = ('a',)")
    both = made("class mine(slots): pass", slots=slots)
    for cls in (slots, both):
        keys = []
        for value in (1, 2, 1):
            item = cls()
            item.a = value
            keys.append(digest(item))
        assert keys[0] == keys[2] != keys[1]


def test_attributes_count_though_a_pickle_leaves_them_out():
    cls = made("class mine:\n  def __getstate__(self): return {}")
    keys = []
    for value in (1, 2, 1):
        item = cls()
        item.a = value
        keys.append(digest(item))
    assert keys[0] == keys[2] != keys[1]


def test_where_an_error_is_caught_counts():
    """The same instructions, but for the table that says which are watched."""
    function = made("def mine(f):\n  try: return f()\n  except KeyError: return 0")
    code = function.__code__
    assert digest(code) == digest(code.replace())
    assert digest(code) != digest(code.replace(co_exceptiontable=b""))
    assert digest(code) != digest(code.replace(co_flags=code.co_flags ^ 0x1000000))


def test_what_is_only_kept_does_not_change_the_key():
    code = """
        import functools
        class mine:
            @functools.cached_property
            def f(self): return 1
            @functools.cache
            def g(self): return 1
    """
    item = made(code)()
    before = digest(item)
    assert item.f == item.g() == 1
    pickle.loads(pickle.dumps(NB201()))  # leaves __slotnames__ on classes
    item.__reduce_ex__(2)
    assert digest(item) == before
    assert digest(NB201()) == digest(NB201())


def test_a_module_of_ones_own_counts_with_what_is_used_of_it(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    inside = "def mine():\n  import graf_own_help\n  return graf_own_help.f()"
    outside = "import graf_own_help\ndef mine(): return graf_own_help.f()"
    named = "import graf_own_help as h\ndef mine(): return h.unused and h.f()"
    keys = []
    for k, other in ((1, 0), (2, 0), (1, 5)):
        text = f"unused = {other}\nother = {other}\ndef f(): return {k}\n"
        (tmp_path / "graf_own_help.py").write_text(text, encoding="utf-8")
        importlib.invalidate_caches()
        sys.modules.pop("graf_own_help", None)
        keys.append([digest(made(source)) for source in (inside, outside, named)])
    sys.modules.pop("graf_own_help", None)
    for first, second, other in list(zip(*keys, strict=True))[:2]:
        assert first != second
        assert first == other, "what is not used decides nothing"
    assert len({row[2] for row in keys}) == 3


def test_versions_count(monkeypatch):
    inside = made("def mine():\n  import sklearn.svm\n  return sklearn.svm.SVR()")
    before = [digest(value) for value in (Ridge(), Ridge, f_regression, sklearn, inside)]
    forest = digest(made("class mine(Ridge): pass"))
    monkeypatch.setattr(sklearn, "__version__", "0.0")
    after = [digest(value) for value in (Ridge(), Ridge, f_regression, sklearn)]
    assert not set(before) & set(after)
    assert digest(made("class mine(Ridge): pass")) != forest
    monkeypatch.setattr(_keys, "_metadata_version", lambda top: "0.0")
    assert digest(inside) != before[-1]


def test_the_version_of_python_counts(monkeypatch):
    before = digest(1)
    monkeypatch.setattr(sys, "version_info", (3, 99, 0))
    assert digest(1) != before


NOT_KEYABLE = {
    "an open file": lambda: open(__file__, encoding="utf-8"),
    "a generator": lambda: (i for i in range(3)),
    "a ufunc of one's own": lambda: np.frompyfunc(lambda a: a, 1, 1),
    "a reduce that fails": lambda: made("class mine:\n  def __reduce_ex__(self, _): 1 / 0")(),
    "parameters that fail": lambda: made("class mine:\n  def get_params(self, deep): 1 / 0")(),
}


@pytest.mark.parametrize("what", NOT_KEYABLE)
def test_what_cannot_be_described_has_no_key(what):
    value = NOT_KEYABLE[what]()
    with pytest.raises(NotKeyable, match="cannot be"):
        digest([{"a": value}])
    with pytest.raises(NotKeyable):
        digest(FunctionTransformer(value))


def test_circles_end():
    items = [1]
    items.append(items)
    other = [2]
    other.append(other)
    again = [1]
    again.append(again)
    assert digest(items) == digest(again) != digest(other)
    node = made("class mine:\n  def f(self): return mine")()
    node.me = node
    assert digest(node) == digest(node)


def test_predictors_have_keys_that_hold():
    models = {name: make_predictor(name) for name in PREDICTORS}
    models["scaled"] = make_pipeline(StandardScaler(), Ridge())
    models["on graphs"] = make_pipeline(GRAF(NB201()), Ridge())
    keys = {name: digest(model) for name, model in models.items()}
    assert len(set(keys.values())) == len(keys)
    for name, model in models.items():
        assert digest(clone(model)) == keys[name]
        assert digest(pickle.loads(pickle.dumps(model))) == keys[name]


@pytest.mark.slow
def test_a_key_holds_in_another_process(tmp_path):
    """Hashes of text and addresses differ there."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
            import numpy as np
            from sklearn.linear_model import Ridge
            from sklearn.pipeline import make_pipeline
            from graf_utils import GRAF, NB201, make_predictor
            from graf_utils._keys import digest

            class Mine(Ridge):
                names = {"a", "b", "c", np.sin, np.cos}
                def predict(self, X):
                    return [name for name in self.names if name in {"a", "d"}]

            models = [make_predictor(name) for name in ("graf-xgb", "blend")]  # blend uses scipy's
            print(digest(Mine(), models, make_pipeline(GRAF(NB201()), Mine())))
        """),
        encoding="utf-8",
    )
    keys = {
        subprocess.run(
            [sys.executable, script], capture_output=True, text=True, check=True, encoding="utf8"
        ).stdout
        for _ in range(3)
    }
    assert len(keys) == 1


def test_classes_made_in_another_language_are_described():
    """Torch has classes with methods of a type that cannot be pickled."""
    torch = pytest.importorskip("torch")
    compiled = torch.nn.attention.SDPBackend

    def choose():
        return compiled.MATH

    assert digest(choose) == digest(choose)
    assert digest(compiled) != digest(torch.Size)
