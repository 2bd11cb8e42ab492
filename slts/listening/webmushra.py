"""The test for webMUSHRA (audiolabs) and what hosts it, such as pymushra: its rating steps as a config and the sounds.

The order is drawn there, by chance and unbalanced; consent, volume and training come first, attention checks are among
the rest. Results have the aspect as trial_id and the number of a sound as rating_stimulus, which ``stimuli.csv``
explains.
"""

import html
import shutil
from collections.abc import Sequence
from pathlib import Path

import yaml

from slts.errors import UserError
from slts.files import write_whole
from slts.listening.aspects import QUESTIONS, SCALE
from slts.listening.building import CLIPS
from slts.listening.plan import KINDS, RATING, SETUP, TRAINING, Plan
from slts.spreadsheet import write_csv

FOLDER = "webmushra"


def write_webmushra(folder: Path, plan: Plan) -> Path:
    """Writes ``webmushra/configs/``, to be laid over webMUSHRA's folder of that name, and returns the config's path.

    Raises:
        UserError: the test has videos, or no aspect with a scale.
    """
    if not plan.rated or any(clip.file.endswith(".mp4") for clip in plan.clips):
        raise UserError(
            "webmushra=true: webMUSHRA plays sounds and takes ratings; this test has videos or choices alone"
        )
    sounds = f"configs/resources/{plan.test}"
    (folder / FOLDER / sounds).mkdir(parents=True, exist_ok=True)
    for clip in plan.clips:
        shutil.copyfile(folder / CLIPS / clip.file, folder / FOLDER / sounds / clip.file)
    number = {i: clip.file.removesuffix(".wav") for i, clip in enumerate(plan.clips)}
    heard = {kind: [i for step in plan.raters[0].steps if step.kind == kind for i in step.clips] for kind in KINDS}
    checks = [i for i, clip in enumerate(plan.clips) if clip.says]

    def pages(clips: list[int], aspects: Sequence[str], trial: str = "") -> list[dict]:
        """One for each clip and aspect; results are told apart by trial, the aspect, and stimulus."""
        return [
            {
                "type": "likert_single_stimulus",
                "id": trial or aspect,
                "name": trial or "Listen",
                "content": QUESTIONS[aspect],
                "mustPlayback": "ended",
                "mustRate": True,
                "stimuli": {f"C{number[clip]}": f"{sounds}/{number[clip]}.wav"},
                "response": [{"value": score, "label": word} for score, word in SCALE.items()],
            }
            for clip in clips
            for aspect in aspects
        ]

    consent = "".join(f"<p>{html.escape(part)}</p>" for part in plan.consent.strip().split("\n\n"))
    volume = {"type": "volume", "id": "volume", "name": "Your volume", "defaultVolume": 0.5}
    volume |= {
        "content": "Set a volume at which you hear the clip well.",
        "stimulus": f"{sounds}/{number[heard[SETUP][0]]}.wav",
    }
    thanks = {"type": "finish", "name": "Thank you!", "content": "", "showResults": False, "writeResults": True}
    config = {
        "testname": "Listening test",
        "testId": plan.test,
        "bufferSize": 2048,
        "stopOnErrors": True,
        "showButtonPreviousPage": False,
        "remoteService": "service/write.php",
        "pages": [
            {"type": "generic", "id": "consent", "name": "Listening test", "content": consent},
            volume,
            *pages(heard[TRAINING], plan.rated, "Practice"),
            ["random", *pages(heard[RATING], plan.rated), *pages(checks, plan.rated[:1])],
            thanks,
        ],
    }
    file = folder / FOLDER / "configs" / f"{plan.test}.yaml"
    write_whole(file, yaml.safe_dump(config, sort_keys=False, allow_unicode=True).encode())
    rows = [
        {"stimulus": f"C{number[i]}", "clip": clip.key, "system": clip.system, "says": clip.says}
        for i, clip in enumerate(plan.clips)
    ]
    write_csv(folder / FOLDER / "stimuli.csv", ("stimulus", "clip", "system", "says"), rows)
    return file
