"""Results for people: terminal tables, plots, graphs, and the page about a run."""
