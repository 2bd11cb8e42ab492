"""Tables of what raters answered: ``ratings.csv`` for ``slts score ratings=``, ``raters.csv`` of the raters."""

from pathlib import Path

from slts.listening.answers import answers_of
from slts.listening.aspects import PREFERENCE
from slts.listening.plan import CHECK, CHOICE, RATING, REMARK, SETUP, Plan, Rater, Step
from slts.spreadsheet import write_csv

RATINGS, RATERS = "ratings.csv", "raters.csv"
RATING_COLUMNS = (
    "rater", "clip", "system", "aspect", "score", "time", "order", "plays", "seconds", "test", "passed",
)  # fmt: skip
RATER_COLUMNS = ("rater", "answered", "steps", "checks", "failed", "passed", "device", "remark")


def write_tables(folder: Path, plan: Plan) -> list[dict]:
    """Writes both tables anew from the raters' files, each whole or not at all, and gives the rows of ``raters.csv``.

    A preference is a row for each version, 1 for the chosen and 0 for the others, so that the mean is the share.
    """
    ratings, raters = [], []
    for rater in plan.raters:
        answered = answers_of(folder, plan, rater)
        about = _about(plan, rater, answered)
        raters.append(about)
        for order, row in sorted(answered.items()):
            step = rater.steps[order]
            facts = {"rater": rater.name, "order": order, "test": plan.test, "passed": about["passed"]}
            facts |= {"time": row.get("time"), "seconds": row["seconds"]}
            for score in _scores(plan, step, row):
                ratings.append(facts | score)
    write_csv(folder / RATINGS, RATING_COLUMNS, ratings)
    write_csv(folder / RATERS, RATER_COLUMNS, raters)
    return raters


def _scores(plan: Plan, step: Step, row: dict) -> list[dict]:
    if step.kind == RATING:
        given = [(0, aspect, score) for aspect, score in row["answer"].items()]
    elif step.kind == CHOICE:
        given = [(place, PREFERENCE, int(place == row["answer"][PREFERENCE])) for place in range(len(step.clips))]
    else:
        given = []
    heard = [plan.clips[place] for place in step.clips]
    return [
        {"clip": heard[i].key, "system": heard[i].system, "aspect": aspect, "score": score, "plays": row["plays"][i]}
        for i, aspect, score in given
    ]


def _about(plan: Plan, rater: Rater, answered: dict[int, dict]) -> dict:
    """A row of ``raters.csv``: who failed one attention check has not passed."""
    of_kind = {rater.steps[order].kind: row["answer"] for order, row in answered.items()}
    checks = [order for order in answered if rater.steps[order].kind == CHECK]
    failed = sum(
        any(score != plan.clips[rater.steps[order].clips[0]].says for score in answered[order]["answer"].values())
        for order in checks
    )
    return {
        "rater": rater.name,
        "answered": len(answered),
        "steps": len(rater.steps),
        "checks": len(checks),
        "failed": failed,
        "passed": int(not failed),
        "device": of_kind.get(SETUP, {}).get("device"),
        "remark": of_kind.get(REMARK, {}).get("remark"),
    }
