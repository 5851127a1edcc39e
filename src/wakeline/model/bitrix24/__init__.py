"""The nouns of our own Bitrix24 portal: the one that existing Bitrix24 clients talk to as if it were theirs.

access    its users, applications, incoming webhooks, codes and tokens
events    bound handlers and the queue of offline events
records   what it keeps of a CRM: deals, leads, contacts, activities, tasks
calls     external calls

The names of fields follow Bitrix24's own where it has a word for them (facts: its REST documentation).
"""
