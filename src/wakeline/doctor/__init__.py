"""Why it did not arrive: explanations of what happened, from what was kept and from the one table of outcomes."""
