"""The search: typed trees varied, evaluated against measured accuracies, kept safe on disk."""
