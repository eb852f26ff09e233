"""The first code cell of every chapter, for Colab: ``python tests/colab.py NOTEBOOK ...`` adds it.

In a fresh Colab machine the package is not there. The cell installs it from the repository and
leaves the machine's PyTorch and XGBoost as they are, since the package requires neither. Anywhere
else, and where the package is there already, it does nothing. On the site it is not shown.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from address import wanted

ID = "colab"


def source() -> str:
    """The code of the cell."""
    return "\n".join(
        [
            "import sys",
            "",
            'if "google.colab" in sys.modules:  # there, install the package; elsewhere do nothing',
            f'    package = "git+https://github.com/{wanted()}"',
            '    get_ipython().run_line_magic("pip", f"install --quiet {package}")',
        ]
    )


def add(notebook: dict) -> bool:
    """Put the cell before all other code; tell whether it was missing or another."""
    lines = source().splitlines(keepends=True)
    for cell in notebook["cells"]:
        if cell["id"] == ID:
            changed = cell["source"] != lines
            cell["source"] = lines
            return changed
    cell = {
        "cell_type": "code",
        "execution_count": None,
        "id": ID,
        "metadata": {"jupyter": {"source_hidden": True}, "tags": ["remove-cell"]},
        "outputs": [],
        "source": lines,
    }
    first = [cell["cell_type"] for cell in notebook["cells"]].index("code")
    notebook["cells"].insert(first, cell)
    return True


def main(names: list[str]) -> None:
    """Add the cell to the notebooks that lack it."""
    for name in names:
        path = Path(name)
        notebook = json.loads(path.read_text(encoding="utf8"))
        if add(notebook):
            text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
            path.write_text(text, encoding="utf8")
            print(f"{path.name}: added")


if __name__ == "__main__":
    main(sys.argv[1:])
