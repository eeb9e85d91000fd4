"""One owner a folder; one that is gone is taken over, and one that comes back gets its own again."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from weir.proxy.parent.journal_home import JournalHome

if TYPE_CHECKING:
    from pathlib import Path


def test_a_second_proxy_of_the_same_name_takes_the_next(tmp_path: Path) -> None:
    homes = [JournalHome.claim(tmp_path, "p") for _ in range(3)]
    assert [home.proxy_id for home in homes] == ["p", "p-2", "p-3"]
    homes[1].close()
    assert JournalHome.claim(tmp_path, "p").proxy_id == "p-2"


def test_an_owner_that_comes_back_gets_its_folder_from_the_adopter(tmp_path: Path) -> None:
    ours = JournalHome.claim(tmp_path, "ours")
    JournalHome.claim(tmp_path, "theirs").close()
    (adopted,) = ours.abandoned(0)
    assert not adopted.is_wanted
    claimed: list[JournalHome] = []
    owner = threading.Thread(target=lambda: claimed.append(JournalHome.claim(tmp_path, "theirs")))
    owner.start()
    while not adopted.is_wanted:
        assert owner.is_alive()
    adopted.close()
    owner.join(30)
    assert [home.proxy_id for home in claimed] == ["theirs"]
    assert not (claimed[0].directory / "wanted").exists()
    assert ours.abandoned(0) == []


def test_a_folder_that_is_waited_for_is_not_taken(tmp_path: Path) -> None:
    ours = JournalHome.claim(tmp_path, "ours")
    theirs = JournalHome.claim(tmp_path, "theirs")
    theirs.close()
    wanted = theirs.directory / "wanted"
    wanted.touch()
    assert ours.abandoned(0) == []
    os.utime(wanted, (0, 0))  # whoever waited was killed
    assert len(ours.abandoned(0)) == 1


def test_only_an_empty_folder_is_removed(tmp_path: Path) -> None:
    ours = JournalHome.claim(tmp_path, "ours")
    for name in ("empty", "full"):
        JournalHome.claim(tmp_path, name).close()
    (tmp_path / "journal" / "full" / "b-1.marks").touch()
    for home in ours.abandoned(0):
        home.remove()
    assert sorted(path.name for path in (tmp_path / "journal").iterdir()) == ["full", "ours"]
    assert len(ours.abandoned(0)) == 1, "the lock was let go"
