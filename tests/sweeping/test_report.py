"""The report of a study whose trials are made up: tables over seeds, and pictures that show every trial."""

import csv

import matplotlib.pyplot as plt
import optuna
import pytest
from matplotlib.colors import to_rgba
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from slts.sweeping.pictures import parallel, plane, slices
from slts.sweeping.report import report

TAU, RADIUS = "task.temperature", "task.radius"


def trial(params, space, state=TrialState.COMPLETE, **figures):
    figures = {name.replace("__", "/"): value for name, value in figures.items()}
    return create_trial(
        state=state, value=figures["val/a_stoi"], params=params, distributions=space, user_attrs={"run": "r", **figures}
    )


@pytest.fixture
def joint():
    space = {TAU: FloatDistribution(0.3, 100.0, log=True), RADIUS: IntDistribution(5, 60, step=5)}
    return [
        trial({TAU: 10.0, RADIUS: 30}, space, val__a_stoi=0.7, val__offset_r2=0.9),
        trial({TAU: 1.0, RADIUS: 5}, space, val__a_stoi=0.5, val__offset_r2=-20.0),
        trial({TAU: 3.0, RADIUS: 60}, space, TrialState.PRUNED, val__a_stoi=0.4, val__offset_r2=0.1),
    ]


def test_the_ablation_is_a_table_of_two_by_two(tmp_path):
    space = {
        "task.discriminators": CategoricalDistribution([False, True]),
        "variant": CategoricalDistribution(["paper", "no_asm"]),
        "seed": CategoricalDistribution([0, 1]),
    }
    study = optuna.create_study(study_name="ablation", direction="maximize")
    study.set_metric_names(["val/a_stoi"])
    for number, critics in enumerate((False, True)):
        for variant in ("paper", "no_asm"):
            for seed in (0, 1):
                value = 0.1 * number + (0.5 if variant == "paper" else 0.3) + 0.02 * seed
                offsets = {"val__offset_mae_ms": 10.0 + seed} if variant == "paper" else {}
                point = {"task.discriminators": critics, "variant": variant, "seed": seed}
                study.add_trial(trial(point, space, val__a_stoi=value, **offsets))
    study.add_trial(trial(point, space, TrialState.PRUNED, val__a_stoi=0.0))  # counts in no mean
    report(study, tmp_path, tmp_path / "out")
    lines = (tmp_path / "out" / "report.md").read_text().splitlines()
    assert "| task.discriminators | variant=no_asm | variant=paper |" in lines
    assert "| False | 0.3100 ± 0.0141 | 0.5100 ± 0.0141 |" in lines
    assert "| True | 0.4100 ± 0.0141 | 0.6100 ± 0.0141 |" in lines
    assert "| True | - | 10.5000 ± 0.7071 |" in lines, "what does not apply is left out"


def test_names_in_a_study_are_neither_formulas_nor_links(tmp_path):
    space = {"name": CategoricalDistribution(["=1+1", "[a](http://x.example)|b"])}
    study = optuna.create_study(study_name="<b>", direction="maximize")
    study.set_metric_names(["val/a_stoi"])
    for name in space["name"].choices:
        study.add_trial(trial({"name": name}, space, val__a_stoi=-0.5))
    report(study, tmp_path, tmp_path)
    rows = list(csv.DictReader((tmp_path / "trials.csv").open()))
    assert [(row["name"], row["val/a_stoi"]) for row in rows] == [
        ("'=1+1", "-0.5"),
        ("[a](http://x.example)|b", "-0.5"),
    ]
    page = (tmp_path / "report.md").read_text()
    assert "# Study &lt;b&gt;" in page
    shown = (tmp_path / "report.html").read_text()
    assert "<h1>Study &lt;b&gt;</h1>" in shown and "<b>" not in shown.replace("<b>-0.5</b>", "")
    assert "Trial 0 is best: val/a_stoi -0.5, with name==1+1." in shown and "<script" not in shown
    assert shown.count("<circle") == 2 and "name=[a](http://x.example)|b</title>" in shown
    assert r"\[a\](http&#58;//x.example)\|b" in page and "[a](" not in page


def test_slices_show_every_trial_where_it_is_and_pruned_ones_hollow(joint):
    figure = slices(joint, [TAU, RADIUS], ["val/a_stoi", "val/offset_r2"])
    above = figure.axes[0].collections
    assert sorted(tuple(dot.get_offsets()[0]) for dot in above) == [(1.0, 0.5), (3.0, 0.4), (10.0, 0.7)]
    assert sum(len(dot.get_facecolor()) == 0 for dot in above) == 1
    low, high = figure.axes[0].get_xlim()
    assert low < 0.3 and high > 100, "the whole range, not only what was tried"
    below = [dot.get_offsets()[0][1] for dot in figure.axes[2].collections]
    assert sorted(below) == [-1.0, 0.1, 0.9], "an R2 of -20 would hide the others"
    plt.close(figure)


def test_the_plane_has_a_panel_and_a_scale_for_each_figure(joint):
    figure = plane(joint, [TAU, RADIUS], ["val/a_stoi", "val/offset_r2"])
    assert [axes.get_title() for axes in figure.axes[:2]] == ["val/a_stoi", "val/offset_r2 (not below -1)"]
    assert {tuple(dot.get_offsets()[0]) for dot in figure.axes[0].collections} == {(10, 30), (1, 5), (3, 60)}
    plt.close(figure)


def test_parallel_coordinates_show_their_lines(joint, tmp_path):
    figure = parallel(joint, [TAU, RADIUS], "val/a_stoi")
    best, *_ = lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 3]
    assert len(lines) == 3 and [line.get_linestyle() for line in lines] == ["-", "-", "--"]
    assert best.get_ydata()[1:] == pytest.approx([25 / 55, 1.0])
    figure.savefig(tmp_path / "lines.png")
    seen = plt.imread(tmp_path / "lines.png")[..., :3].reshape(-1, 3)
    assert (abs(seen - to_rgba(best.get_color())[:3]).max(axis=1) < 0.02).sum() > 100, "nothing is drawn over them"
    plt.close(figure)
