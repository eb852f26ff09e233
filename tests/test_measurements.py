"""Our own measurements: CPU latency, and cells trained on Fashion-MNIST and attacked."""

import gzip
import itertools
import json
import re
from hashlib import sha256

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from recipes import load_recipe
from scipy.stats import f_oneway, kendalltau, spearmanr
from torch import nn

from graf_utils import fashion_mnist, load_table
from graf_utils.networks import build_network
from graf_utils.proxies import Run, flops
from graf_utils.registry import DataError, data_path
from graf_utils.spaces import NB201

SPACE = NB201()


def provenance(*parts):
    return json.loads(pq.read_schema(data_path(*parts)).metadata[b"provenance"])


def sheet(table):
    """The section of the data sheets about one file, white space made equal."""
    sections = data_path("README.md").read_text(encoding="utf-8").split("\n## ")
    (section,) = [s for s in sections if table in s.splitlines()[0]]
    return " ".join(section.split())


# --- latency ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def latency():
    return load_recipe("nb201_cpu_latency")


@pytest.fixture(scope="module")
def cpu():
    return load_table("nb201-cpu-latency")


def test_latencies_are_those_of_all_valid_cells_with_ordered_quartiles(cpu):
    cells = SPACE.enumerate()
    assert cpu.architectures == SPACE.from_codes(cells[SPACE.is_valid(cells)])
    low, middle, high = (cpu.target(f"latency{part}_ms") for part in ("_q25", "", "_q75"))
    assert (low > 0).all()
    assert (low <= middle).all()
    assert (middle <= high).all()
    assert not any(cpu.provenance["higher_is_better"][f"latency{p}_ms"] for p in ("", "_q75"))
    assert cpu.provenance["units"]["latency_ms"] == "ms"


def test_latencies_agree_with_what_must_take_equally_long_and_with_flops(cpu):
    """Isomorphic cells are the same computation; a cell that contains another takes longer."""
    ms = pd.Series(cpu.target("latency_ms"))
    kinds = pd.Series(SPACE.classes(cpu.architectures)).map(str)
    kinds += pd.Series([str(sorted(cell)) for cell in cpu.architectures])
    groups = ms.groupby(kinds)
    within = np.log(ms / groups.transform("median"))[groups.transform("size") > 1]
    assert len(within) > 1000
    assert within.abs().median() < 0.1 * np.log(ms).std()
    assert spearmanr(ms, cpu.target("flops")).statistic > 0.7
    rows = {cell: row for row, cell in enumerate(cpu.architectures)}
    small, large = ms[rows[0, 0, 3, 0, 0, 3]], ms[rows[3, 3, 3, 3, 3, 3]]
    assert small < large < ms[rows[2, 2, 2, 2, 2, 2]]
    counts = np.stack([(np.array(cpu.architectures) == op).sum(axis=1) for op in (0, 2, 3, 4)], 1)
    cost, *_ = np.linalg.lstsq(np.c_[counts, np.ones(len(ms))], ms, rcond=None)
    skip, conv3, conv1, pool, _ = cost
    assert conv3 > conv1 > skip > 0
    assert pool > skip
    fitted = np.c_[counts, np.ones(len(ms))] @ cost
    assert np.corrcoef(fitted, ms)[0, 1] ** 2 > 0.9


