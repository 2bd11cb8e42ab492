"""What slts evaluate publishes to W&B is what the tables read back; only the server is replaced."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import wandb
from run_folders import corpus_json, result, write_clips, write_run

from slts.config import compose
from slts.errors import UserError
from slts.reporting.paper import table2
from slts.reporting.project import runs_folder
from slts.reporting.published import load_published
from slts.reporting.results import load_clips, load_results
from slts.training.run_directory import RunDirectory
from slts.training.tracking import Tracking, publish_scores

CORPUS = corpus_json(profile="lagged")


class File:
    """What slts uses of a file of a W&B run."""

    def __init__(self, name: str, content: Path):
        self.name, self.content = name, content

    def download(self, root: str, replace: bool) -> None:
        (Path(root) / self.name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.content, Path(root) / self.name)


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> tuple[Path, Path]:
    """A run that was tracked offline, scored on two splits and published after each; and what would be synced."""
    runs = tmp_path_factory.mktemp("published")
    config, _ = compose("train", ["data=d", "name=a", "tracking.group=tau"])
    rows = [result(CORPUS), result(CORPUS, split="val", stoi=0.4)]
    folder = write_run(runs / "a", CORPUS, rows[:1])
    write_clips(folder, rows[0], [0, 10, 20, 30], [5, 15, 20, 35], [0, 10, 20, 30])
    Tracking(config, RunDirectory(folder), 0, None).close()
    publish_scores(config, RunDirectory(folder))
    shutil.rmtree(folder / "samples")
    write_clips(folder, rows[1], [0, 10, 20, 30], [5, 15, 20, 35], [0, 10, 20, 30])
    write_run(runs / "b", CORPUS, rows)
    shutil.copy(runs / "b" / "results.jsonl", folder)
    shutil.rmtree(runs / "b")
    publish_scores(config, RunDirectory(folder))
    wandb.teardown()  # else processes that later tests start share this one's W&B service
    return runs, folder / "wandb"


@pytest.fixture
def project(published, monkeypatch, tmp_path):
    """A project with the published run and another of its name and group; gives what was asked of it."""
    [segment] = published[1].glob("offline-run-*-scores")
    files = segment / "files"
    stored = [File(file.relative_to(files).as_posix(), file) for file in sorted(files.rglob("*")) if file.is_file()]
    stored.append(File("a/../../outside", stored[0].content))
    asked = {}

    def runs(path, filters, order):
        asked.update(path=path, **filters)
        return [SimpleNamespace(id=name, name="a", group="tau", files=lambda: stored) for name in ("first", "second")]

    monkeypatch.setenv("SLTS_CACHE", str(tmp_path))
    monkeypatch.setattr(wandb, "Api", lambda: SimpleNamespace(runs=runs))
    return asked


def test_each_evaluation_replaces_the_scores_and_leaves_the_training(published):
    _, folder = published
    ours = (folder / "id").read_text()
    assert sorted(path.name.split("-", 3)[3] for path in folder.glob("offline-run-*")) == [ours, f"{ours}-scores"]
    [scores] = folder.glob("offline-run-*-scores")
    assert not (folder / "replaced").exists() and not any(file.is_symlink() for file in (scores / "files").rglob("*"))


def test_a_project_gives_the_rows_clips_and_samples_of_its_runs(published, project, tmp_path):
    there, here = load_results(runs_folder("wandb:lab/lips")), load_results(published[0])
    assert project == {"path": "lab/lips", "jobType": "scores"}
    assert there["run"].unique().tolist() == ["tau/a", "tau/second/a"]
    first = there[there["run"] == "tau/a"]
    same = ["system", "corpus", "split", "sync", "stoi", "a_mcd", "offset_r2_frontend", "w_wer"]
    assert first[same].reset_index(drop=True).equals(here[same])
    assert all(load_clips(row) is not None for _, row in first.iterrows())
    assert (first["path"].iloc[0] / "samples" / "val" / "v1-00000-x.png").is_file()
    assert "stoi_low" in table2(there, load_published()).frame
    assert {path.name for path in (tmp_path / "wandb" / "lab" / "lips").iterdir()} == {"tau"}
    assert not list(tmp_path.rglob("outside"))


def test_without_tracking_nothing_is_published(tmp_path):
    config, _ = compose("train", ["data=d", "name=a", "tracking=none"])
    publish_scores(config, RunDirectory(write_run(tmp_path / "a", CORPUS, [result(CORPUS)])))
    assert not (tmp_path / "a" / "wandb").exists()


def test_a_project_that_cannot_be_read_is_named(monkeypatch, tmp_path):
    def refused(*_, **__):
        raise wandb.errors.CommError("no such project")

    monkeypatch.setenv("SLTS_CACHE", str(tmp_path))
    monkeypatch.setattr(wandb, "Api", lambda: SimpleNamespace(runs=refused))
    with pytest.raises(UserError, match=r"runs=wandb:lab/lips: .*no such project.*wandb login"):
        runs_folder("wandb:lab/lips")
    monkeypatch.setattr(wandb, "Api", lambda: SimpleNamespace(runs=lambda *_, **__: []))
    with pytest.raises(UserError, match="published scores"):
        runs_folder("wandb:lab/lips")
    assert runs_folder("some/runs") == Path("some/runs")
