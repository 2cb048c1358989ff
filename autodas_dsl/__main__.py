"""``python -m autodas_dsl`` does what ``autodas-dsl`` does."""

from autodas_dsl.cli import main

main()
