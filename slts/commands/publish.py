"""A run for others: weights, configuration, corpus statistics, scores and a model card, on the hub or in a folder.

`slts publish run=runs/mine to=ORG/NAME` makes a repository of the Hugging Face Hub, `to=FOLDER` a folder with the same
files. Others then give run=hf:ORG/NAME, or the folder. What lets in, and paths of this machine, stay here.
"""


def main(config) -> None:
    import tempfile
    from pathlib import Path

    from slts.reporting.model_card import model_card
    from slts.reporting.publication import destination, place, write_publication
    from slts.systems.trained import load_run
    from slts.training.hub import upload

    repository, folder = destination(config.to)
    run = load_run(config.run)
    with tempfile.TemporaryDirectory(prefix="slts-publish-") as temporary:
        made = Path(temporary, "run")
        results = write_publication(run, made, config.samples)
        card = model_card(run, results, made, repository, config.license)
        (made / "README.md").write_text(card, encoding="utf-8")
        if results is None:
            print(f"run={config.run} has no scores, and its card says so; slts evaluate run={config.run} makes them")
        files = [file for file in made.rglob("*") if file.is_file()]
        what = f"{len(files)} files, {sum(file.stat().st_size for file in files) / 1e6:.1f} MB"
        if repository:
            print(f"published at {upload(made, repository, config.private)} ({what}): run=hf:{repository}")
        else:
            place(made, folder)
            print(f"published in {folder} ({what}): run={folder}")
