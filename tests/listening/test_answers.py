"""No answer is lost, doubled or taken from where it does not belong, and tables say what was answered."""

import csv
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from heard_runs import SYSTEMS, make_test, plausible, write_drawn_runs, write_runs

from slts.commands.score import main as score
from slts.config import compose
from slts.listening.answers import Answers, OutOfTurn
from slts.listening.export import write_tables
from slts.metrics.opinion import opinion_score, opinion_table, read_ratings
from slts.reporting import paper
from slts.reporting.published import load_published
from slts.reporting.results import load_results

TABLE_4 = {
    "intelligibility": {"real": (4.808, 0.100), SYSTEMS[0]: (3.633, 0.228), SYSTEMS[1]: (4.483, 0.139)},
    "naturalness": {"real": (4.975, 0.028), SYSTEMS[0]: (1.858, 0.171), SYSTEMS[1]: (4.267, 0.153)},
}
"""Means and intervals of 120 ratings as published: real, SLTS, SLTS with discriminators."""


def scores_of(mean: float, interval: float) -> np.ndarray:
    """120 ratings of 1 ... 5 with a published mean and interval, in an order of chance.

    From the narrowest list of that sum, pairs of equal ratings are moved apart until the interval is as wide.
    """
    low, more = divmod(round(120 * mean), 120)
    scores = np.repeat([low, low + 1], [120 - more, more])
    while round(opinion_score(scores)[1], 3) < interval:
        equal = max((2, 3, 4), key=lambda value: (scores == value).sum())
        scores[np.flatnonzero(scores == equal)[:2]] += [-1, 1]
    return np.random.default_rng(round(1000 * mean)).permutation(scores)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return write_runs(tmp_path_factory.mktemp("runs"), clips=12, seconds=0.05)


@pytest.fixture(scope="module")
def small(runs, tmp_path_factory):
    """Folder and plan of a test of two clips and two raters, without answers."""
    folder = tmp_path_factory.mktemp("small") / "test"
    return folder, make_test(folder, runs, "clips=2", "training=1", "raters=2", "check_every=3")


@pytest.fixture
def fresh(small, tmp_path):
    (tmp_path / "test").mkdir()
    return tmp_path / "test", small[1]


def answer_all(answers, rater, **keys) -> None:
    for step in range(answers.turn(rater), len(rater.steps)):
        answers.give(rater, plausible(answers.plan, rater, step, **keys))


def test_twelve_simulated_raters_give_table_4s_means_and_intervals(runs, tmp_path, capsys):
    plan = make_test(tmp_path / "test", runs, "clips=10", "training=2", "check_every=15")
    given = {(a, s): scores_of(*found) for a, systems in TABLE_4.items() for s, found in systems.items()}
    keys = sorted({plan.clips[i].key for s in plan.raters[0].steps if s.kind == "rating" for i in s.clips})
    answers = Answers(tmp_path / "test", plan)
    for number, rater in enumerate(plan.raters):

        def chosen(clip, aspect, number=number) -> int:
            return int(given[aspect, clip.system][10 * number + keys.index(clip.key)]) if clip.key in keys else 3

        answer_all(answers, rater, chosen=chosen)
    raters = write_tables(tmp_path / "test", plan)
    assert all(row["answered"] == row["steps"] and row["passed"] and row["checks"] == 2 for row in raters)
    ratings = read_ratings(tmp_path / "test" / "ratings.csv")
    assert len(ratings) == 12 * 10 * 3 * 2
    for row in opinion_table(ratings):
        assert (round(row["mean"], 3), round(row["interval"], 3)) == TABLE_4[row["aspect"]][row["system"]]
        assert (row["ratings"], row["raters"], row["clips"]) == (120, 12, 10)

    score(compose("score", [f"ratings={tmp_path}/test/ratings.csv", f"out={tmp_path}/mos.csv"])[0])
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    gains = {(row["aspect"], row["system"], row["minus"]): row for row in told["differences"]}
    gain = next(gains["naturalness", *pair] for pair in (SYSTEMS, SYSTEMS[::-1]) if ("naturalness", *pair) in gains)
    assert abs(gain["mean"]) == pytest.approx(4.267 - 1.858, abs=0.002) and gain["pairs"] == 120
    scored = {"task": "slts", "variant": "with_discriminators", "corpus": "grid", "split": "test", "sync": "none"}
    (tmp_path / SYSTEMS[1]).mkdir()
    (tmp_path / SYSTEMS[1] / "config.yaml").write_text("{task: {name: slts}, variant: with_discriminators}")
    (tmp_path / SYSTEMS[1] / "results.jsonl").write_text(json.dumps(scored | {"step": 9, "clips": 10}) + "\n")
    table = paper.table4(load_results(tmp_path), load_published(), tmp_path / "test" / "ratings.csv").frame
    row = table[table["run"] == SYSTEMS[1]].iloc[0]
    assert (round(row["mos_n"], 3), round(row["mos_n_ci"], 3)) == TABLE_4["naturalness"][SYSTEMS[1]]


def test_answers_are_on_the_disk_and_a_new_server_goes_on_at_the_first_missing_one(fresh):
    folder, plan = fresh
    answers, rater = Answers(folder, plan), plan.raters[0]
    for step in range(5):
        answers.give(rater, plausible(plan, rater, step))
        assert Answers(folder, plan).turn(rater) == step + 1
    file = folder / "answers" / "r01.jsonl"
    with file.open("a") as stream:
        stream.write('{"step": 5, "answ')  # killed while it wrote
    again = Answers(folder, plan)
    assert again.turn(rater) == 5 and again.turn(plan.raters[1]) == 0
    answer_all(again, rater)
    assert len(file.read_text().splitlines()) == len(rater.steps) == again.turn(rater)


