"""TF_CONFIG, the meeting of workers, the choice of replicas, and what all of them say to misuse."""

import json
import os
import socket
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from pams_tf import InputError
from pams_tf.training.cluster import Cluster, cluster_from_environment, meet
from pams_tf.training.replicas import choose_replicas

TWO = ["a:2222", "b:2222"]
GUIDE = Path(__file__).parents[2] / "docs" / "gpus.md"


def configured(monkeypatch, cluster, kind="worker", index=0):
    text = json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})
    monkeypatch.setenv("TF_CONFIG", text)


@pytest.mark.parametrize(
    ("cluster", "kind", "index", "expected"),
    [
        ({"worker": TWO}, "worker", 1, Cluster(("a:2222", "b:2222"), 1)),
        ({"worker": ["b:1"], "chief": ["a:1"]}, "worker", 0, Cluster(("a:1", "b:1"), 1)),
        ({"worker": ["b:1"], "chief": ["a:1"]}, "chief", 0, Cluster(("a:1", "b:1"), 0)),
        ({"worker": ["a:1"]}, "worker", 0, None),  # as some platforms set it for one machine
        ({}, "worker", 0, None),
    ],
)
def test_tf_config(monkeypatch, cluster, kind, index, expected):
    configured(monkeypatch, cluster, kind, index)
    assert cluster_from_environment() == expected


def test_no_tf_config_is_no_cluster(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert cluster_from_environment() is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{cluster", "TF_CONFIG: not readable JSON"),
        ("[1]", "TF_CONFIG .*cannot be used"),
        (json.dumps({"cluster": {"worker": TWO}}), "TF_CONFIG .*cannot be used .'type'"),
        (
            json.dumps({"cluster": {"worker": TWO}, "task": {"type": "worker", "index": 2}}),
            "there is no worker 2",
        ),
        (
            json.dumps({"cluster": {"worker": ["a", "b:1"]}, "task": {"type": "worker"}}),
            "'a' is no host:port",
        ),
        (
            json.dumps({"cluster": {"ps": ["c:1"], "worker": TWO}}),
            "names a 'ps' job; training here has a chief and workers only",
        ),
    ],
)
def test_a_tf_config_that_cannot_be_used(monkeypatch, text, message):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match=message) as caught:
        choose_replicas("auto")
    assert "\n" not in str(caught.value)


def free_ports(count):
    servers = [socket.create_server(("", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in servers]
    for one in servers:
        one.close()
    return ports


def meeting(clusters, patience):
    """What each worker's meeting ends with: None, or its message."""
    ends = [None] * len(clusters)

    def attend(place, cluster):
        try:
            meet(cluster, patience)
        except InputError as error:
            ends[place] = str(error)

    threads = [
        threading.Thread(target=attend, args=(place, cluster))
        for place, cluster in enumerate(clusters)
    ]
    for thread in reversed(threads):  # the chief comes last
        thread.start()
        time.sleep(0.05)
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    return ends


def test_workers_meet():
    workers = tuple(f"localhost:{port}" for port in free_ports(3))
    assert meeting([Cluster(workers, index) for index in range(3)], 20) == [None] * 3


def test_a_worker_that_does_not_come_is_named_to_all():
    workers = tuple(f"localhost:{port}" for port in free_ports(3))
    chief, other = meeting([Cluster(workers, index) for index in (0, 1)], 1.5)
    assert f"worker 2 ({workers[2]}) did not come within" in chief
    assert "worker 2" in other or "the chief" in other


def test_without_a_chief():
    workers = tuple(f"localhost:{port}" for port in free_ports(2))
    with pytest.raises(InputError, match=r"the chief \(localhost:\d+\) did not answer within 1 s"):
        meet(Cluster(workers, 1), 1)


def test_two_workers_of_one_index():
    workers = tuple(f"localhost:{port}" for port in free_ports(2))
    strange = Cluster((workers[0], f"localhost:{free_ports(1)[0]}"), 1)
    chief, other = meeting([Cluster(workers, 0), strange], 1.5)
    assert "did not come" in chief
    assert "give all the same cluster" in other


def test_a_port_in_use():
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        cluster = Cluster((f"localhost:{port}", "localhost:1"), 0)
        with pytest.raises(InputError, match=f"port {port}, which cannot be opened .*in use"):
            meet(cluster, 1)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("many", "strategy 'many' is not possible; choose auto, one, mirrored, multiworker"),
        ("mirrored", "strategy 'mirrored' needs GPUs, and TensorFlow finds none"),
        ("multiworker", "needs TF_CONFIG with two workers or more"),
    ],
)
def test_a_strategy_that_is_not_there(monkeypatch, name, message):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(InputError, match=message):
        choose_replicas(name)


def test_one_replica_takes_the_whole_batch(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    replicas = choose_replicas("auto")
    assert replicas.shares(5) == [range(5)]
    np.testing.assert_array_equal(replicas.summed(np.array([1.5, np.inf])), [1.5, np.inf])
    monkeypatch.setattr(replicas, "count", 4)
    with pytest.raises(InputError, match="batch_size=6 does not divide by 4 replicas; give 4 or 8"):
        replicas.shares(6)


def block(start):
    """The indented block of the guide that starts so."""
    (text,) = [
        part
        for part in GUIDE.read_text().split("```")[1::2]
        if part.removeprefix("\n").startswith(start)
    ]
    return text.strip() + "\n"


def said(script, tmp_path, monkeypatch, **environment):
    """The clusters in which the workers of a shell script find themselves, by their index."""
    commands = {
        "pams-finetune": 'tr -d "\\n" <<< "$TF_CONFIG"; echo',
        "scontrol": 'test "$*" = "show hostnames node[1-4]" && printf "node%s\\n" 1 2 3 4',
        "srun": 'for rank in 0 1 2 3; do SLURM_PROCID=$rank "$@"; done',
    }
    for name, body in commands.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", script],
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    found = {}
    for line in done.stdout.splitlines():
        monkeypatch.setenv("TF_CONFIG", line)
        cluster = cluster_from_environment()
        found[cluster.index] = cluster.workers
    return found


def test_the_guides_example_of_tf_config(tmp_path, monkeypatch):
    found = said(block("export TF_CONFIG"), tmp_path, monkeypatch)
    assert found == {0: ("host-a:2222", "host-b:2222")}


def test_the_guides_script_for_slurm(tmp_path, monkeypatch):
    script = block("#!/bin/bash")
    found = said(script, tmp_path, monkeypatch, SLURM_JOB_NODELIST="node[1-4]")
    assert found == dict.fromkeys(range(4), tuple(f"node{n}:2222" for n in (1, 2, 3, 4)))


@pytest.mark.parametrize("index", ["0", "1"])
def test_the_guides_job_for_kubernetes(tmp_path, monkeypatch, index):
    yaml = pytest.importorskip("yaml")
    service, job = yaml.safe_load_all(block("apiVersion"))
    pod = job["spec"]["template"]["spec"]
    assert service["metadata"]["name"] == pod["subdomain"]
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    (script,) = pod["containers"][0]["args"]
    found = said(script, tmp_path, monkeypatch, JOB_COMPLETION_INDEX=index)
    hosts = [f"{job['metadata']['name']}-{n}.{pod['subdomain']}:2222" for n in range(2)]
    assert found == {int(index): tuple(hosts)}
    assert len(hosts) == job["spec"]["completions"] == job["spec"]["parallelism"]
