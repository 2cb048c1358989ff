"""Training-free student search: the networks of a space that a formula likes best."""
