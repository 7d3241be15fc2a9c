"""Votes that are not sent yet, on disk."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from adapters.client.connection import address_of
from adapters.client.outbox import Outbox, Parcel


def test_an_outbox_keeps_what_it_was_given(tmp_path: Path) -> None:
    address = address_of("https://host/jokes")
    cast = {"lease": "l", "token": "t", "choice": "left"}
    parcels = [Parcel(f"k{n}", json.dumps(cast | {"seconds": n}).encode()) for n in range(3)]
    box = Outbox(tmp_path, address, "T0KEN")
    for parcel in parcels:
        box.add(parcel)
    box.remove("k1")
    box.refuse("k2", "too late")
    box.close()
    box = Outbox(tmp_path, address, "T0KEN")
    assert box.waiting_parcels() == parcels[:1]
    with closing(sqlite3.connect(box.path)) as file:
        assert file.execute("SELECT key, refused FROM parcels WHERE refused != ''").fetchall() == [("k2", "too late")]
    assert Outbox(tmp_path, address, "0THER").path != box.path
    box.close()
