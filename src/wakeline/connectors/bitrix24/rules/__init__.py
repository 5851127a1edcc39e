"""Rules: from an event of a connected portal to a notification. Pure: what a rule may know is given to it.

`title`, `body`, `image`, `data`, `collapse` and `caller` are Jinja templates, `condition` and `recipients` Jinja expressions
(without braces). They may use:

    event        the event's name, in capitals: ONCRMDEALUPDATE
    data         what came with it: data.FIELDS.ID
    record       the deal, lead, contact, activity or task that it is about, by Bitrix24's names: record.TITLE
    deal, lead, contact, activity, task
                 the same, if it is one; otherwise none, so that `{% if deal %}` tells
    call         the data of a telephony event; `record` is then the contact, lead or deal that the portal knows by the number
    before       the record as it was before, if this installation is mirrored and it was known; otherwise none
    user         the number of the user who caused it, 0: nobody
    responsible  the user who is responsible for the record, by Bitrix24's names: responsible.NAME; asked for if a rule uses it
    portal       member_id, title and url: `{{ portal.url }}/crm/deal/details/{{ deal.ID }}/`

    default upper lower capitalize trim truncate replace striptags string length first last join map int float round abs
    money        record.OPPORTUNITY|money(record.CURRENCY_ID)            1 250.50 EUR
    date         record.DATE_MODIFY|date("%d.%m.%Y %H:%M")               in the portal's own offset

Values are as the portal tells them: numbers are texts, so a comparison of amounts is `record.OPPORTUNITY|float > 1000`.

sandbox     what a template may be made of, and how much it may cost
filters     filters and tests
templates   compiled templates and expressions
variables   what they may use, made from an event and its record
engine      a rule: judged, applied, turned into a request
ready       the rules for an event, each made ready once
"""

from __future__ import annotations

from wakeline.connectors.bitrix24.rules.engine import CompiledRule, Outcome, compiled
from wakeline.connectors.bitrix24.rules.ready import ReadyRules
from wakeline.connectors.bitrix24.rules.variables import Facts, variables

__all__ = ["CompiledRule", "Facts", "Outcome", "ReadyRules", "compiled", "variables"]
