"""Train a sample of NAS-Bench-201 on Fashion-MNIST at small scale, and attack what was trained.

Writes ``data/nb201_fashion.parquet``: clean accuracy and accuracy under FGSM, PGD, noise, blur and
JPEG compression of two trainings each (seeds 0 and 1), and
``data/results/fashion_noise.parquet``: how far the two agree. An hour of one core. The data set
comes from Debian (``apt-get install dataset-fashion-mnist``). Every training is kept in ``_build``
as it ends, so the command can be killed, started again, and continued with a larger ``--cells``. A
table is not replaced by one with fewer cells: ``--output`` writes that to another file.

    OMP_NUM_THREADS=1 python data/recipes/nb201_fashion.py [--cells 1000] [--minutes 50]
    OMP_NUM_THREADS=1 python data/recipes/nb201_fashion.py --trials

The second command compares settings on 24 cells: ``data/results/fashion_trials.parquet``.

The cells of the sample are the first of one order of all 9,445 valid cells, in which the strata
(cells with equally many convolutions) are spread evenly: the j-th of the n shuffled cells of a
stratum has the place (j + 1/2) / n. So the beginning of the order, however long, is a random
sample with the shares of the whole.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import io
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image
from PIL import __version__ as pillow_version
from scipy.ndimage import gaussian_filter
from scipy.stats import kendalltau
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from graf_utils import fashion_mnist
from graf_utils._keys import digest
from graf_utils._store import Store
from graf_utils.networks import build_network
from graf_utils.proxies import seed_of
from graf_utils.results import conditions, forbid_loss, merge_results, write_table
from graf_utils.spaces import get_space

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "data" / "nb201_fashion.parquet"
NOISE = ROOT / "data" / "results" / "fashion_noise.parquet"
TRIALS = ROOT / "data" / "results" / "fashion_trials.parquet"
SPACE = get_space("nb201")
CLASSES = 10
SEEDS = (0, 1)
EPSILONS = (2, 4, 8, 16)  # in 1/255
NOISE_SD, BLUR_SD, JPEG_QUALITY = 0.2, 2.0, 5
TARGETS = ("accuracy", *(f"fgsm_{e}" for e in EPSILONS), *(f"pgd_{e}" for e in EPSILONS))
TARGETS += ("noise", "blur", "jpeg")
SECONDS = ("seconds_train", "seconds_assess")
RANGES = dict.fromkeys(TARGETS, (0, 100)) | dict.fromkeys(SECONDS, (0, float("inf")))


@dataclass(frozen=True)
class Setting:
    """How networks are trained and attacked."""

    size: int = 8  # height and width of the images
    width: int = 16
    cells: int = 1
    n_train: int = 1000
    n_test: int = 1000
    n_attacked: int = 400  # the first of the test images
    epochs: int = 4
    batch: int = 64
    rate: float = 0.05
    decay: float = 5e-4
    steps: int = 4  # of PGD


SETTING = Setting()


# --- images -------------------------------------------------------------------------------------


def balanced(labels: NDArray[np.uint8], n: int, seed: int) -> NDArray[np.intp]:
    """Draw rows of n images, as many of each class, in random order."""
    random = np.random.default_rng(seed)
    rows = [random.permutation(np.flatnonzero(labels == c))[: n // CLASSES] for c in range(CLASSES)]
    return random.permutation(np.concatenate(rows))


def shrink(images: NDArray[np.floating], size: int) -> Tensor:
    """Shrink images by means over windows (adaptive average pooling).

    Parameters
    ----------
    images : ndarray of shape (n, 28, 28)
        Pixels in 0..1.
    size : int
        Height and width of the result; windows overlap where 28 is no multiple of it.

    Returns
    -------
    Tensor of shape (n, 1, size, size), float32

    Raises
    ------
    ValueError
        The size is not a multiple of 4 from 4 to 28.
    """
    if size % 4 or not 4 <= size <= 28:
        raise ValueError(
            f"size={size}: the networks halve images twice, so it must be a multiple of 4 up to "
            "28. Use 12 or 16."
        )
    pixels = torch.from_numpy(images.astype(np.float32))[:, None]
    return nn.functional.adaptive_avg_pool2d(pixels, size)


def jpeg(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """One image through JPEG."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=JPEG_QUALITY)
    return np.asarray(Image.open(stream))