def test_sizes_equal_those_counted_on_the_networks(latency, cpu):
    rows = np.random.default_rng(1).choice(len(cpu), 4, replace=False)
    for row in rows:
        cell, counted = cpu.architectures[row], cpu.targets.iloc[row]
        network = build_network(cell, SPACE)
        n_params = sum(p.numel() for p in network.parameters())
        run = Run(network, torch.zeros(1, 3, 32, 32), torch.zeros(1))
        assert counted["params"] == pytest.approx(n_params / 1e6, rel=1e-12)
        assert counted["flops"] == pytest.approx(flops(run), rel=1e-12)
        # by hand: a stage has C channels of P pixels, and 5 cells
        convs = sum(op in (2, 3) for op in cell)
        pools = sum(op == 4 for op in cell)
        stages = [(16, 1024), (32, 256), (64, 64)]
        outputs = [c * p for c, p in stages]
        activations = outputs[0] + sum(5 * convs * o for o in outputs) + 3 * sum(outputs[1:])
        written = 2 * outputs[0] + sum(5 * (3 * convs + pools) * o for o in outputs)
        for (c_in, pixels), c_out in zip(stages[:2], outputs[1:], strict=True):
            # ReLU before the first convolution; then convolution, norm, ReLU, convolution, norm;
            # pool, convolution
            written += c_in * pixels + 5 * c_out + c_in * pixels // 4 + c_out
        written += 2 * outputs[2] + 64 + 10  # norm, ReLU, global pool, classifier
        assert counted["activations"] == pytest.approx(activations / 1e6, rel=1e-12)
        moved = 4 * (n_params + 2 * written)
        assert counted["arithmetic_intensity"] == pytest.approx(flops(run) * 1e6 / moved, rel=1e-9)
    again = latency.analytic(np.array(cpu.architectures, dtype=np.int8))
    for name in again:
        np.testing.assert_allclose(cpu.target(name), again[name], rtol=1e-12)


def test_what_disturbs_is_taken_out(latency):
    """A machine that becomes twice as slow, and half as fast again in short spells."""
    random, visits = np.random.default_rng(0), []
    true = {str((0, 0, 0, 0, 0, k)): 2.0 + k for k in range(5)}
    speeds = np.repeat(np.where(random.random(200) < 0.3, 1.5, 1.0), 3)  # spells of three visits
    for place, spell in enumerate(speeds):
        name = random.choice(list(true)[: 3 if place < 300 else 5])
        speed = (1 + place / 599) * spell
        times = np.array([1.5, true[name], true[name]]) * speed * (1 + 0.02 * random.random(3))
        row = dict(zip(["reference", "ms_0", "ms_1"], times, strict=True))
        visits.append({"architecture": name, **row})
    found = latency.summarise(pd.DataFrame(visits))
    ratio = found["latency_ms"] / pd.Series(true)
    assert np.ptp(ratio) < 0.04 * ratio.mean()
    raw = found["latency_raw_ms"] / pd.Series(true)
    assert np.ptp(raw) > 0.2 * raw.mean()
    assert (found["latency_q25_ms"] <= found["latency_ms"]).all()
    assert (found["latency_ms"] <= found["latency_q75_ms"]).all()


def test_a_network_put_together_is_the_one_built(latency):
    builder, image = latency.Builder(), torch.rand(1, 3, 32, 32)
    for cell in [(2, 3, 4, 0, 1, 2), (1,) * 6, (0, 1, 1, 4, 3, 3), (2, 3, 4, 0, 1, 2)]:
        found, expected = builder.build(cell), build_network(cell, SPACE).eval()
        assert list(found.state_dict()) == list(expected.state_dict())
        expected.load_state_dict(found.state_dict())
        with torch.inference_mode():
            assert torch.equal(found(image), expected(image))
        weights = [p.data_ptr() for p in found.parameters()]
        assert len(set(weights)) == len(weights)


class Watch:
    """A stopwatch that tells the number of its visit, and is killed at one of them."""

    def __init__(self, kill_at=None):
        self.visits, self.kill_at = 0, kill_at

    def visit(self, cell):
        self.visits += 1
        if self.visits == self.kill_at:
            raise KeyboardInterrupt
        return {"reference": 1.0, "ms_0": float(self.visits)}


@pytest.fixture
def few_visits(latency, monkeypatch):
    """Two rounds in chunks of ten."""
    monkeypatch.setattr(latency, "CHUNK", 10)
    monkeypatch.setattr(latency, "ROUNDS", 2)
    return latency.valid_cells()[:25]


