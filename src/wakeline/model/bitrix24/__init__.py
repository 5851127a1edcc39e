"""The nouns of Bitrix24.

Of our own portal, which existing Bitrix24 clients talk to as if it were theirs:

access    its users, applications, incoming webhooks, codes and tokens
events    bound handlers and the queue of offline events
records   what it keeps of a CRM: deals, leads, contacts, activities, tasks
calls     external calls

Of self-hosted portals that use us as their push service:

broker    licence keys, and from where they came

Of portals whose application we are:

installation  a connected portal, and what lets us in
inbox         events that came from there
rule          which event becomes which notification
outbox        what we write there

The names of fields follow Bitrix24's own where it has a word for them (facts: its REST documentation).
"""