def corruptions(images: NDArray[np.uint8]) -> dict[str, NDArray[np.floating]]:
    """The images in 0..1 with noise, blurred, and compressed; always the same."""
    pixels = images / 255
    noise = np.random.default_rng(0).normal(scale=NOISE_SD, size=pixels.shape)
    return {
        "noise": np.clip(pixels + noise, 0, 1),
        "blur": gaussian_filter(pixels, (0, BLUR_SD, BLUR_SD)),
        "jpeg": np.stack([jpeg(image) for image in images]) / 255,
    }


@dataclass(frozen=True)
class Data:
    """The images of a setting; pixels in 0..1."""

    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    corrupted: dict[str, Tensor]
    mean: float
    sd: float


def load(folder: Path, setting: Setting) -> Data:
    """Read, draw and shrink."""
    images, labels = fashion_mnist.read(folder, "train")
    rows = balanced(labels, setting.n_train, 0)
    train = shrink(images[rows] / 255, setting.size)
    train_labels = torch.from_numpy(labels[rows].astype(np.int64))
    images, labels = fashion_mnist.read(folder, "t10k")
    rows = balanced(labels, setting.n_test, 1)
    test = shrink(images[rows] / 255, setting.size)
    test_labels = torch.from_numpy(labels[rows].astype(np.int64))
    corrupted = {k: shrink(v, setting.size) for k, v in corruptions(images[rows]).items()}
    mean, sd = train.mean().item(), train.std().item()
    return Data((train, train_labels), (test, test_labels), corrupted, mean, sd)


# --- training -----------------------------------------------------------------------------------


class Normalise(nn.Module):
    """Pixels in 0..1 to mean 0 and deviation 1; part of the network, so that attacks see pixels."""

    def __init__(self, mean: float, sd: float) -> None:
        super().__init__()
        self.mean, self.sd = mean, sd

    def forward(self, x: Tensor) -> Tensor:
        """The same, scaled."""
        return (x - self.mean) / self.sd


def train(cell: tuple[int, ...], seed: int, data: Data, setting: Setting) -> nn.Module:
    """Train a network: SGD with Nesterov momentum, the rate up and down in one cycle.

    The first weights depend on the seed and the cell, the order of the images on the seed.
    """
    weights = seed_of(seed, SPACE.name, cell)
    network = build_network(
        cell, SPACE, setting.width, setting.cells, CLASSES, in_channels=1, random_state=weights
    )
    network = nn.Sequential(Normalise(data.mean, data.sd), network).train()
    network = network.to(memory_format=torch.channels_last)  # a third faster
    optimiser = torch.optim.SGD(
        network.parameters(),
        setting.rate,
        momentum=0.9,
        weight_decay=setting.decay,
        nesterov=True,
        fused=True,
    )
    images, labels = data.train
    batches = len(labels) // setting.batch
    steps = setting.epochs * batches
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, setting.rate, total_steps=steps)
    random = torch.Generator().manual_seed(seed)
    for _ in range(setting.epochs):
        order = torch.randperm(len(labels), generator=random)
        for rows in order[: batches * setting.batch].view(batches, -1):
            loss = nn.functional.cross_entropy(network(images[rows]), labels[rows])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
    return fold(network.eval()).requires_grad_(False)


def fold(network: nn.Module) -> nn.Module:
    """Put each batch norm into the convolution before it: the same function, faster."""
    for module in list(network.modules()):
        pairs = list(pairwise(module)) if isinstance(module, nn.Sequential) else []
        for k, (first, second) in enumerate(pairs):
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                module[k], module[k + 1] = fuse_conv_bn_eval(first, second), nn.Identity()
    return network


# --- attacks ------------------------------------------------------------------------------------