def test_a_killed_measurement_goes_on(latency, few_visits, tmp_path, monkeypatch):
    """What was measured stays, the rest is added."""
    cells = few_visits
    watch = Watch(kill_at=28)
    monkeypatch.setattr(latency, "Stopwatch", lambda: watch)
    with pytest.raises(KeyboardInterrupt):
        latency.measure(cells, "a", tmp_path)
    parts = {p.name: p.read_bytes() for p in (tmp_path / "a").glob("*.parquet")}
    assert len(parts) == 3  # two whole chunks, a last one of five
    visits = latency.measure(cells, "a", tmp_path)
    assert {name: (tmp_path / "a" / name).read_bytes() for name in parts} == parts
    assert watch.visits == 28 + 25 * (latency.ROUNDS - 1)
    assert (visits["architecture"].value_counts() == latency.ROUNDS).all()
    assert len(visits) == 25 * latency.ROUNDS
    first = visits[visits["round"] == 0]["architecture"].tolist()
    assert first != visits[visits["round"] == 1]["architecture"].tolist()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("machine", lambda: {"model name": "another"}),
        ("CHUNK", 5),
        ("ROUNDS", 1),
        ("TIMED", 3),
        ("REFERENCE", (0,) * 6),
        ("PROTOCOL", "the code was changed"),
    ],
)
def test_times_of_another_machine_or_protocol_do_not_mix(
    latency, few_visits, tmp_path, monkeypatch, name, value
):
    monkeypatch.setattr(latency, "Stopwatch", Watch)
    latency.measure(few_visits, "a", tmp_path)
    monkeypatch.setattr(latency, name, value)
    with pytest.raises(SystemExit, match="two machines do not mix. Delete"):
        latency.measure(few_visits, "a", tmp_path)
    latency.measure(few_visits, "a", tmp_path / "another")  # the remedy


def test_a_folder_with_other_cells_or_a_file_of_someone_else_is_refused(
    latency, few_visits, tmp_path, monkeypatch
):
    monkeypatch.setattr(latency, "Stopwatch", Watch)
    latency.measure(few_visits, "a", tmp_path)
    other = latency.valid_cells()[25:50]  # as many
    with pytest.raises(SystemExit, match="do not mix"):
        latency.measure(other, "a", tmp_path)
    mine = tmp_path / "b" / "machine.json"
    mine.parent.mkdir()
    mine.write_text("a note of mine", encoding="utf-8")
    with pytest.raises(SystemExit, match="do not mix"):
        latency.measure(few_visits, "b", tmp_path)
    assert mine.read_text(encoding="utf-8") == "a note of mine"


def test_a_damaged_chunk_is_measured_again(latency, few_visits, tmp_path, monkeypatch):
    watch = Watch()
    monkeypatch.setattr(latency, "Stopwatch", lambda: watch)
    latency.measure(few_visits, "a", tmp_path)
    part = sorted((tmp_path / "a").glob("*.parquet"))[0]
    part.write_bytes(part.read_bytes()[:-7])
    visits = latency.measure(few_visits, "a", tmp_path)
    assert watch.visits in (55, 60)  # a chunk of five or ten
    assert (visits["architecture"].value_counts() == latency.ROUNDS).all()


def test_two_runs_agree_and_the_sheet_says_how_well():
    runs = pd.read_parquet(data_path("results", "cpu_latency_repeats.parquet"))
    wide = runs.pivot(index="architecture", columns="run", values="latency_ms")
    facts = provenance("results", "cpu_latency_repeats.parquet")["facts"]
    assert wide.shape == (300, 2)
    found = wide.corr("spearman").loc["a", "b"]
    assert found >= 0.98
    assert facts["spearman of two runs"] == pytest.approx(found, abs=1e-4)
    text = sheet("nb201_cpu_latency.parquet")
    for value in facts.values():
        assert f"{value:.4f}" in text


# --- Fashion-MNIST ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fashion():
    return load_recipe("nb201_fashion")


@pytest.fixture(scope="module")
def trained():
    return load_table("nb201-fashion")


@pytest.fixture(scope="module")
def linear():
    """Two classes, a linear network: the worst image of the ball is known in closed form."""
    random = torch.Generator().manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 2)).eval().requires_grad_(False)
    network[1].weight.copy_(torch.randn(2, 16, generator=random))
    images = torch.rand(60, 1, 4, 4, generator=random)
    network[1].bias.copy_(-(network[1].weight @ images.flatten(1).mean(0)))
    return network, images, network(images).argmax(1)  # all are classified right


