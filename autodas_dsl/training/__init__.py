"""Training: one network of the user's, with a teacher or without, or every row of a built-in table.

``distillation`` is what users call, ``loop`` trains one network by a ``recipe`` on what ``feeding``
gives; ``losses`` holds one entry for each distillation loss, ``criterion`` makes modules of them;
``build`` trains the tables, of which ``rows`` and ``replicas`` are parts.
"""
