"""The workspace as W&B would get it, and the panels drawn from files."""

import json

import pytest
from matplotlib import pyplot as plt

from slts.commands import dashboard
from slts.config import compose
from slts.errors import UserError


def test_the_workspace_is_sent_with_every_panel(monkeypatch, capsys):
    from wandb_workspaces.workspaces import interface, internal

    sent = []

    def receive(view):
        sent.append(view)
        return {"upsertView": {"view": {"name": "nw-abc-v", "id": "1"}}}

    # Only what would speak to the server is replaced.
    monkeypatch.setattr(internal, "upsert_view2", receive)
    monkeypatch.setattr(interface.wandb, "Api", lambda: None)
    monkeypatch.setattr(interface, "get_app_url", lambda _: "https://wandb.example")
    dashboard.main(compose("dashboard", ["project=lips", "entity=lab"])[0])
    [view] = sent
    assert (view.entity, view.project) == ("lab", "lips")
    text = view.model_dump_json()
    wanted = {name for plots in dashboard.sections().values() for metrics in plots.values() for name in metrics}
    assert all(json.dumps(name) in text for name in wanted | set(dashboard.MEDIA.values()))
    assert [group.name for group in view.spec.section.run_sets[0].grouping] == ["group", "jobType"]
    assert "https://wandb.example/lab/lips?nw=abc" in capsys.readouterr().out


def test_without_a_login_the_way_out_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    with pytest.raises(UserError, match="wandb login"):
        dashboard.create("lips", None)


def test_panels_of_runs_are_drawn(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name / "samples" / "step-00000002").mkdir(parents=True)
        rows = [{"step": s, "name": n, "value": 0.5} for s in (1, 2) for n in ("loss/hard", "val/a_stoi")]
        (tmp_path / name / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)))
        plt.imsave(tmp_path / name / "samples" / "step-00000002" / "offsets.png", [[0.0, 1.0]])
    out = tmp_path / "pictures" / "dashboard.png"
    dashboard.main(compose("dashboard", [f"runs=[{tmp_path}/a,{tmp_path}/b]", f"out={out}"])[0])
    assert plt.imread(out).shape[1] > 1000


def test_a_folder_that_is_no_run_is_named(tmp_path):
    with pytest.raises(UserError, match="nowhere holds no metrics"):
        dashboard.draw([tmp_path / "nowhere"], tmp_path / "x.png")


def test_every_panel_shows_metrics_that_training_logs():
    """Names change in the trainer, the validation or the tasks: a panel must not be left behind."""
    from pathlib import Path

    sources = "".join(
        file.read_text()
        for file in Path(dashboard.__file__).parents[1].rglob("*.py")
        if file.name not in ("dashboard.py", "columns.py")
    )
    for plots in dashboard.sections().values():
        for name in {n for metrics in plots.values() for n in metrics}:
            last = name.rsplit("/", 1)[-1].removeprefix("offset_")
            assert f'"{last}"' in sources or f'{name}"' in sources, name
