"""data/README.md is one file for who reads the repository, and a page per table on the site."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "data" / "README.md").read_text(encoding="utf8")
PAGES = sorted((ROOT / "book").glob("data*.md"))


def test_every_part_stands_on_one_page():
    parts = re.findall(r"^<!-- page: (.+) -->$", README, re.MULTILINE)
    assert len(parts) == len(set(parts)) >= 8
    text = "".join(path.read_text(encoding="utf8") for path in PAGES)
    assert Counter(re.findall(r"<!-- page: (.+) -->", text)) == Counter(parts)
    assert text.count(':start-after: "<!-- page:') == len(parts)
    before = README.partition("<!-- page:")[0]
    assert "\n## " not in before, "a section stands before the first mark, on the page of all"


def test_no_page_has_two_embedded_tables_and_each_has_one():
    """A table's own sheets may stand together: its proxies, the images it was made of."""
    sheets = re.findall(r"^## Data sheet: .*\(tables? (.+), embedded\)$", README, re.MULTILINE)
    assert len(sheets) >= 5
    for part in README.split("<!-- page:")[1:]:
        found = re.findall(r"^## Data sheet: .*\(tables? `([a-z0-9-]+)`", part, re.MULTILINE)
        assert len(set(found)) <= 1, found


def test_the_page_of_all_names_the_others():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf8"))
    (part,) = [part for part in toc["parts"] if part["caption"] == "Data sheets"]
    listed = [Path(entry["file"]).name for entry in part["chapters"]]
    assert listed[0] == "data"
    assert sorted(listed) == [path.stem for path in PAGES]
    text = (ROOT / "book" / "data.md").read_text(encoding="utf8")
    assert re.findall(r"^\* \[\]\((.+)\.md\)$", text, re.MULTILINE) == listed[1:]
