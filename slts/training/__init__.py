"""The trainer: loop, schedule, checkpoints, tracking. It knows no lips and no audio; tasks do."""