def worst(network, images, labels, epsilon):
    weight = network[1].weight
    away = (weight[1 - labels] - weight[labels]).sign().view_as(images)
    return (images + epsilon * away).clamp(0, 1)


def test_attacks_on_a_linear_network_find_the_closed_form_optimum(fashion, linear):
    network, images, labels = linear
    for epsilon in (0.01, 0.1, 0.3):
        best = worst(network, images, labels, epsilon)
        slope, good = fashion.gradient(network, images, labels)
        assert good.all()
        torch.testing.assert_close(fashion.fgsm(images, slope, epsilon), best)
        for steps in (1, 3, 10):
            found = fashion.pgd(network, images, labels, epsilon, steps)
            fallen = ~fashion.right(network, found, labels)
            assert torch.equal(fallen, ~fashion.right(network, best, labels))
            torch.testing.assert_close(found[~fallen], best[~fallen])
    assert 0 < fallen.sum()


def test_attacks_stay_in_the_ball_and_in_the_pixels(fashion):
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 30), nn.Tanh(), nn.Linear(30, 3))
    network.eval().requires_grad_(False)
    images = torch.rand(50, 1, 4, 4).round(decimals=1)  # some at the border
    labels = network(images).argmax(1)
    slope, _ = fashion.gradient(network, images, labels)
    losses = []
    for found in (
        fashion.fgsm(images, slope, 0.2),
        fashion.pgd(network, images, labels, 0.2, 10),
        fashion.pgd(network, images, labels, 0.2, 3, step_size=1.0),
    ):
        assert (found - images).abs().max() <= 0.2 + 1e-6
        assert found.min() >= 0
        assert found.max() <= 1
        losses.append(nn.functional.cross_entropy(network(found), labels))
    assert min(losses) > nn.functional.cross_entropy(network(images), labels)
    one = fashion.pgd(network, images, labels, 0.05, 1, step_size=0.05)
    assert torch.equal(one, fashion.fgsm(images, slope, 0.05))
    known = fashion.pgd(network, images, labels, 0.1, 5, slope=slope)
    assert torch.equal(known, fashion.pgd(network, images, labels, 0.1, 5))


def test_an_image_that_is_wrong_is_not_attacked(fashion, linear):
    network, images, labels = linear
    found = fashion.pgd(network, images, 1 - labels, 0.1, 5)
    assert torch.equal(found, images)


def test_folding_changes_no_output(fashion):
    network = build_network((2, 3, 4, 0, 3, 2), SPACE, 4, 1, in_channels=1, random_state=0)
    images = torch.rand(8, 1, 8, 8)
    network(images)  # running statistics
    expected = network.eval()(images)
    folded = fashion.fold(network)
    torch.testing.assert_close(folded(images), expected, rtol=1e-4, atol=1e-5)
    outside = [m for m in folded[:2].modules() if isinstance(m, nn.BatchNorm2d)]
    assert not outside


def test_each_beginning_of_the_order_is_stratified(fashion):
    cells = fashion.ordered_cells()
    pool = SPACE.enumerate()
    pool = pool[SPACE.is_valid(pool)]
    assert sorted(map(tuple, cells.tolist())) == list(map(tuple, pool.tolist()))
    convolutions = ((cells == 2) | (cells == 3)).sum(axis=1)
    share = np.bincount(convolutions) / len(cells)
    for n in (10, 100, 777, 1000, 5000):
        counts = np.bincount(convolutions[:n], minlength=7)
        assert np.abs(counts - n * share).max() <= 1.5
    assert (cells != fashion.ordered_cells(seed=1)).any()


