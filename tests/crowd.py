"""A crowd of phones that are sent to and confirm, hour by hour: with nights and weekends, phones that are off for good, days
that are better or worse than others. Times are hours since 1970; the same seed makes the same months."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator

import msgspec

from wakeline.model.route import Lane
from wakeline.model.silence import HOUR, Suspicion, Traits
from wakeline.pipeline.silence.judge import Judge, Sent
from wakeline.pipeline.silence.tally import Tally

BEGIN = 497_208
"""A Monday, 0 o'clock UTC."""

REDMI = Traits("android", "13", "Redmi 9")
SAMSUNG = Traits("android", "14", "SM-S911")
KINDS = (
    SAMSUNG,
    REDMI,
    Traits("android", "14", "Pixel 8"),
    Traits("android", "13", "P30"),
    Traits("ios", "17", "iPhone14,2"),
    Traits("ios", "16", "iPhone12,1"),
)

Swallows = Callable[["Phone"], bool]


class Phone(msgspec.Struct, frozen=True):
    """One phone: the odds that it confirms, how much it gets, and a number that says what becomes of it."""

    number: int
    traits: Traits
    odds: float
    weight: float
    fate: float


class Crowd:
    """`daily` pushes reach `size` phones; of every hundred phones seven are off for good."""

    def __init__(self, seed: int, *, size: int = 300, daily: int = 600, kinds: tuple[Traits, ...] = KINDS) -> None:
        self.random = random.Random(seed)  # noqa: S311 - a made-up crowd needs no secrets
        self.daily = daily
        self.phones = [self._phone(number, kinds) for number in range(size)]
        self._weights = [phone.weight for phone in self.phones]
        self._day = 0.0

    def _phone(self, number: int, kinds: tuple[Traits, ...]) -> Phone:
        chance = self.random
        kind = kinds[min(int(chance.expovariate(1 / 2)), len(kinds) - 1)]
        confirms = 0.03 if chance.random() < 0.07 else min(0.98, chance.betavariate(18, 2))
        return Phone(number, kind, math.log(confirms / (1 - confirms)), chance.uniform(0.4, 3.0), chance.random())

    def hour(self, hour: int, swallows: Swallows | None = None, *, mood: float = 0.0) -> list[Sent]:
        """Return what is sent in an hour; `mood`, in log-odds, is how all phones do."""
        chance, of_day, weekend = self.random, hour % 24, (hour - BEGIN) // 24 % 7 >= 5
        if of_day == 0:
            self._day = chance.gauss(0, 0.12)
        busy = 0.15 + 1.4 * max(0.0, math.sin((of_day - 6) / 18 * math.pi)) * (0.5 if weekend else 1.0)
        number = max(0, round(chance.gauss(self.daily / 24 * busy, math.sqrt(self.daily / 24 * busy))))
        mood += self._day - (1.0 if of_day < 7 else 0.0) - (0.7 if weekend else 0.0)
        return [
            Sent(
                at=hour * HOUR + place * HOUR // number,
                lane=Lane.ALERT,
                phone=phone.number,
                traits=phone.traits,
                heard=chance.random() < 1 / (1 + math.exp(-phone.odds - mood))
                and not (swallows is not None and swallows(phone)),
            )
            for place, phone in enumerate(chance.choices(self.phones, self._weights, k=number))
        ]

    def watched(self, days: int = 8) -> Judge:
        """Return a judge that has seen so many days of this crowd, and found nothing."""
        judge = Judge(1, Tally())
        for hour in range(BEGIN, BEGIN + 24 * days):
            assert judge.take(self.hour(hour))[1] == []
        return judge

    def go_on(
        self, judge: Judge, swallows: Swallows | None = None, *, after: int = 8, days: int = 7, mood: float = 0.0
    ) -> Iterator[tuple[list[Sent], list[Suspicion]]]:
        """Yield what is sent after so many days, with what it showed."""
        for hour in range(BEGIN + 24 * after, BEGIN + 24 * (after + days)):
            sent = self.hour(hour, swallows, mood=mood)
            for start in range(0, len(sent), 10):
                changed = judge.take(sent[start : start + 10])[1]
                yield sent[start : start + 10], changed
