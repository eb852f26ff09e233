"""What GitHub reads: workflows, issue forms, dependabot; and pre-commit beside the Makefile."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from test_repository import read_pins

ROOT = Path(__file__).resolve().parent.parent
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted(path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")
COMMAND = re.compile(r"bash \.ci/run|make ([a-z]+)( [A-Z]+=\S+)*")
ACTION = re.compile(r"[\w-]+/[\w-]+@v\d+")
MAY_WRITE = {("build", "publish"): {"pages": "write", "id-token": "write"}}
"""What the jobs of a workflow may do beyond reading the repository."""


def read(path: Path) -> dict:
    """A YAML file, with the key ``on`` as GitHub reads it (YAML 1.1 takes it for true)."""
    content = yaml.safe_load(path.read_text(encoding="utf8"))
    return {"on" if key is True else key: value for key, value in content.items()}


def make_targets() -> set[str]:
    """Targets of the Makefile that are commands."""
    text = (ROOT / "Makefile").read_text(encoding="utf8")
    return set(re.search(r"^\.PHONY: (.+)$", text, re.MULTILINE)[1].split())


def workflow_faults(name: str, workflow: dict) -> list[str]:
    """What a workflow lacks, or should not do."""
    faults = [key for key in ("name", "on", "permissions", "concurrency", "jobs")
              if not workflow.get(key)]  # fmt: skip
    if workflow.get("permissions") != {"contents": "read"}:
        faults.append("a workflow may read the repository; a job that needs more says so")
    for title, job in workflow.get("jobs", {}).items():
        if job.get("permissions", {}) != MAY_WRITE.get((name, title), {}):
            faults.append(f"{title}: permissions {job.get('permissions')}")
        faults += [f"{title}: no {key}" for key in ("runs-on", "timeout-minutes") if key not in job]
        if not set([job["needs"]] if "needs" in job else []) <= set(workflow["jobs"]):
            faults.append(f"{title} needs what is not there")
        for step in job.get("steps", []):
            if ("run" in step) == ("uses" in step):
                faults.append(f"{title}: a step runs a command or uses an action: {step}")
            elif "uses" in step and not ACTION.fullmatch(step["uses"]):
                faults.append(f"{title}: {step['uses']!r} is not pinned by its major version")
            elif "run" in step:
                command = COMMAND.fullmatch(step["run"].strip())
                if not command or (command[1] and command[1] not in make_targets()):
                    faults.append(f"{title}: {step['run']!r} is neither .ci/run nor a make target")
    return faults


def form_faults(form: dict) -> list[str]:
    """What GitHub would refuse in an issue form."""
    faults = [key for key in ("name", "description", "body") if not form.get(key)]
    unknown = set(form) - {"name", "description", "title", "labels", "assignees", "type", "body"}
    faults += [f"unknown key {key}" for key in unknown]
    asked = [part for part in form.get("body", []) if part.get("type") != "markdown"]
    for key, values in {
        "id": [part.get("id") for part in asked],
        "label": [part.get("attributes", {}).get("label") for part in asked],
    }.items():
        if not values or None in values or len(values) != len(set(values)):
            faults.append(f"every question has {key} of its own")
    for part in asked:
        if part.get("type") not in {"input", "textarea", "dropdown", "checkboxes"}:
            faults.append(f"unknown type {part.get('type')}")
        options = part.get("attributes", {}).get("options", [])
        if part.get("type") in {"dropdown", "checkboxes"} and not options:
            faults.append(f"{part.get('id')}: no options")
        if part.get("type") == "dropdown" and len(options) != len(set(options)):
            faults.append(f"{part.get('id')}: an option twice")
    return faults


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflow(path):
    assert not workflow_faults(path.stem, read(path))


def test_workflows_do_what_the_project_needs():
    build, weekly = (read(GITHUB / "workflows" / f"{name}.yml") for name in ("build", "weekly"))
    assert {"push", "pull_request"} <= set(build["on"])
    assert build["on"]["push"] == {"branches": ["main"]}
    (command,) = [step["run"] for step in build["jobs"]["build"]["steps"] if "run" in step]
    assert command == "bash .ci/run"
    kept = [step for step in build["jobs"]["build"]["steps"] if "upload" in step.get("uses", "")]
    assert [step["with"]["path"] for step in kept] == ["_build/html", "_build/html"]
    condition = "github.ref == 'refs/heads/main' && github.event_name != 'pull_request'"
    assert build["jobs"]["publish"]["needs"] == "build"
    assert condition in build["jobs"]["publish"]["if"]
    assert condition in kept[1]["if"]
    assert list(weekly["on"]) == ["schedule", "workflow_dispatch"]
    commands = str(weekly["jobs"])
    for needed in ("make newest", "make floors", "lychee-action"):
        assert needed in commands


GOOD = {
    "name": "w",
    "on": {"push": None},
    "permissions": {"contents": "read"},
    "concurrency": {"group": "w"},
    "jobs": {
        "a": {"runs-on": "x", "timeout-minutes": 1, "steps": [{"run": "make test"}]},
        "b": {"runs-on": "x", "timeout-minutes": 1, "steps": [{"uses": "a/b@v1"}], "needs": "a"},
    },
}


@pytest.mark.parametrize(
    "change",
    [
        {"permissions": {"contents": "write"}},
        {"concurrency": None},
        *[
            {"jobs": {"a": {"runs-on": "x", "timeout-minutes": 1} | change}}
            for change in (
                {"steps": [{"run": "pytest"}]},
                {"steps": [{"run": "make nothing"}]},
                {"steps": [{"run": "make test; rm -r x"}]},
                {"steps": [{"uses": "a/b@main"}]},
                {"steps": [{"uses": "a/b@v1", "run": "make test"}]},
                {"permissions": {"contents": "write"}},
                {"needs": "z"},
            )
        ],
        {"jobs": {"a": {"runs-on": "x", "steps": []}}},
    ],
)
def test_a_workflow_fault_is_seen(change):
    assert not workflow_faults("w", GOOD)
    assert len(workflow_faults("w", GOOD | change)) == 1


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_issue_form(path):
    assert not form_faults(read(path))


def test_there_is_a_form_for_each_kind():
    assert [path.stem for path in FORMS] == ["bug", "claim", "table"]
    config = read(GITHUB / "ISSUE_TEMPLATE" / "config.yml")
    assert all({"name", "url", "about"} == set(link) for link in config["contact_links"])


QUESTION = {"type": "input", "id": "a", "attributes": {"label": "A"}}
OTHER = {"type": "dropdown", "id": "b", "attributes": {"label": "B", "options": ["x", "y"]}}


@pytest.mark.parametrize(
    "change",
    [
        {"description": ""},
        {"other": 1},
        {"body": [QUESTION, QUESTION | {"id": "b"}]},
        {"body": [QUESTION, OTHER | {"id": "a"}]},
        {"body": [QUESTION | {"type": "text"}]},
        {"body": [OTHER | {"attributes": {"label": "B"}}]},
        {"body": [OTHER | {"attributes": {"label": "B", "options": ["x", "x"]}}]},
    ],
)
def test_a_form_fault_is_seen(change):
    form = {"name": "f", "description": "d", "body": [QUESTION, OTHER]}
    assert not form_faults(form)
    assert len(form_faults(form | change)) == 1


def test_dependabot_leaves_jupyter_book_at_1():
    config = read(GITHUB / "dependabot.yml")
    assert config["version"] == 2
    updates = {update["package-ecosystem"]: update for update in config["updates"]}
    assert set(updates) == {"pip", "github-actions"}
    assert all("schedule" in update for update in updates.values())
    assert updates["pip"]["directories"] == ["/", "/.binder"]
    ignored = {rule["dependency-name"]: rule["versions"] for rule in updates["pip"]["ignore"]}
    assert ignored["jupyter-book"] == [">=2"]
    assert set(ignored) <= set(read_pins(ROOT / "requirements.txt"))


def test_pre_commit_does_what_make_does():
    (repo,) = read(ROOT / ".pre-commit-config.yaml")["repos"]
    hooks = {hook["id"]: hook for hook in repo["hooks"]}
    pins = read_pins(ROOT / "requirements.txt")
    for name, package in {
        "ruff": "ruff",
        "ruff-format": "ruff",
        "nbstripout": "nbstripout",
    }.items():
        assert hooks[name]["additional_dependencies"] == [f"{package}=={pins[package]}"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf8")
    strip = re.search(r"-m (nbstripout .+) notebooks/\*\.ipynb", makefile)[1]
    assert hooks["nbstripout"]["entry"] == strip
    assert "-m ruff check ." in makefile
    assert hooks["ruff"]["entry"] == "ruff check --force-exclude"
    assert "-m ruff format --check ." in makefile
    assert hooks["ruff-format"]["entry"] == "ruff format --force-exclude"
