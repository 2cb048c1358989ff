"""How work is done so that its result does not depend on who does it: tasks, processes, random numbers."""
