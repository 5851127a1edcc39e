"""Bitrix24's REST as a way in: existing clients of a Bitrix24 portal talk to Wakeline unchanged.

    door      which path is what: REST, OAuth, the broker       ASGI
    request   body, query and path -> one tree of parameters    (wire.php_form)
    auth      who is it: token, webhook; what may they do
    limits    the leaky bucket and the `operating` limit
    methods   one table of methods, a file for each family
    batch     up to 50 methods in one request, references between them
    answers   envelope, `time`, the shape that PHP gives to maps
    oauth     /oauth/authorize/ and /oauth/token/
    broker    the push service of a self-hosted portal

What a method does beyond answering goes through `pipeline.accept`, like everything that is sent.
"""
