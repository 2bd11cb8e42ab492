"""The plan of a test: its clips, and for every rater the steps in their order. It stays with the owner of the test.

Raters know a step by its number and a clip by its place in the step: names of systems, keys and files stay here.
"""

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from slts.errors import UserError
from slts.files import write_whole
from slts.folders import read_plain
from slts.listening.aspects import PREFERENCE, QUESTIONS
from slts.listening.order import balanced_square, generator, hearing_order, with_checks

FILE = "plan.json"
LARGEST = 2**26
"""Bytes of a plan that is read."""
TOKEN = r"[A-Za-z0-9_-]{16,64}"
TEST = r"test[0-9a-f]{6}"
CONSENT, SETUP, TRAINING, RATING, CHECK, CHOICE, REMARK = KINDS = (
    "consent", "setup", "training", "rating", "check", "choice", "remark",
)  # fmt: skip
"""Of steps: agreeing; volume and headphones; clips that show the range and are not scored; clips that are; attention
checks among these; versions of a clip of which one is chosen; anything else a rater wants to say."""


@dataclass(frozen=True)
class PlannedClip:
    file: str
    key: str | None = None
    """Of the corpus; None of an attention check."""
    system: str | None = None
    says: int | None = None
    """The number that an attention check asks for."""


@dataclass(frozen=True)
class Step:
    kind: str
    clips: tuple[int, ...] = ()
    """Places in ``Plan.clips``."""


@dataclass(frozen=True)
class Rater:
    name: str
    token: str
    """Lets in: it is the rater's address."""
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Plan:
    asked: dict
    """The settings of the command that made the test."""
    test: str
    """A name by which tables of several tests can be put together."""
    aspects: tuple[str, ...]
    consent: str
    clips: tuple[PlannedClip, ...]
    raters: tuple[Rater, ...]

    @property
    def rated(self) -> tuple[str, ...]:
        """The aspects that have a scale."""
        return tuple(name for name in self.aspects if name in QUESTIONS)

    def save(self, folder: Path) -> None:
        write_whole(folder / FILE, json.dumps(asdict(self), indent=1).encode())


def steps_of(
    clips: Sequence[PlannedClip], keys: Sequence[str], systems: Sequence[str], training: Sequence[tuple[str, str]],
    aspects: Sequence[str], check_every: int, seed: int, rater: int, token: str,
) -> tuple[Step, ...]:  # fmt: skip
    """The steps of a rater, who is one of ``slts.listening.order.hearing_order``.

    Args:
        clips: of the plan.
        keys, systems: what is rated: every key of every system; the first system is what was recorded.
        training: (key, system) of the clips that are heard first.
        aspects: names of QUESTIONS, and PREFERENCE.
        check_every: clips to one attention check, 0 for none.
    """
    own = generator(seed, token)
    place = {(clip.key, clip.system): i for i, clip in enumerate(clips)}
    level = training[0][0] if training else keys[0]
    steps = [Step(CONSENT), Step(SETUP, (place[level, systems[0]],))]
    if any(name in QUESTIONS for name in aspects):
        steps += [Step(TRAINING, (place[pair],)) for pair in training]
        order = hearing_order(len(keys), len(systems), rater, seed, own)
        trials = [Step(RATING, (place[keys[clip], systems[system]],)) for clip, system in order]
        checks = [Step(CHECK, (i,)) for i, clip in enumerate(clips) if clip.says]
        steps += with_checks(trials, checks, check_every, own)
    if PREFERENCE in aspects:
        square = balanced_square(len(systems))
        for clip in own.permutation(len(keys)).tolist():
            shown = square[(rater + clip) % len(systems)].tolist()
            steps.append(Step(CHOICE, tuple(place[keys[clip], systems[system]] for system in shown)))
    return (*steps, Step(REMARK))


def new_token() -> str:
    return secrets.token_urlsafe(12)


def is_test(folder: Path) -> bool:
    return (folder / FILE).is_file()


def load_plan(folder: Path) -> Plan:
    """The plan of a test. Raises UserError for what is none."""
    file = folder / FILE
    try:
        held = json.loads(read_plain(file, LARGEST))
        raters = [
            Rater(one["name"], one["token"], tuple(Step(step["kind"], tuple(step["clips"])) for step in one["steps"]))
            for one in held["raters"]
        ]
        clips = tuple(PlannedClip(**one) for one in held["clips"])
        plan = Plan(**(held | {"aspects": tuple(held["aspects"]), "clips": clips, "raters": tuple(raters)}))
        _check(plan)
        return plan
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise UserError(
            f"{file} is no plan of slts listen ({reason}); take it from a copy or build a new test"
        ) from None


def _check(plan: Plan) -> None:
    """Raises ValueError where a plan could lead out of its folder, or nowhere."""
    if not all(re.fullmatch(r"\d{3,6}\.(wav|mp4)", clip.file) for clip in plan.clips):
        raise ValueError("a clip has another name than this program gives")
    if not re.fullmatch(TEST, plan.test) or not isinstance(plan.consent, str) or not isinstance(plan.asked, dict):
        raise ValueError("the test has another name, text or settings than this program gives")
    if not all(name in (*QUESTIONS, PREFERENCE) for name in plan.aspects):
        raise ValueError("an aspect is not known")
    for rater in plan.raters:
        if not re.fullmatch(TOKEN, rater.token) or not re.fullmatch(r"r\d+", rater.name):
            raise ValueError("a rater has another name or token than this program gives")
        for step in rater.steps:
            fewest = 0 if step.kind in (CONSENT, REMARK) else 2 if step.kind == CHOICE else 1
            whole = step.kind in KINDS and len(step.clips) >= fewest
            if not whole or not all(place in range(len(plan.clips)) for place in step.clips):
                raise ValueError(f"a step of {rater.name} is not known")
    for names in ([rater.name for rater in plan.raters], [rater.token for rater in plan.raters]):
        if len(set(names)) < len(names):
            raise ValueError("two raters are the same")
