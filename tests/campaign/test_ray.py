# SPDX-License-Identifier: GPL-2.0-only
"""A campaign on Ray: two nodes on one machine; one is lost, the hub dies, one joins late."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import ray

from difffuzz.campaign.cluster.ray_fleet import RayFleet
from difffuzz.campaign.config import read_config
from difffuzz.campaign.status import read_status
from difffuzz.campaign.supervisor import Supervisor
from difffuzz.cli import main
from difffuzz.measure.campaigns.processes import left_over

from .fakes import new_folder

SECONDS = 90.0
STORE: dict[str, Any] = {"object_store_memory": 100 << 20}


def wait_for(supervisor: Supervisor, what: Callable[[], bool]) -> None:
    last = time.monotonic() + SECONDS
    while not what():
        assert supervisor.poll()
        assert time.monotonic() < last, supervisor.tallies
        time.sleep(0.05)


def nodes_at_work(supervisor: Supervisor) -> set[str]:
    tallies = supervisor.tallies.values()
    return {one.place.partition("/")[0] for one in tallies if not one.over and one.executions > 20}


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_nodes_are_lost_and_join_and_the_hub_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray.cluster_utils import Cluster

    monkeypatch.setattr("difffuzz.campaign.cluster.ray_fleet.LOOK_SECONDS", 0.5)
    folder = new_folder(tmp_path / "campaign", turn=1000.0)
    cluster: Any = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 1,
            "object_store_memory": 100 << 20,
            "include_dashboard": False,
        },
    )
    config = read_config(folder)
    said: list[str] = []
    fleet = RayFleet(folder, config, cluster.address)
    supervisor = Supervisor(folder, config, fleet, said.append)
    try:
        supervisor.start()
        wait_for(supervisor, lambda: len(nodes_at_work(supervisor)) == 1)
        second = cluster.add_node(num_cpus=1, **STORE)
        wait_for(supervisor, lambda: len(nodes_at_work(supervisor)) == 2)  # it has caught up
        epoch = fleet._epoch
        ray.kill(fleet._hub, no_restart=False)
        wait_for(supervisor, lambda: fleet._epoch not in (epoch, ""))
        before = sum(one.executions for one in supervisor.tallies.values())
        wait_for(
            supervisor,
            lambda: sum(one.executions for one in supervisor.tallies.values()) > before + 20,
        )
        executions = sum(one.executions for one in supervisor.tallies.values())
        entries = len(supervisor.entries)
        cluster.remove_node(second, allow_graceful=False)
        wait_for(supervisor, lambda: len(fleet.places()) == 1)
        wait_for(supervisor, lambda: len(nodes_at_work(supervisor)) == 1)
        supervisor.finish()
        assert len(supervisor.entries) >= entries
    finally:
        supervisor.close()
        cluster.shutdown()
    status = read_status(folder)
    assert status.executions >= executions
    assert status.coverage > 1000
    assert left_over(Path("/tmp/difffuzz-node-")) == []


@pytest.mark.parametrize(
    ("fleet", "status", "says"),
    [
        ("rya", 2, "--fleet rya: expected local, ray or ray://HOST:PORT"),
        ("ray://", 2, "expected local, ray or ray://HOST:PORT"),
        ("ray://127.0.0.1:1", 3, "no Ray cluster at 127.0.0.1:1: "),
    ],
)
def test_a_fleet_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fleet: str, status: int, says: str
) -> None:
    folder = new_folder(tmp_path)
    assert main(["campaign", "run", str(folder), "--fleet", fleet]) == status
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1


def test_ray_that_is_not_installed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    folder = new_folder(tmp_path)
    assert main(["campaign", "run", str(folder), "--fleet", "ray"]) == 3
    said = capsys.readouterr().err
    assert "--fleet ray needs Ray: run '" in said
    assert "pip install" in said
