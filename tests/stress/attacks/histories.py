"""metrics.jsonl and results.jsonl that others wrote, or that were cut."""

from collections.abc import Iterator

from attacks.scene import Attack, Scene


def attacks() -> Iterator[Attack]:
    contents = {
        "cut": b'{"step": 1, "name": "train/lo',
        "garbage": b"\x00\xff garbage\n\n[[[\n",
        "numbers": b"1\n2\n3\n",
        "strange types": b'{"step": "a", "name": 5, "value": {}}\n',
        "a formula": b'{"variant": "=cmd()", "corpus": "[x](javascript:1)", "task": "@a"}\n',
    }
    for what, content in contents.items():

        def shown(scene: Scene, content=content) -> list[str]:
            path = scene.own_run()
            for name in ("metrics.jsonl", "results.jsonl"):
                with (path / name).open("ab") as file:
                    file.write(content)
            return ["tables", f"runs={path.parent}", f"out={scene.folder}/tables", f"clip={scene.video}"]

        def resumed(scene: Scene, content=content) -> list[str]:
            path = scene.own_unfinished_run()
            with (path / "metrics.jsonl").open("ab") as file:
                file.write(content)
            return scene.train(scene.corpus)

        yield Attack(f"history: {what}, tables", shown, refused=False)
        yield Attack(f"history: {what}, train on", resumed, refused=False)
    yield Attack(
        "history: a run that was never scored",
        lambda s: ["tables", f"runs={s.own_run().parent}", f"out={s.folder}/tables", f"clip={s.video}"],
        refused=False,
    )
