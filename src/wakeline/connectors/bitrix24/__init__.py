"""We as an application of other people's Bitrix24 portals.

    a portal's event -> edges/bitrix24/connected (proved, kept, answered) -> inbox -> reader: one batch of fetches for many events
                     -> rules -> pipeline.accept
    what the portal did not tell: catching_up (offline events, lists by date) -> inbox
    what we write there: outbox, in order, once

client    one portal's REST: calls, batches, pages; oauth: its tokens, line: its limits, moving: its new address,
          standing: when it closes
installing, binding    getting into a portal, and which events it posts to us
kinds     what a record is: methods, events, shapes of answers
reader    the loop over waiting events; drain is one go: folding, fetching, rules, sending, mirroring; reading joins them
rules     what rules are made of, and their sandbox; trying applies one without sending
calls     calls of its users, registered and finished there through the outbox
Source: Bitrix24 REST documentation ("OAuth 2.0", "Event handling", "Offline events", "Performance").
"""
