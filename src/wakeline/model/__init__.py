"""The nouns: frozen values and enums. No input or output happens here, and nothing of ours is imported from outside.

Rule of the folder: a noun knows what it is, never how it is stored, sent or shown.
Times are Unix milliseconds (`int`), durations are seconds (`float` or `int`), unless a name says otherwise.
"""
