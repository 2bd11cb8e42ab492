"""Matching: which sound belongs to which picture and at which shift, for people never trained on."""
