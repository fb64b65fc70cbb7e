# SPDX-License-Identifier: GPL-2.0-only
"""Hub and nodes without Ray: nothing that was told is lost, whoever begins anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from difffuzz.campaign.cluster import node as node_module
from difffuzz.campaign.cluster.hub import BATCH_INPUTS, Hub
from difffuzz.campaign.cluster.messages import Orders, Taken, encode
from difffuzz.campaign.cluster.node import Node, patches_of
from difffuzz.campaign.config import Config, Lane
from difffuzz.campaign.crew import Crew
from difffuzz.campaign.tally import Tally
from difffuzz.fuzz.news import input_name

from .fakes import put_entry, put_finding

CONFIG = Config(version=1, lane=(Lane(name="only"),))


class IdleCrew(Crew):
    """Starts nobody."""

    def assign(self, place: str, lane: Lane) -> None:
        self.lanes = {**getattr(self, "lanes", {}), place: lane}

    def poll(self) -> list[Tally]:
        return [Tally("0", 1, "only", executions=7)]


@pytest.fixture(autouse=True)
def idle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(node_module, "Crew", IdleCrew)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


class Cloud:
    """A hub that may die, and what the campaign knows of it."""

    def __init__(self) -> None:
        self.hub = Hub()
        self.down = False
        self.confirm: list[tuple[str, str, int]] = []
        self.orders: dict[str, bytes] = {}

    def exchange(
        self, node: str, life: str, epoch: str, cursor: int, batches: list[bytes]
    ) -> bytes:
        if self.down:
            raise ConnectionError("no hub")
        return self.hub.exchange(node, life, epoch, cursor, batches)

    def take(self, inputs: Sequence[bytes] = ()) -> Taken:
        text = self.hub.take(self.confirm, self.orders, list(inputs))
        taken = msgspec.msgpack.decode(text, type=Taken)
        self.confirm = [(one.key.node, one.key.life, one.key.number) for one in taken.batches]
        return taken

    def order(self, *nodes: str, **changes: object) -> None:
        orders = msgspec.structs.replace(Orders(CONFIG, lanes={"0": "only"}), **changes)
        self.orders = dict.fromkeys(nodes, encode(orders))
        self.take()


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def node(cloud: Cloud) -> Iterator[Node]:
    node = Node("a", cloud.exchange)
    cloud.order("a")
    assert node.turn()
    yield node
    node.close()
    assert not node.folder.exists()


def inputs(taken: Taken) -> set[bytes]:
    return {data for batch in taken.batches for data in batch.inputs}


def corpus(node: Node) -> set[str]:
    return {path.name for path in (node.folder / "corpus").iterdir()}


def test_what_a_node_makes_comes_to_the_campaign_until_it_is_confirmed(
    cloud: Cloud, node: Node
) -> None:
    put_entry(node.folder, b"one")
    put_finding(node.folder, "leak:tdp:x")
    node.turn()
    first = cloud.take()
    assert b"one" in inputs(first)
    (found,) = [text for batch in first.batches for text in batch.findings.values()]
    assert "# signature: leak:tdp:x" in found
    assert {tally.place for batch in first.batches for tally in batch.tallies} == {"a/0"}
    cloud.take()  # confirms the first
    node.turn()
    assert b"one" not in inputs(cloud.take())


def test_a_campaign_that_did_not_hear_is_told_again(cloud: Cloud, node: Node) -> None:
    put_entry(node.folder, b"one")
    node.turn()
    assert b"one" in inputs(cloud.take())
    cloud.confirm = []  # it died before it wrote
    assert b"one" in inputs(cloud.take())


def test_a_hub_that_begins_anew_is_told_again(cloud: Cloud, node: Node) -> None:
    put_entry(node.folder, b"one")
    put_finding(node.folder, "leak:tdp:x")
    node.turn()
    cloud.hub = Hub()
    node.turn()
    taken = cloud.take()
    assert b"one" in inputs(taken)
    assert [name for batch in taken.batches for name in batch.findings]


def test_a_node_goes_on_while_there_is_no_hub(cloud: Cloud, node: Node) -> None:
    cloud.down = True
    put_entry(node.folder, b"one")
    assert node.turn()
    put_entry(node.folder, b"two")
    assert node.turn()
    cloud.down = False
    node.turn()
    assert {b"one", b"two"} <= inputs(cloud.take())


def test_a_late_joiner_catches_up(cloud: Cloud, node: Node) -> None:
    many = [b"%d" % number for number in range(BATCH_INPUTS + 10)]
    cloud.take(many)
    put_entry(node.folder, b"of a")
    node.turn()
    late = Node("b", cloud.exchange)
    cloud.order("a", "b")
    for _ in range(3):
        late.turn()
    assert corpus(late) == {input_name(data) for data in (*many, b"of a")}
    late.close()


def test_what_came_from_others_is_not_told_as_one_s_own(cloud: Cloud, node: Node) -> None:
    cloud.take([b"theirs"])
    node.turn()
    node.turn()
    assert corpus(node) == {input_name(b"theirs")}
    assert inputs(cloud.take()) == set()


def test_the_last_word_is_told_before_a_node_goes(cloud: Cloud, node: Node) -> None:
    cloud.order("a", stop=True)
    put_entry(node.folder, b"late")
    assert node.turn()
    put_entry(node.folder, b"later")
    assert node.turn()
    assert b"late" in inputs(cloud.take())
    cloud.take()
    assert not node.turn()


def test_a_second_life_of_a_node_is_told_from_the_first(cloud: Cloud, node: Node) -> None:
    for _ in range(3):
        node.turn()
        cloud.take()
    again = Node("a", cloud.exchange)
    again.turn()
    put_entry(again.folder, b"second life")
    again.turn()
    assert b"second life" in inputs(cloud.take())
    again.close()


def test_patches_go_along_and_findings_name_the_campaign_s(tmp_path: Path, cloud: Cloud) -> None:
    patch = tmp_path / "my.patch"
    patch.write_text("--- a\n+++ b\n")
    lane = Lane(name="only", right=f"tdp+1b2dc7360463+{patch}")
    config = Config(version=1, lane=(lane,))
    assert patches_of(config) == {str(patch): b"--- a\n+++ b\n"}
    node = Node("a", cloud.exchange)
    cloud.order("a", config=config, patches=patches_of(config))
    node.turn()
    crew = node._crew
    assert isinstance(crew, IdleCrew)
    mine = crew.lanes["0"].right
    own = Path(mine.rpartition("+")[2])
    assert own != patch
    assert own.read_bytes() == patch.read_bytes()
    put_finding(node.folder, "leak:tdp:x", right=mine)
    node.turn()
    (text,) = [text for batch in cloud.take().batches for text in batch.findings.values()]
    assert f"# right: {lane.right}\n" in text
    node.close()


def test_pauses_reach_a_node(cloud: Cloud, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    paused: list[bool] = []
    monkeypatch.setattr(Crew, "pause", lambda self, on: paused.append(on))
    for on in (True, True, False):
        cloud.order("a", paused=on)
        node.turn()
    assert paused == [True, False]


def test_folders_of_dead_processes_go(tmp_path: Path, cloud: Cloud) -> None:
    dead = tmp_path / "difffuzz-node-999999999-x"
    dead.mkdir()
    Node("a", cloud.exchange).close()
    assert not dead.exists()