def test_agreement_is_an_analysis_of_variance(fashion):
    random = np.random.default_rng(0)
    level, rows = random.normal(size=30), []
    for cell, seed in itertools.product(range(30), (0, 1)):
        noise = random.normal(size=len(fashion.TARGETS)) * np.arange(1, len(fashion.TARGETS) + 1)
        values = dict(zip(fashion.TARGETS, level[cell] + 0.2 * noise, strict=True))
        rows.append({"architecture": f"{cell:02d}", "seed": seed, **values})
    frame = pd.DataFrame(rows)
    for found in fashion.agreement(frame).itertuples():
        pairs = frame.pivot(index="architecture", columns="seed", values=found.target)
        f = f_oneway(*pairs.to_numpy()).statistic
        assert found.between_cells == pytest.approx((f - 1) / (f + 1))
        assert found.kendall_tau == pytest.approx(kendalltau(pairs[0], pairs[1]).statistic)
        assert found.sd_seeds**2 == pytest.approx(((pairs[0] - pairs[1]) ** 2 / 2).mean())


@pytest.fixture
def trainings(fashion, monkeypatch):
    """Trainings that take no time; the list of those that were done."""
    made = []

    def measure(cell, seed, data, setting):
        made.append((cell, seed))
        return dict.fromkeys([*fashion.TARGETS, *fashion.SECONDS], 50.0 + seed)

    monkeypatch.setattr(fashion, "measure", measure)
    return made


def test_trainings_that_were_killed_go_on(fashion, trainings, tmp_path):
    folder, cells = tmp_path / "deep" / "cache", fashion.ordered_cells()[:4]
    fashion.runs(cells[:2], None, fashion.SETTING, folder)
    files = sorted(folder.rglob("*.json"))
    assert len(files) == 4
    text = files[0].read_text(encoding="utf-8")
    files[0].write_text(text[:-9], encoding="utf-8")  # cut
    files[1].write_text(text.replace("5", "50"), encoding="utf-8")  # accuracies of 500 %
    rows = fashion.runs(cells, None, fashion.SETTING, folder)
    names = [str(tuple(cell)) for cell in cells.tolist()]
    assert rows["architecture"].tolist() == [name for name in names for _ in (0, 1)]
    assert rows["accuracy"].tolist() == [50.0, 51.0] * 4
    assert len(trainings) == 4 + 2 + 4
    assert len(fashion.runs(fashion.ordered_cells()[:9], None, fashion.SETTING, folder, 0.0)) == 8
    assert len(trainings) == 10


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRAINING", "the code was changed"),
        ("EPSILONS", (1,)),
        ("JPEG_QUALITY", 6),
        ("conditions", lambda: {"processor": "another"}),
    ],
)
def test_a_training_is_kept_by_all_that_decides_it(
    fashion, trainings, tmp_path, monkeypatch, name, value
):
    cells = fashion.ordered_cells()[:1]
    fashion.runs(cells, None, fashion.SETTING, tmp_path)
    fashion.runs(cells, None, fashion.SETTING, tmp_path)
    assert len(trainings) == 2
    fashion.runs(cells, "other images", fashion.SETTING, tmp_path)
    fashion.runs(cells, None, fashion.replace(fashion.SETTING, epochs=99), tmp_path)
    assert len(trainings) == 6
    monkeypatch.setattr(fashion, name, value)
    fashion.runs(cells, None, fashion.SETTING, tmp_path)
    assert len(trainings) == 8


def test_a_table_is_not_replaced_by_one_with_fewer_cells(fashion, trainings, tmp_path, monkeypatch):
    """What is trained is kept, and goes where --output says."""
    output = tmp_path / "table.parquet"
    output.write_bytes(data_path("nb201_fashion.parquet").read_bytes())
    before = output.read_bytes()
    monkeypatch.setattr(fashion, "OUTPUT", output)
    monkeypatch.setattr(fashion, "NOISE", tmp_path / "noise.parquet")
    monkeypatch.setattr(fashion, "load", lambda folder, setting: None)
    command = ["recipe", "--cells", "3", "--cache", str(tmp_path / "cache")]
    monkeypatch.setattr("sys.argv", command + ["--output", str(output)])
    with pytest.raises(DataError, match=r"1,000 rows, and 997 of them .* write to another file"):
        fashion.main()
    assert output.read_bytes() == before
    assert len(trainings) == 6
    monkeypatch.setattr("sys.argv", command + ["--output", str(tmp_path / "other.parquet")])
    fashion.main()
    assert len(trainings) == 6
    assert len(pd.read_parquet(tmp_path / "other.parquet")) == 3
    assert len(pd.read_parquet(tmp_path / "other.noise.parquet")) == len(fashion.TARGETS)
    assert not (tmp_path / "noise.parquet").exists()
    assert output.read_bytes() == before


