"""We as somebody's client: what happens elsewhere comes in, and is written there."""
