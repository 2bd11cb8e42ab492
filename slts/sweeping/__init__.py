"""Sweeps: an Optuna study whose trials are trainings, worked on by any number of workers that may die at any time."""
