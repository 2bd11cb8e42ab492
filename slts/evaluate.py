"""Score a run's best checkpoint on a split, plainly and time-aligned.

`slts evaluate run=RUN` or, with generation shared by several processes or GPUs, `accelerate launch slts/evaluate.py
run=RUN`, which gives the same row.

Appends a row to RUN/results.jsonl, writes RUN/clips-SPLIT.csv, and leaves sounds and figures in RUN/samples/SPLIT/.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Launched as a file, Python puts slts/ itself on the module path; the package's parent belongs there.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)


def main(config) -> None:
    from rich.progress import track

    from slts.data.location import recorded_data
    from slts.data.shards import read_corpus_json
    from slts.evaluation.clips import generate_clips
    from slts.evaluation.inputs import chosen_inputs
    from slts.evaluation.judges import Evaluation, judges_of
    from slts.evaluation.results import result_row, write_results
    from slts.systems.contract import PICTURES, SPEECH
    from slts.systems.trained import load_run_giving
    from slts.training.evaluation_name import evaluation_name
    from slts.training.processes import leave_processes, own_place
    from slts.training.tracking import publish_scores

    rank, ranks = own_place()
    run = load_run_giving((SPEECH, PICTURES), "slts evaluate", config.run, config.checkpoint)
    inputs = chosen_inputs(config, run, f"run={config.run} (task {run.config.task.name})")
    data = Path(config.data) if config.data else recorded_data(run.config.data, f"run={config.run}")
    corpus, dataset = read_corpus_json(data), run.dataset(data, config.split, any_maker=config.heard == "data")
    evaluation = Evaluation(config, run, data, dataset, rank, ranks)
    judges = [judge(evaluation) for judge in judges_of(run.task)]
    batches = track(evaluation.batches(dataset), "generating", disable=bool(rank))
    clips = evaluation.gathered(list(generate_clips(run.task, batches, run.device)))
    for judge in judges:
        judge.look()
    leave_processes()
    if rank:
        return
    places = {key: i for i, key in enumerate(dataset.keys)}
    clips.sort(key=lambda clip: places[clip.key])
    rows = [{**vars(clip)} for clip in clips]
    figures = {name: value for judge in judges for name, value in judge.rate(clips, rows).items()}
    row = result_row(run.config, corpus, config.split, config.sync, run.step, len(clips), figures, **inputs)
    table = write_results(run.directory, row, rows)
    folder = run.directory.samples / evaluation_name(config.split, **inputs)
    folder.mkdir(parents=True, exist_ok=True)
    for judge in judges:
        judge.show(clips, folder)
    publish_scores(run.config, run.directory)
    for name, value in row.items():
        if isinstance(value, (int, float)):
            print(f"{name:>24} {value:.4g}")
    if "synthesised" in corpus and inputs["heard"] == "base" and not dataset.sounds:
        print("data= was spoken by another run, in whose place the base spoke anew; heard=data hears that run")
    for remark in (line for judge in judges for line in judge.remarks()):
        print(remark)
    print(f"row in {run.directory.results}, clips in {table}, sounds and pictures in {folder}")


if __name__ == "__main__":
    from slts.cli import run

    sys.exit(run("evaluate", sys.argv[1:]))
