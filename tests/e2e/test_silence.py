"""Phones that confirm, and a model whose pushes are swallowed, against the real processes."""

from __future__ import annotations

import httpx2

from acme import Stack
from contract import own_app
from processes import until


def test_played_phones_confirm_all_but_what_their_model_swallows(stack: Stack) -> None:
    caller = own_app(stack)
    caller.http.patch(caller.path, json={"settings": {"receipts": True}}).raise_for_status()
    models = ["Pixel 8", "Redmi 9"] * 5
    phones = [caller.phone("fcm", platform="android", os_version="14", model=model) for model in models]
    played = {
        "receipts": f"{caller.http.base_url}/v1/receipts".replace("//v1", "/v1"),
        "swallow": {"Redmi 9": 1.0},
        "phones": [
            {"target": phone.token, "device": phone.device, "model": model}
            for phone, model in zip(phones, models, strict=True)
        ],
    }
    httpx2.post(f"{stack.simulator.control}/phones", json=played, trust_env=False, timeout=60).raise_for_status()

    def acknowledged() -> list[int]:
        return [caller.show(id_)["counts"]["acknowledged"] for id_ in sent]

    sent = [caller.send(phone) for phone in phones]
    for id_ in sent:
        caller.settled(id_)
    until(lambda: sum(acknowledged()) >= 5, "five have confirmed")
    shown = caller.http.get("/v1/silence", params={"app": caller.app}).raise_for_status().json()
    lines = caller.http.get("/v1/doctor", params={"app": caller.app}).raise_for_status().json()["checks"]

    assert acknowledged() == [1, 0] * 5
    assert shown == {"silent": [], "over": [], "slices": []}, "the grace is not over"
    assert [line["status"] for line in lines if line["name"] == f"silence of {caller.app}"] == ["skipped"]
