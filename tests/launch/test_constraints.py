"""constraints.txt contradicts neither itself nor pyproject.toml, on any Python and with any build of torch."""

import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from conftest import ROOT
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

PYTHONS = ["3.11", "3.12", "3.13"]


def requirements(file: Path) -> list[Requirement]:
    lines = (line.partition("#")[0].strip() for line in file.read_text().splitlines())
    return [Requirement(line) for line in lines if line]


TORCH, *OF_TORCH = requirements(Path(__file__).with_name("requirements_of_torch.txt"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"].values()
OURS = [Requirement(line) for lines in (PROJECT["dependencies"], *EXTRAS) for line in lines]


def pins(python: str) -> dict[str, Version]:
    """The pinned version of every package on a Linux machine with this Python."""
    found = {}
    for pin in requirements(ROOT / "constraints.txt"):
        if holds(pin, python):
            [exact] = pin.specifier
            assert exact.operator == "==", f"{pin} is no pin"
            assert canonicalize_name(pin.name) not in found, f"{pin.name} is pinned twice"
            found[canonicalize_name(pin.name)] = Version(exact.version)
    return found


def holds(requirement: Requirement, python: str) -> bool:
    machine = {"python_version": python, "python_full_version": f"{python}.0", "platform_machine": "x86_64",
               "platform_system": "Linux", "sys_platform": "linux", "os_name": "posix", "extra": ""}  # fmt: skip
    return requirement.marker is None or requirement.marker.evaluate(machine)


def contradictions(asker: str, asked: list[Requirement], pinned: dict[str, Version], python: str) -> list[str]:
    return [
        f"{asker} needs {wanted}, pinned is {pinned[name]}"
        for wanted in asked
        if (name := canonicalize_name(wanted.name)) in pinned
        and holds(wanted, python)
        and not wanted.specifier.contains(pinned[name], prereleases=True)
    ]


@pytest.mark.parametrize("python", PYTHONS)
def test_no_pin_contradicts_what_another_needs(python):
    pinned = pins(python)
    assert pinned["torch"] in TORCH.specifier, "requirements_of_torch.txt is of another torch than constraints.txt pins"
    found = contradictions("slts", OURS, pinned, python) + contradictions(f"{TORCH} of PyPI", OF_TORCH, pinned, python)
    read = 0
    for name, version in pinned.items():
        try:
            package = distribution(name)
        except PackageNotFoundError:  # an extra that is not installed, or a pin for another machine
            continue
        if Version(package.version).public != str(version):
            continue
        read += 1
        found += contradictions(f"{name} {version}", [Requirement(r) for r in package.requires or []], pinned, python)
        if limits := package.metadata["Requires-Python"]:
            needed = SpecifierSet(limits)
            if not needed.contains(f"{python}.0"):
                found.append(f"{name} {version} needs Python {limits}, not {python}")
    assert read > 50, "few of the pinned versions are installed; install with -c constraints.txt"
    assert not found, "\n".join(found)


def test_a_contradiction_is_found():
    wrong = {**pins("3.12"), "triton": Version("3.9.0")}
    assert contradictions("torch", OF_TORCH, wrong, "3.12") == [
        'torch needs triton==3.7.1; platform_system == "Linux" and python_version < "3.15", pinned is 3.9.0'
    ]


def test_nothing_is_pinned_for_one_build_of_torch():
    assert not [name for name in pins("3.11") if name.startswith(("nvidia-", "cuda-"))]
