"""The story of a push.

To be read in this order:

    terms      what a request asks for, with its defaults          (pure)  bearing, raw_targets
    accept     check, look up, resolve, one commit, 202            draft, ready, audience, limits, limited, preview
    resolve    which target of a device, on which route, in which job  (pure; coverage: which credential)
    fanout     walking tags, everyone and long lists of names    made, remembered, ahead
    dispatch   claiming by route and lane                          agenda, claim, load, shelf
    feed       handing over what senders have room for             ship, lanes
    route      routes at run time: credential, sender, hold        way, breaker, brake, origins
    canary     changes on trial, and what stands meanwhile         trial, standing, taken_back
    answers    what each answer does                               flight, retry, verdicts
    settle     one settlement a flush, then verdicts on tokens     batch, apart
    report     the events
    watch      holds and releases: breaker, brake, credentials     livecheck
    maintain   background duties
    story      all of it assembled: `Pipeline`

It imports ports, model, wire and config, and knows no store, no provider and no socket.
"""

from __future__ import annotations

from wakeline.pipeline.accept import Accept, Submission, Taken
from wakeline.pipeline.parts import Parts
from wakeline.pipeline.preview import PreviewItem, PreviewResult
from wakeline.pipeline.story import Condition, Pipeline, RouteStatus

__all__ = [
    "Accept",
    "Condition",
    "Parts",
    "Pipeline",
    "PreviewItem",
    "PreviewResult",
    "RouteStatus",
    "Submission",
    "Taken",
]
