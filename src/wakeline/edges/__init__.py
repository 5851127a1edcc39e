"""Ways in: one protocol each. They know the pipeline and the ports, and nothing of each other."""
