"""Scores of networks: formulas bound to a batch and a teacher, and kept."""
