"""What a run was: the facts of it in comments, and its configuration as YAML.

`slts config runs/mine`, or run=. The YAML is what slts train took, so that two runs can be held against each other:
`diff <(slts config A) <(slts config B)`.
"""


def main(config) -> None:
    from pathlib import Path

    from omegaconf import OmegaConf

    from slts.errors import UserError
    from slts.json_lines import read_rows
    from slts.training.checkpoint import find_checkpoint
    from slts.training.run_directory import RunDirectory, config_hash, published
    from slts.training.state import load_state

    run = RunDirectory(Path(config.run))
    recorded, corpus = run.config(), run.corpus()
    print(f"# {config.run}: configuration {config_hash(recorded)}, corpus {corpus['name']} {corpus.get('hash', '')}")
    for name in ("best", "last"):
        try:
            if checkpoint := find_checkpoint(run.path, name):
                state = load_state(checkpoint)
                score = f", best score {state.best_score:.4g} at step {state.best_step}" if state.best_score else ""
                print(f"# {name}: step {state.step}, {state.samples} clips seen{score}")
        except UserError as error:
            print(f"# {name}: {error}")
    for row in read_rows(run.results):
        facts = ("split", "sync", "modalities", "protocol", "step", "clips", "a_stoi", "scored_at", "version")
        print("# scored:", ", ".join(f"{name} {row[name]}" for name in facts if row.get(name) is not None))
    print(OmegaConf.to_yaml(published(recorded)).rstrip())
