"""What .github/ says is there: files, commands, and workflows that are read."""

import os
import re
import shutil
import subprocess

import pytest
import yaml
from conftest import ROOT
from packaging.version import Version

from slts import __version__
from slts.cli import VERBS

FOLDER = ROOT / ".github"
TEXTS = sorted(FOLDER.rglob("*.md"))
FORMS = sorted(FOLDER.glob("ISSUE_TEMPLATE/*.yml"))


@pytest.mark.parametrize("file", TEXTS, ids=lambda file: file.name)
def test_what_it_names_is_there(file):
    text = file.read_text()
    linked = [link.partition("#")[0] for link in re.findall(r"\]\((?!https://)([^)]+)\)", text)]
    assert all((file.parent / link).is_file() for link in linked)
    named = re.findall(r"`((?:slts|conf|tests|launch)/[\w./-]+)`", text)
    assert all("NAME" in path or (ROOT / path).exists() for path in named)
    assert {verb for verb in re.findall(r"`slts (\w+)", text) if verb != "VERB"} <= set(VERBS)
    for heading in re.findall(r"\.\./README\.md#([\w-]+)", text):
        assert f"## {heading.replace('-', ' ').capitalize()}\n" in (ROOT / "README.md").read_text()


def test_how_to_add_a_corpus_a_system_and_a_metric_names_two_files_each():
    sections = (FOLDER / "CONTRIBUTING.md").read_text().split("\n## ")
    for what in ("A corpus", "A system", "A metric"):
        [section] = [text for text in sections if text.startswith(f"{what}: two files")]
        assert len([line for line in section.splitlines() if line.startswith("| ") and "](" in line]) == 2


@pytest.mark.parametrize("file", FORMS, ids=lambda file: file.stem)
def test_forms_of_issues_are_forms(file):
    form = yaml.safe_load(file.read_text())
    if file.stem == "config":
        assert form == {"blank_issues_enabled": True}
        return
    assert {"name", "description", "body"} <= set(form)
    fields = [field["id"] for field in form["body"]]
    assert len(set(fields)) == len(fields) and all(field["attributes"]["label"] for field in form["body"])


def test_the_workflow_runs_what_ci_runs_by_the_scripts_of_the_project():
    workflow = yaml.safe_load((FOLDER / "workflows" / "test.yml").read_text())
    assert workflow["permissions"] == {"contents": "read"}
    commands = [step["run"] for step in workflow["jobs"]["test"]["steps"] if "run" in step]
    scripts = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line.startswith("launch/")]
    assert commands[:2] == scripts == ["launch/check.sh", "launch/test.sh"]
    assert all(os.access(ROOT / script, os.X_OK) for script in scripts)


def test_the_changelog_has_the_form_of_releases_and_a_tag_is_called_as_the_version():
    text = (FOLDER / "CHANGELOG.md").read_text()
    first, *released = re.findall(r"^## (.+)$", text, re.M)
    assert first == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}", heading) for heading in released)
    versions = [Version(heading[1 : heading.index("]")]) for heading in released]
    assert versions == sorted(set(versions), reverse=True) and all(one <= Version(__version__) for one in versions)
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.+)$", text, re.M)) <= kinds
    if (ROOT / ".git").exists() and shutil.which("git"):
        told = subprocess.run(["git", "tag", "--points-at", "HEAD", "v*"], cwd=ROOT, capture_output=True, text=True)
        assert set(told.stdout.split()) <= {f"v{__version__}"}
        assert not told.stdout.strip() or Version(__version__) in versions
