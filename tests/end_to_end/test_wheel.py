"""A wheel built from the checkout works away from it."""

import os
import subprocess
import sys
import zipfile

from conftest import ROOT

from slts import __version__


def test_a_wheel_carries_the_config_and_works_elsewhere(tmp_path):
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", tmp_path, ROOT]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    [wheel] = tmp_path.glob("slts-*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    facts = next((tmp_path / "site").glob("*.dist-info/METADATA")).read_text()
    assert wheel.name.split("-")[1] == __version__ and f"\nVersion: {__version__}\n" in facts
    names = {p.relative_to(tmp_path / "site").parts[0] for p in (tmp_path / "site").rglob("*") if p.is_file()}
    assert {n for n in names if not n.endswith(".dist-info")} == {"slts"}
    code = (
        "import sys, slts, slts.schema, slts.cli; print(slts.__file__, slts.schema.conf_dir());"
        "sys.argv = ['slts', 'train', '--help', 'all', 'experiment=quickstart']; slts.cli.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(f"{tmp_path}/site/slts/__init__.py {tmp_path}/site/slts/conf\n")
    assert "task.radius=30" in done.stdout
    asked = [sys.executable, "-m", "slts.cli", "--version"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    assert subprocess.check_output(asked, cwd=tmp_path, env=environment, text=True) == f"slts {__version__}\n"
