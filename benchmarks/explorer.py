"""The explorer: milliseconds from a click to the picture, and the bytes that the page loads.

Needs the built site and Chromium. In the page, opened as a file, an operation is chosen on a random
edge, and on every second turn *Random cell* is pressed; the clock stops when the browser has
painted the next frame, so that up to 17 ms of waiting for that frame are counted.
"""

from __future__ import annotations

import argparse
import gzip
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from site_tools import CHROMIUM, WIDTHS, browser, site_dir  # noqa: E402

CLICK = """async turn => {
  const pick = items => items[Math.floor(Math.random() * items.length)];
  const random = [...document.querySelectorAll("#explorer button")][0];
  const select = pick([...document.querySelectorAll(".stage select")]);
  const before = location.hash;
  const start = performance.now();
  if (turn % 2) random.click();
  else {
    select.value = (Number(select.value) + 1) % 5;
    select.dispatchEvent(new Event("change"));
  }
  const script = performance.now() - start;
  await new Promise(done => requestAnimationFrame(() => {
    const channel = new MessageChannel();  // its message comes after the frame is painted
    channel.port1.onmessage = done;
    channel.port2.postMessage(0);
  }));
  return [script, performance.now() - start, location.hash !== before];
}"""


def measure(chromium, width: int, clicks: int) -> np.ndarray:
    """Milliseconds of the script, and until the frame is painted, for each click."""
    tab = chromium.new_page(viewport={"width": width, "height": 900})
    tab.goto(f"{(site_dir() / 'book').as_uri()}/explorer.html", wait_until="load")
    results = [tab.evaluate(CLICK, turn) for turn in range(clicks)]
    if not all(changed for *_, changed in results):
        raise RuntimeError("a click changed nothing")
    tab.close()
    return np.array([times for *times, _ in results])


def print_bytes(folder: Path) -> None:
    """Print the size of the page and of each of its own files, as they are and after gzip."""
    static = folder / "_static"
    names = ("explorer_data.js", "cells.js", "explorer.js", "cells.css")
    for path in (folder / "book" / "explorer.html", *(static / name for name in names)):
        content = path.read_bytes()
        print(f"{path.name:18} {len(content):10,} bytes, {len(gzip.compress(content)):9,} gzipped")


def main() -> None:
    """Print bytes, and for each width the median, the 95 % quantile and the largest time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clicks", type=int, default=100)
    clicks = parser.parse_args().clicks
    if not (site_dir() / "book" / "explorer.html").is_file() or not Path(CHROMIUM).is_file():
        sys.exit(f"no explorer in {site_dir()}, or no Chromium: run make book first")
    print_bytes(site_dir())
    with browser() as chromium:
        for width in WIDTHS:
            times = measure(chromium, width, clicks)
            for name, values in zip(("script", "to the picture"), times.T, strict=True):
                middle, high = np.quantile(values, [0.5, 0.95])
                print(
                    f"{width:5} px, {clicks} clicks, {name:14}: median {middle:5.1f} ms, "
                    f"95 % {high:5.1f} ms, largest {values.max():5.1f} ms",
                    flush=True,
                )


if __name__ == "__main__":
    main()
