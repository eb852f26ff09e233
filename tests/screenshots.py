"""Full-page pictures of every page: ``python tests/screenshots.py OUTDIR [PAGE ...]``."""

from __future__ import annotations

import sys
from pathlib import Path

from site_tools import MODES, WIDTHS, browser, open_tab, pages, serve, site_dir


def main(outdir: str, *chosen: str) -> None:
    out = Path(outdir)
    out.mkdir(parents=True, exist_ok=True)
    with serve(site_dir()) as address, browser() as chromium:
        for width in WIDTHS:
            for mode in MODES:
                tab = open_tab(chromium, address, width, mode)
                for page in chosen or [*pages(), "404", "search"]:
                    tab.goto(f"{address}/{page}.html", wait_until="load")
                    target = out / f"{page.replace('/', '-')}_{width}_{mode}.png"
                    tab.screenshot(path=target, full_page=True)
                    print(target)
                tab.context.close()


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(*sys.argv[1:])
