"""Training with a teacher: one student of the user's, or every row of a built-in table.

``autodas_dsl.training.distillation`` trains one student, ``losses`` holds one entry for each
distillation loss, ``build`` trains the tables; ``rows``, ``recipe`` and ``replicas`` are its parts.
"""