def test_the_fashion_table_is_a_beginning_of_the_order_with_two_seeds(fashion, trained):
    n = len(trained)
    assert trained.architectures == SPACE.from_codes(fashion.ordered_cells()[:n])
    raw = pd.read_parquet(data_path("nb201_fashion.parquet"))
    assert tuple(trained.targets) == fashion.TARGETS
    single = load_table("nb201-fashion-seeds").targets
    for target in fashion.TARGETS:
        assert trained.provenance["higher_is_better"][target]
        mean = (single[f"{target}_seed0"] + single[f"{target}_seed1"]) / 2
        np.testing.assert_allclose(trained.target(target), mean)
        np.testing.assert_allclose(raw[target], mean)
    attacked = fashion.SETTING.n_attacked
    for name, values in single.items():
        assert values.between(0, 100).all()
        images = attacked if name[:4] in ("fgsm", "pgd_") else fashion.SETTING.n_test
        assert np.allclose(values * images / 100, (values * images / 100).round())
    for seed, (small, large) in itertools.product((0, 1), itertools.pairwise(fashion.EPSILONS)):
        assert (single[f"pgd_{small}_seed{seed}"] >= single[f"pgd_{large}_seed{seed}"]).all()
    stronger = (trained.target("pgd_16") <= trained.target("fgsm_16")).mean()
    assert stronger > 0.95


def test_the_agreement_of_the_seeds_is_what_the_results_and_the_sheet_say(fashion):
    raw = pd.read_parquet(data_path("nb201_fashion.parquet"))
    parts = []
    for seed in fashion.SEEDS:
        part = raw[[f"{target}_seed{seed}" for target in fashion.TARGETS]]
        part = part.set_axis(list(fashion.TARGETS), axis=1)
        parts.append(part.assign(architecture=raw["architecture"], seed=seed))
    found = fashion.agreement(pd.concat(parts))
    kept = pd.read_parquet(data_path("results", "fashion_noise.parquet"))
    pd.testing.assert_frame_equal(found, kept)
    text = sheet("nb201_fashion.parquet")
    for row in kept.itertuples():
        assert f"| `{row.target}` | {row.mean:.1f} | {row.kendall_tau:.3f} |" in text
        assert f"| {row.kendall_tau:.3f} | {row.between_cells:.3f} |" in text
    assert f"{len(raw):,} cells" in text


def test_a_training_computed_again_gives_the_row_of_the_table(fashion, trained):
    folder = fashion_mnist.FOLDER
    if not (folder / "train-images-idx3-ubyte.gz").is_file():
        pytest.skip(f"Debian's dataset-fashion-mnist is not in {folder}")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        data = fashion.load(folder, fashion.SETTING)
        row = 17
        found = fashion.measure(trained.architectures[row], 1, data, fashion.SETTING)
    finally:
        torch.set_num_threads(threads)
    kept = load_table("nb201-fashion-seeds").targets.iloc[row]
    known = provenance("nb201_fashion.parquet")
    here = torch.__version__, torch.backends.cpu.get_cpu_capability()
    same = here == (known["torch"], known["vectors"])
    for target in fashion.TARGETS:  # other processors and versions round otherwise
        tolerance = 1e-9 if same else 12
        assert found[target] == pytest.approx(kept[f"{target}_seed1"], abs=tolerance), target
    for name in ("noise", "blur", "jpeg"):
        images = data.corrupted[name]
        assert images.shape == data.test[0].shape
        assert 0 <= images.min() <= images.max() <= 1
        assert 0.001 < (images - data.test[0]).abs().mean() < 0.2
    for images, labels in (data.train, data.test):
        assert (torch.bincount(labels) == len(labels) // 10).all()
        assert len(images) == len(labels)


def test_bad_sizes_and_a_missing_data_set_are_explained(fashion, tmp_path):
    with pytest.raises(ValueError, match="size=14: .* multiple of 4 up to 28. Use 12 or 16"):
        fashion.shrink(np.zeros((1, 28, 28)), 14)
    with pytest.raises(DataError, match="is not there.*dataset-fashion-mnist, or name its"):
        fashion.load(tmp_path, fashion.SETTING)


def _write_idx(folder, part, images, labels):
    """The four bytes of an IDX file, the lengths of its axes, its bytes; as yann.lecun.com says."""
    for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
        head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, dtype=">u4").tobytes()
        content = gzip.compress(head + array.tobytes())
        (folder / f"{part}-{kind}-ubyte.gz").write_bytes(content)


