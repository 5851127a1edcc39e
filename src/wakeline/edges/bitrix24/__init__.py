"""Bitrix24's REST as a way in: existing clients of a Bitrix24 portal talk to Wakeline unchanged.

    door      one way for every request under /rest             ASGI
    request   body, query and path -> one tree of parameters    (wire.php_form)
    reading   parameters as clients really send them
    auth      who is it: token, webhook; what may they do
    limits    the leaky bucket and the `operating` limit
    table     every method by its name; `methods` has a file for each family
    perform   one call from its name to its answer
    paging    pages of a list
    raising   events of the portal: posted in the background (delivering), or queued for whoever fetches
    batch     up to 50 methods in one request, references between them
    refusals  the table of errors that any method may meet
    answers   envelope, `time`, the shape that PHP gives to maps
    oauth     /oauth/authorize/ and /oauth/token/
    broker    the push service of a self-hosted portal
    connected the door of portals that have installed our application

What a method does beyond answering goes through `pipeline.accept`, like everything that is sent.
"""
