"""What a score is worth: splits, correlations, intervals, regret, sensitivity."""