def test_fashion_mnist_is_read_as_it_was_written(tmp_path):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (7, 28, 28)).astype(np.uint8)
    labels = random.integers(0, 10, 7).astype(np.uint8)
    _write_idx(tmp_path, "t10k", images, labels)
    again = fashion_mnist.read(tmp_path, "t10k")
    assert np.array_equal(again[0], images)
    assert np.array_equal(again[1], labels)
    file = tmp_path / "t10k-labels-idx1-ubyte.gz"
    assert (
        fashion_mnist.digests(tmp_path, "t10k")[file.name] == sha256(file.read_bytes()).hexdigest()
    )
    with pytest.raises(ValueError, match="part='test' is unknown.*'train', 't10k'"):
        fashion_mnist.read(tmp_path, "test")


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-20],
        lambda content: b"",
        lambda content: b"\x00" * len(content),
        lambda content: gzip.compress(gzip.decompress(content)[:-1]),
        lambda content: gzip.compress(b"\0\0\x0d\3" + gzip.decompress(content)[4:]),
        lambda content: gzip.compress(b""),
        lambda content: gzip.compress(gzip.decompress(content)[:3]),
    ],
)
@pytest.mark.parametrize("kind", ["images-idx3", "labels-idx1"])
def test_damaged_fashion_mnist_is_refused(tmp_path, damage, kind):
    _write_idx(tmp_path, "train", np.ones((5, 28, 28), np.uint8), np.ones(5, np.uint8))
    file = tmp_path / f"train-{kind}-ubyte.gz"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DataError, match="cannot be read as a file of Fashion-MNIST .* again"):
        fashion_mnist.read(tmp_path, "train")


def test_labels_of_another_number_of_images_are_refused(tmp_path):
    _write_idx(tmp_path, "train", np.ones((5, 28, 28), np.uint8), np.ones(4, np.uint8))
    with pytest.raises(DataError, match="shape .5, 28, 28. and 4 labels"):
        fashion_mnist.read(tmp_path, "train")


def test_the_sheet_says_on_which_processor_as_far_as_the_files_know():
    """Each file is in a line that says what its metadata say."""
    section = data_path("README.md").read_text(encoding="utf-8").split("## On which processor")[1]
    lines = [line for line in section.split("\n## ")[0].splitlines() if ".parquet" in line]
    rest = next(line for line in lines if "all other" in line)
    told = {name: line for line in lines for name in re.findall(r"[\w/]+\.parquet", line)}
    paths = [path for path in data_path().rglob("*.parquet") if "provenance" in metadata_of(path)]
    assert set(told) <= {path.relative_to(data_path()).as_posix() for path in paths}
    for path in paths:
        provenance = metadata_of(path)["provenance"]
        name = path.relative_to(data_path()).as_posix()
        line = told.get(name, rest)
        for facts in provenance.get("runs", [provenance]):
            measured = facts.get("machine_measured", {})
            processor = measured.get("model name", facts.get("processor"))
            vectors = measured.get("widest vectors", facts.get("vectors"))
            assert (processor or "not recorded (x86_64, 2 cores)") in line, name
            assert line.endswith(f"| {vectors or 'not recorded'} |"), name
            assert processor or facts["machine"] == "x86_64, 2 cores"
            for library in {"torch", "python"} & set(facts.get("versions", {})):
                assert re.search(rf"\b{re.escape(facts['versions'][library])}\b", section), name


def metadata_of(path):
    content = pq.read_schema(path).metadata or {}
    return {"provenance": json.loads(content[b"provenance"])} if b"provenance" in content else {}
