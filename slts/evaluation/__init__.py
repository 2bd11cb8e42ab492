"""From checkpoints to numbers, sounds and pictures: runs, generated clips, result rows, figures."""