def test_a_second_answer_to_a_step_changes_nothing(fresh):
    folder, plan = fresh
    answers, rater = Answers(folder, plan), plan.raters[0]
    answers.give(rater, plausible(plan, rater, 0))
    for step in (0, 2):
        with pytest.raises(OutOfTurn):
            answers.give(rater, plausible(plan, rater, step))

    def window(_) -> int:
        try:
            answers.give(rater, plausible(plan, rater, 1))
            return 1
        except OutOfTurn:
            return 0

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(window, range(40))) == 1
    assert len((folder / "answers" / "r01.jsonl").read_text().splitlines()) == 2


def test_foreign_answers_are_refused(fresh):
    folder, plan = fresh
    answers, rater = Answers(folder, plan), plan.raters[0]
    rating = next(i for i, step in enumerate(rater.steps) if step.kind == "rating")
    good = plausible(plan, rater, rating)
    for turn in range(rating):
        answers.give(rater, plausible(plan, rater, turn))
    remark = {"step": len(rater.steps) - 1, "plays": [], "seconds": 1}
    wrong = [
        None, [], "x", {}, good | {"step": -1}, good | {"step": 999}, good | {"step": "3"}, good | {"step": True},
        good | {"plays": []}, good | {"plays": [0]}, good | {"plays": [1, 1]}, good | {"plays": [10**9]},
        good | {"seconds": float("nan")}, good | {"seconds": -1}, good | {"seconds": "1"}, good | {"seconds": 1e300},
        good | {"answer": {}}, good | {"answer": {"agreed": True}}, good | {"answer": {"intelligibility": 3}},
        good | {"answer": {"intelligibility": 3, "naturalness": 6}}, good | {"answer": {"preference": 0}},
        good | {"answer": {"intelligibility": 3, "naturalness": 2.5}},
        good | {"answer": {"intelligibility": True, "naturalness": 2}},
        good | {"answer": {"intelligibility": 3, "naturalness": 2, "sync": 5}},
        remark | {"answer": {"remark": "x" * 2001}}, remark | {"answer": {"remark": 7}}, remark | {"answer": {}},
    ]  # fmt: skip
    for row in wrong:
        with pytest.raises(ValueError, match=r"\w"):
            answers.give(rater, row)
    assert answers.turn(rater) == rating
    answers.give(rater, good)


def test_who_fails_a_check_is_flagged_and_scored_apart(fresh, capsys):
    folder, plan = fresh
    answers = Answers(folder, plan)
    answer_all(answers, plan.raters[0], chosen=lambda clip, aspect: 5)
    sleepy = plan.raters[1]
    for step in range(len(sleepy.steps)):
        row = plausible(plan, sleepy, step, chosen=lambda clip, aspect: 1)
        if sleepy.steps[step].kind == "check":
            row["answer"]["naturalness"] = row["answer"]["naturalness"] % 5 + 1
        answers.give(sleepy, row)
    raters = write_tables(folder, plan)
    assert [(row["failed"], row["passed"]) for row in raters] == [(0, 1), (2, 0)]
    table = list(csv.DictReader((folder / "raters.csv").open()))
    assert table[0]["device"] == "headphones" and table[0]["remark"] == "'=1+1"  # no formula
    score(compose("score", [f"ratings={folder}/ratings.csv", f"out={folder}/mos.csv"])[0])
    told = capsys.readouterr().out.splitlines()
    summary = json.loads(told[-1])
    assert "1 of 2 raters failed an attention check" in told[1]
    assert summary["raters"] == 2 and summary["excluded"] == ["r02"]
    assert {row["mean"] for row in summary["opinion"]} == {3} and {r["mean"] for r in summary["opinion_passed"]} == {5}
    assert [row["of"] for row in csv.DictReader((folder / "mos.csv").open())] == ["all"] * 6 + ["passed"] * 6


def test_choices_become_shares(tmp_path):
    plan = make_test(
        tmp_path / "test", write_drawn_runs(tmp_path, "test-random", seconds=0.2), "split=test-random",
        "clips=2", "training=0", "raters=4", "check_every=0",
    )  # fmt: skip
    answers = Answers(tmp_path / "test", plan)
    for rater in plan.raters:
        for step in range(len(rater.steps)):
            row = plausible(plan, rater, step)
            if rater.steps[step].kind == "choice":
                systems = [plan.clips[place].system for place in rater.steps[step].clips]
                row["answer"]["preference"] = systems.index(SYSTEMS[1] if rater.name != "r01" else "unsynced")
            answers.give(rater, row)
    write_tables(tmp_path / "test", plan)
    table = opinion_table(read_ratings(tmp_path / "test" / "ratings.csv"))
    shares = {row["system"]: row for row in table if row["aspect"] == "preference"}
    assert {name: row["mean"] for name, row in shares.items()} == {"unsynced": 0.25, SYSTEMS[0]: 0, SYSTEMS[1]: 0.75}
    assert shares[SYSTEMS[0]]["wilson_low"] == pytest.approx(0, abs=1e-12) and shares[SYSTEMS[0]]["wilson_high"] > 0.3
