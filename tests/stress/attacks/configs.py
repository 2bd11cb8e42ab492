"""A run's config.yaml by somebody else."""

import os
from collections.abc import Iterator

from attacks.scene import Attack, Scene, alias_bomb


def attacks() -> Iterator[Attack]:
    verbs = {
        "evaluate": lambda r, s: ["evaluate", f"run={r}", "calibrate=true", "split=val"],
        "offsets": lambda r, s: ["offsets", f"run={r}", f"data={s.corpus}", "calibrate=true", f"out={s.folder}/o.csv"],
        "evaluate plainly": lambda r, s: ["evaluate", f"run={r}", "split=val"],
        "generate": lambda r, s: [
            "generate",
            f"run={r}",
            f"input={s.video}",
            f"out={s.folder}/out",
            f"speaker={s.speaker}",
        ],
        "tables": lambda r, s: ["tables", f"runs={r.parent}", f"out={s.folder}/tables", f"clip={s.video}"],
    }
    for verb, arguments in verbs.items():

        def command(scene: Scene, arguments=arguments) -> list[str]:
            path = scene.own_run()
            file = path / "config.yaml"
            lines = [f"data: '{scene.pipe()}'" if x.startswith("data:") else x for x in file.read_text().splitlines()]
            file.write_text("\n".join(lines))
            return arguments(path, scene)

        yield Attack(f"config: data is a command, {verb}", command, refused=False)

    texts = {
        "empty": b"",
        "no YAML": b"{[}\n:",
        "a list": b"- 1\n- 2\n",
        "a number": b"5\n",
        "binary": os.urandom(400),
        "NUL bytes": b"task: {name: slts}\0\0\n",
        "an object of Python": b"task: !!python/object/apply:os.system ['touch CANARY']\n",
        "an alias bomb": f"a: {alias_bomb()}\n".encode(),
        "deep": b"[" * 5000,
        "nothing of a model": b"task: {name: slts}\nname: r\n",
        "another system": b"task: {name: ../../x}\nname: r\n",
        "an interpolation of the environment": b"name: ${oc.env:HOME}\ntask: ${task}\n",
    }
    for what, text in texts.items():

        def command(scene: Scene, text=text) -> list[str]:
            path = scene.own_run()
            (path / "config.yaml").write_bytes(text.replace(b"CANARY", os.fsencode(scene.canary)))
            return ["evaluate", f"run={path}", f"data={scene.corpus}", "split=val"]

        yield Attack(f"config: {what}", command)

    for line in ("image_size: 1000000000", "image_size: -4", "width: abc", "layers: .nan", "frame_width: []"):

        def command(scene: Scene, line=line) -> list[str]:
            path = scene.own_run()
            key = line.partition(":")[0]
            lines = (path / "config.yaml").read_text().splitlines()
            lines = [x[: len(x) - len(x.lstrip())] + line if x.strip().startswith(f"{key}:") else x for x in lines]
            (path / "config.yaml").write_text("\n".join(lines))
            return ["evaluate", f"run={path}", f"data={scene.corpus}", "split=val"]

        yield Attack(f"config: model with {line}", command)
