"""Settings that came with somebody's study or from a forum."""

import os
from collections.abc import Iterator
from pathlib import Path

from attacks.scene import Attack, Scene, alias_bomb

CONF = Path(__file__).resolve().parents[3] / "conf"


def outside(scene: Scene) -> str:
    """An experiment of the attack's own, by the way that leads there from conf/experiment; it would run a command."""
    folder = scene.folder / "x"
    folder.mkdir()
    (folder / "exp.yaml").write_text(f"# @package _global_\ndata: '{scene.pipe()}'\n")
    return os.path.relpath(folder / "exp", CONF / "experiment")


def attacks() -> Iterator[Attack]:
    for override in (
        "experiment=OUTSIDE", "experiment=/etc/passwd", "task=../task/slts", "variant=[paper,no_asm]",
        "model=''", "seed=4294967296", "seed=-1", "seed=1e400", "steps=nan", "steps=99999999999999999999999",
        "name=../../outside", "name=/etc/outside", "name=", "+hydra.run.dir=/etc", "hydra.searchpath=[file:///etc]",
        "~task", "task.radius=${oc.env:HOME}", "batch_size=${now:%Y}", "data=pipe:", "data=ftp2://x/y",
        "data=pipe:true", "name=a\nb", "model.width=1e9999", "batch_size=0", "'", "=", "task@x=slts",
    ):  # fmt: skip

        def command(scene: Scene, override=override) -> list[str]:
            override = override.replace("OUTSIDE", outside(scene))
            key = override.partition("=")[0]
            return [*(word for word in scene.train(scene.corpus) if not word.startswith(f"{key}=")), override]

        yield Attack(f"argument: {override!r}", command)

    space = "space: {task.temperature: {log: [0.1, 1]}}\n"
    for what, text in {
        "an experiment outside": f'{space}overrides: ["experiment=OUTSIDE"]\n',
        "a command": f'{space}overrides: ["data=pipe:touch CANARY {{name}}"]\n',
        "a command among the values": "space: {data: {choices: [x, 'pipe:touch CANARY {name}']}}\n",
        "no mapping": "- 1\n",
        "an object of Python": f"{space}overrides: !!python/object/apply:os.system ['touch CANARY']\n",
        "a strange space": "space: {task.temperature: {log: [a, b]}}\n",
        "an alias bomb": f"space: {{task.temperature: {{choices: {alias_bomb()}}}}}\n",
        "deep": "[" * 5000,
        "binary": "\x00\x01",
    }.items():

        def command(scene: Scene, text=text) -> list[str]:
            study = scene.folder / "study.yaml"
            study.write_text(text.replace("CANARY", str(scene.canary)).replace("OUTSIDE", outside(scene)))
            return ["sweep", f"study={study}", f"data={scene.corpus}", f"runs={scene.folder}/runs", "trials=1"]

        yield Attack(f"study: {what}", command)
