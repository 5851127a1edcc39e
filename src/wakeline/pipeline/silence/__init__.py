"""It notices silence: phones that are sent to as ever and confirm less than they used to (ADR 35).

walk     reads what was accepted long enough ago, off every hot path, and keeps counts by the hour
tally    the counts of an app, by hour and kind of phone
expecting  what they say of this hour: how many confirmations are to be expected
doubt    adds up, delivery by delivery, what speaks for silence; safe to look at as often as one likes
judge    one app: who is silent, the narrowest slice that explains it, when it ends
"""
