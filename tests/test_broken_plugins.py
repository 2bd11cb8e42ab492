"""A package beside slts that cannot be imported is one line that names it; what does not need it goes on."""

import pytest

from slts.cli import run
from slts.errors import UserError
from slts.metrics.columns import _listed
from slts.schema import conf_dirs


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a package ``broken`` with entry points, whose modules are what is given."""

    def installed(entries: str, **modules: str) -> None:
        facts = tmp_path / "broken_things-1.0.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-things\nVersion: 1.0\n")
        (facts / "entry_points.txt").write_text(entries)
        for name, text in modules.items():
            (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path))
        conf_dirs.cache_clear()

    yield installed
    monkeypatch.undo()
    conf_dirs.cache_clear()


def refused(verb: str, arguments: list[str], capsys) -> str:
    assert run(verb, arguments) == 2
    said = capsys.readouterr().err.strip()
    assert len(said.splitlines()) == 1 and "broken-things" in said and "uninstall" in said
    return said


@pytest.mark.parametrize(
    ("text", "why"),
    [("import no_such_library", "no_such_library"), ("raise SystemExit(3)", "SystemExit"), ("x = 1 +", "SyntaxError"),
     ("raise RuntimeError('one\\ntwo')", "one two")],
)  # fmt: skip
def test_a_corpus_that_cannot_be_imported(install, tmp_path, capsys, text, why):
    install("[slts.corpora]\ngrid = broken_corpus:reader\n", broken_corpus=text)
    assert why in refused("prepare", ["corpus=grid", f"root={tmp_path}", f"out={tmp_path}/out"], capsys)
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())


@pytest.mark.parametrize("group", ["slts.systems", "slts.tasks"])
def test_a_system_that_cannot_be_imported_stops_only_its_own_task(install, tmp_path, capsys, group):
    install(f"[{group}]\nsyncnet = broken_system:task\n", broken_system="import no_such_library")
    assert group in refused("train", ["experiment=syncnet_cpu", "data=x", "name=y"], capsys)
    assert run("train", ["data=x", "name=y", f"runs={tmp_path}"]) == 2
    assert "no corpus.json" in capsys.readouterr().err


def test_a_metric_that_cannot_be_imported(install):
    install("[slts.metrics]\nloud = broken_metric:LOUD\n", broken_metric="1 / 0")
    with pytest.raises(UserError, match=r"plug-in loud .*slts\.metrics\) of broken-things .*ZeroDivisionError"):
        _listed()


@pytest.mark.parametrize("value", ["nowhere.at.all", "broken_conf"])
def test_a_folder_of_options_that_is_not_there(install, capsys, value):
    install(f"[slts.conf]\nmine = {value}\n", broken_conf="")
    assert "slts.conf" in refused("train", ["--help"], capsys)
