"""What it takes to read each page of the built site: weight, and requests to other hosts.

``python benchmarks/site_weight.py [FOLDER]`` opens every page in Chromium, which can reach nothing
but a server on this machine, each time as somebody's first page (nothing cached). kB are 1,000
bytes: of the HTML file, of the same compressed as servers send it (gzip), and of all that the page
loads. FOLDER is ``_build/html`` unless said otherwise.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import pandas as pd
from site_tools import browser, open_tab, serve, site_dir


def size_of(headers: dict[str, str]) -> int:
    """Bytes of an answer as our server says them; of what stands in the page itself, none."""
    return int(headers.get("content-length", 0))


def weigh(chromium, address: str, page: Path, name: str) -> dict:
    """Open a page as the first of a visit; add up what arrived and what was asked elsewhere."""
    tab = open_tab(chromium, address, 1280, "light")
    files: dict[str, int] = {}
    tab.on("response", lambda answer: files.setdefault(answer.url, size_of(answer.headers)))
    tab.goto(f"{address}/{name}", wait_until="networkidle")
    html = page.read_bytes()
    row = {
        "page": name,
        "HTML kB": len(html) / 1000,
        "HTML gzip kB": len(gzip.compress(html)) / 1000,
        "total kB": sum(files.values()) / 1000,
        "files": len(files),
        "other hosts": len(tab.elsewhere),
        "asked": " ".join(tab.elsewhere),
    }
    tab.context.close()
    return row


def main(folder: Path) -> None:
    """Print one row per page, the heaviest first, and the sums."""
    paths = sorted(path for path in folder.rglob("*.html") if "_static" not in path.parts)
    if not paths:
        sys.exit(f"No page in {folder}: make book builds the site into _build/html.")
    with serve(folder) as address, browser() as chromium:
        names = [path.relative_to(folder).as_posix() for path in paths]
        rows = [weigh(chromium, address, *pair) for pair in zip(paths, names, strict=True)]
    frame = pd.DataFrame(rows).sort_values("HTML kB", ascending=False)
    print(frame.to_string(index=False, float_format="{:.0f}".format))
    print(f"\n{len(frame)} pages; the heaviest HTML {frame['HTML kB'].max():.0f} kB; ", end="")
    print(f"{frame['other hosts'].sum()} requests to other hosts")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else site_dir())