def gradient(network: nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient of the cross-entropy in the images, and which images are classified right."""
    images = images.clone().requires_grad_()
    logits = network(images)
    loss = nn.functional.cross_entropy(logits, labels, reduction="sum")
    return torch.autograd.grad(loss, images)[0], logits.argmax(1) == labels


def right(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Which images are classified right."""
    with torch.inference_mode():
        predicted = [network(part).argmax(1) for part in images.split(500)]
    return torch.cat(predicted) == labels


def fgsm(images: Tensor, slope: Tensor, epsilon: float) -> Tensor:
    """The fast gradient sign method (Goodfellow et al., 2015), given the gradient."""
    return (images + epsilon * slope.sign()).clamp(0, 1)


def pgd(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    epsilon: float,
    steps: int,
    step_size: float | None = None,
    slope: Tensor | None = None,
) -> Tensor:
    """Projected gradient descent in the L-infinity ball (Madry et al., 2018), from its centre.

    An image stays as it is once it is classified wrong.

    Parameters
    ----------
    network : Module
        In evaluation mode; it takes pixels in 0..1.
    images : Tensor of shape (n, channels, height, width)
        Pixels in 0..1.
    labels : Tensor of shape (n,)
    epsilon : float
        Largest change of a pixel.
    steps : int
    step_size : float, optional
        2.5 epsilon / steps by default, but at most epsilon.
    slope : Tensor, optional
        The gradient at the images, if it is known and all are classified right.

    Returns
    -------
    Tensor
        The images attacked.
    """
    if step_size is None:
        step_size = min(2.5 / steps, 1) * epsilon
    low, high = (images - epsilon).clamp(min=0), (images + epsilon).clamp(max=1)
    attacked, alive = images.clone(), torch.arange(len(images))
    for step in range(steps):
        if step or slope is None:
            slope, good = gradient(network, attacked[alive], labels[alive])
            alive, slope = alive[good], slope[good]
        if not len(alive):
            break
        moved = attacked[alive] + step_size * slope.sign()
        attacked[alive] = moved.clamp(low[alive], high[alive])
    return attacked


def assess(network: nn.Module, data: Data, setting: Setting) -> dict[str, float]:
    """Accuracies in per cent.

    Under attack an image counts as right if it is so with and without the attack, for PGD also
    with each smaller epsilon, whose ball lies within the larger.
    """
    images, labels = data.test
    good = right(network, images, labels)
    shares = {"accuracy": good.float().mean().item()}
    n = setting.n_attacked
    images, alive = images[:n][good[:n]], labels[:n][good[:n]]
    slopes = [gradient(network, x, y)[0] for x, y in _parts(images, alive)]
    slope = torch.cat(slopes) if slopes else images
    for epsilon in EPSILONS:
        attacked = fgsm(images, slope, epsilon / 255)
        shares[f"fgsm_{epsilon}"] = right(network, attacked, alive).sum().item() / n
    for epsilon in EPSILONS:
        kept = torch.ones(len(images), dtype=torch.bool)
        for part, x, y, g in _parts(torch.arange(len(images)), images, alive, slope):
            attacked = pgd(network, x, y, epsilon / 255, setting.steps, slope=g)
            kept[part] = right(network, attacked, y)
        images, alive, slope = images[kept], alive[kept], slope[kept]
        shares[f"pgd_{epsilon}"] = len(images) / n
    for name, corrupted in data.corrupted.items():
        shares[name] = right(network, corrupted, labels).float().mean().item()
    return {name: 100 * shares[name] for name in TARGETS}


def _parts(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    if len(tensors[0]):
        yield from zip(*(tensor.split(500) for tensor in tensors), strict=True)


# --- sample, runs, table ------------------------------------------------------------------------


def ordered_cells(seed: int = 0) -> NDArray[np.int8]:
    """All valid cells; each beginning is a sample stratified by the number of convolutions."""
    cells = SPACE.enumerate()
    cells = cells[SPACE.is_valid(cells)]
    convolutions = np.isin(cells, [2, 3]).sum(axis=1)
    cells_order, place = np.random.default_rng(seed).permutation(len(cells)), np.empty(len(cells))
    for stratum in np.unique(convolutions):
        rows = cells_order[convolutions[cells_order] == stratum]
        place[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
    return cells[np.argsort(place, kind="stable")]


def measure(cell: tuple[int, ...], seed: int, data: Data, setting: Setting) -> dict[str, float]:
    """Train and assess; the seconds are CPU time."""
    start = time.process_time()
    network = train(cell, seed, data, setting)
    between = time.process_time()
    shares = assess(network, data, setting)
    spent = (between - start, time.process_time() - between)
    return shares | dict(zip(SECONDS, spent, strict=True))


TRAINING = digest(measure, Data, Setting)  # the code that trains and attacks


def runs(
    cells: NDArray[np.int8], data: Data, setting: Setting, cache: Path, until: float = np.inf
) -> pd.DataFrame:
    """Train each cell with each seed; each training is kept as it ends, and not done again.

    What is kept goes by all that decides it: the code, the setting, the images, the processor and
    the versions of the libraries.

    Parameters
    ----------
    cells : ndarray of shape (n, 6), int8
    data : Data
    setting : Setting
    cache : Path
        Folder of finished trainings.
    until : float
        No cell is begun after this time, in seconds as `time.time` counts.

    Returns
    -------
    DataFrame
        One row per cell and seed; cells that lack a seed are left out.
    """
    store = Store(cache, RANGES)
    decides = digest(
        TRAINING, EPSILONS, NOISE_SD, BLUR_SD, JPEG_QUALITY, data, setting, conditions()
    )
    rows = []
    for number, code in enumerate(cells.tolist()):
        keys = {seed: digest(decides, code, seed) for seed in SEEDS}
        results = {seed: store.read(key) for seed, key in keys.items()}
        todo = [seed for seed in SEEDS if results[seed] is None]
        if todo and time.time() > until:
            continue
        for seed in todo:
            results[seed] = measure(tuple(code), seed, data, setting)
            store.write(keys[seed], results[seed])
        if todo and number % 25 == 0:
            print(f"{number} cells", flush=True)
        for seed in SEEDS:
            rows.append({"architecture": str(tuple(code)), "seed": seed, **results[seed]})
    return pd.DataFrame(rows)


def agreement(frame: pd.DataFrame) -> pd.DataFrame:
    """How far two trainings of a cell agree, one row per target.

    Parameters
    ----------
    frame : DataFrame
        From `runs`.

    Returns
    -------
    DataFrame
        ``target``; ``kendall_tau`` of seed 0 with seed 1; ``between_cells``, the share of the
        variance that lies between cells (one-way analysis of variance, ICC(1): (MSB - MSW) /
        (MSB + MSW) with two seeds); ``sd_between`` and ``sd_seeds``, the components as standard
        deviations in percentage points; ``mean``, ``n`` cells.
    """
    rows = []
    for target in TARGETS:
        values = frame.pivot(index="architecture", columns="seed", values=target).to_numpy()
        n, k = values.shape
        between = k * values.mean(axis=1).var(ddof=1)  # MSB
        within = values.var(axis=1, ddof=1).mean()  # MSW
        rows.append(
            {
                "target": target,
                "n": n,
                "mean": values.mean(),
                "kendall_tau": kendalltau(values[:, 0], values[:, 1]).statistic,
                "between_cells": (between - within) / (between + (k - 1) * within),
                "sd_between": max(between - within, 0) ** 0.5 / k**0.5,
                "sd_seeds": within**0.5,
            }
        )
    return pd.DataFrame(rows)


_TRIED = replace(SETTING, n_attacked=500, epochs=5, rate=0.1)
_NARROW = replace(_TRIED, width=8, n_train=2000)
CANDIDATES = {
    "chosen": SETTING,
    "5 epochs": replace(_TRIED, rate=0.05),
    "5 epochs, rate 0.1": _TRIED,
    "1 epoch of 4000, rate 0.1": replace(_TRIED, n_train=4000, epochs=1),
    "32 channels, batch 32, 2 epochs, rate 0.1": replace(_TRIED, width=32, batch=32, epochs=2),
    "8 channels, batch 128, 5 epochs of 2000, rate 0.1": replace(_NARROW, batch=128),
    "8 channels, batch 128, 5 epochs of 2000, rate 0.3": replace(_NARROW, batch=128, rate=0.3),
    "8 channels, 3 epochs of 2000, rate 0.1": replace(_NARROW, epochs=3),
    "8 channels, 12 pixels, 2 epochs of 2000, rate 0.1": replace(_NARROW, size=12, epochs=2),
}


def try_settings(folder: Path, cache: Path, n: int = 24) -> None:
    """Compare settings on the first cells of the order."""
    for name, setting in CANDIDATES.items():
        frame = runs(ordered_cells()[:n], load(folder, setting), setting, cache)
        seconds = frame[list(SECONDS)].mean()
        rows = agreement(frame).assign(setting=name, **seconds)
        facts = {"recipe": "data/recipes/nb201_fashion.py --trials", "setting": asdict(setting)}
        merge_results(TRIALS, rows, ["setting"], **facts)
        means = rows[["kendall_tau", "between_cells"]].mean().round(3).tolist()
        print(f"{name}: {seconds.sum():.2f} s, mean tau and share between cells {means}")


def table_of(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per cell, in the order of the sample: means over the seeds, then each seed."""
    wide = frame.pivot(index="architecture", columns="seed")
    names = list(dict.fromkeys(frame["architecture"]))
    columns: dict[str, object] = {"architecture": names}
    for target in TARGETS:
        columns[target] = wide[target].mean(axis=1)[names].to_numpy()
    for target in TARGETS:
        for seed in SEEDS:
            columns[f"{target}_seed{seed}"] = wide[target, seed][names].to_numpy()
    return pd.DataFrame(columns)


def facts_of(frame: pd.DataFrame) -> dict[str, object]:
    """What the metadata of the tables say."""
    return {
        "source": fashion_mnist.SOURCE,
        "recipe": "data/recipes/nb201_fashion.py",
        "setting": asdict(SETTING),
        "epsilons_255": EPSILONS,
        "noise_sd": NOISE_SD,
        "blur_sd": BLUR_SD,
        "jpeg_quality": JPEG_QUALITY,
        "pillow": pillow_version,
        "torch": torch.__version__,
        "vectors": torch.backends.cpu.get_cpu_capability(),
        "cpu_seconds": round(float(frame[list(SECONDS)].to_numpy().sum())),
    }


def arguments_of() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=np.inf, help="start no cell after these")
    parser.add_argument("--folder", type=Path, default=fashion_mnist.FOLDER)
    parser.add_argument("--cache", type=Path, default=ROOT / "_build" / "nb201-fashion")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--trials", action="store_true", help="compare settings")
    return parser.parse_args()


def main() -> None:
    """Train, attack and write; what is computed is kept, also where the table is refused."""
    options = arguments_of()
    until = time.time() + 60 * options.minutes
    torch.set_num_threads(1)
    gc.freeze()  # what is there by now need not be looked through again
    if options.trials:
        try_settings(options.folder, options.cache)
        return
    cells = ordered_cells()[: options.cells]
    frame = runs(cells, load(options.folder, SETTING), SETTING, options.cache, until)
    if frame.empty:
        raise SystemExit("no cell is finished yet. Give more --minutes, and --cells from 1 on.")
    table, noise, facts = table_of(frame), agreement(frame), facts_of(frame)
    output = options.output
    forbid_loss(output, table, ["architecture"])
    write_table(table, output, **facts)
    write_table(noise, NOISE if output == OUTPUT else output.with_suffix(".noise.parquet"), **facts)
    print(noise.round(3).to_string(index=False))
    content = output.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    print(f"{output}: {len(table)} rows, bytes = {len(content)}, sha256 = {sha256}")


if __name__ == "__main__":
    main()
