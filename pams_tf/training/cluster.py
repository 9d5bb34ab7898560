"""The machines that train one network together: TF_CONFIG, and the wait until all are there."""

import contextlib
import dataclasses
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from typing import Any

from pams_tf.errors import InputError
from pams_tf.reading import excerpt, parse_json

PATIENCE = 600.0
"""Seconds for which a worker waits for the others, which a scheduler may start minutes apart."""

_FORM = (
    '{"cluster": {"worker": ["host-a:2222", "host-b:2222"]}, '
    '"task": {"type": "worker", "index": 0}}'
)
_UNLIKE = (
    "the chief's TF_CONFIG has other workers, or has this one already; give all the same cluster "
    "and each an index of its own"
)


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The workers of a run, and which of them this process is.

    Attributes:
      workers: "host:port" of each, the chief first.
      index: this process's place among them.
    """

    workers: tuple[str, ...]
    index: int

    @property
    def port(self) -> int:
        """The port on which this process listens."""
        return _place(self.workers[self.index])[1]


def cluster_from_environment() -> Cluster | None:
    """What TF_CONFIG says; None if it is not set, or names no worker but this process.

    Raises:
      InputError: it is no JSON, has another form than TensorFlow's, or asks for parameter servers.
    """
    text = os.environ.get("TF_CONFIG", "").strip()
    if not text:
        return None
    config = parse_json(text, "TF_CONFIG")
    try:
        jobs, task = config.get("cluster", {}), config.get("task", {})
        kinds = set(jobs) - {"chief", "worker"}
        if kinds:
            raise InputError(
                f"TF_CONFIG names a {sorted(kinds)[0]!r} job; training here has a chief and "
                "workers only"
            )
        workers = [str(place) for kind in ("chief", "worker") for place in jobs.get(kind, ())]
        for place in workers:
            _place(place)
        if len(workers) < 2:
            return None
        kind, index = task["type"], int(task["index"])
        if not 0 <= index < len(jobs[kind]):
            raise ValueError(f"there is no {kind} {index}")
    except InputError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"TF_CONFIG {excerpt(text)} cannot be used ({error}); it has the form {_FORM}"
        ) from error
    before = len(jobs.get("chief", ())) if kind == "worker" else 0
    return Cluster(tuple(workers), before + index)


def meet(cluster: Cluster, patience: float = PATIENCE) -> None:
    """Wait until every worker is there, so that TensorFlow, which waits for ever, need not.

    The others report to the chief on its own port, and all leave together.

    Raises:
      InputError: this process's port is in use; or a worker has not come, has another TF_CONFIG, or
        cannot reach the chief. The message names it.
    """
    with _listening(cluster.port) as server:
        if cluster.index == 0:
            _receive(cluster, server, patience)
        else:
            _report(cluster, patience)


def _receive(cluster: Cluster, server: socket.socket, patience: float) -> None:
    """The chief's side: take in the reports, then let all go."""
    here: dict[int, socket.socket] = {}
    waiting = _Waiting(patience)
    with contextlib.ExitStack() as stack:
        while len(here) < len(cluster.workers) - 1:
            missing = [i for i in range(1, len(cluster.workers)) if i not in here]
            names = ", ".join(f"worker {i} ({cluster.workers[i]})" for i in missing)
            if waiting.over(names):
                answer = (
                    f"{names} did not come within {patience:.0f} s; start the same command there, "
                    "or correct TF_CONFIG"
                )
                for connection in here.values():
                    _say(connection, {"error": answer})
                raise InputError(answer)
            server.settimeout(1.0)
            with contextlib.suppress(TimeoutError):
                connection = stack.enter_context(server.accept()[0])
                hello = _hear(connection)
                if hello.get("workers") == list(cluster.workers) and hello.get("index") in missing:
                    here[hello["index"]] = connection
                elif hello:
                    _say(connection, {"error": _UNLIKE})
            for index, connection in list(here.items()):
                if _gone(connection):
                    del here[index]
        for connection in here.values():
            _say(connection, {"go": True})


def _report(cluster: Cluster, patience: float) -> None:
    """A worker's side: report to the chief, and wait for its word."""
    waiting = _Waiting(patience)
    reason = ""
    while not waiting.over(f"the chief ({cluster.workers[0]})"):
        try:
            with socket.create_connection(_place(cluster.workers[0]), timeout=5) as chief:
                _say(chief, {"workers": list(cluster.workers), "index": cluster.index})
                answer = _hear(chief, patience)
        except OSError as error:
            reason = error.strerror or str(error)
            time.sleep(min(0.5, patience / 10))
            continue
        if "error" in answer:
            raise InputError(answer["error"])
        if "go" in answer:
            return
    raise InputError(
        f"the chief ({cluster.workers[0]}) did not answer within {patience:.0f} s ({reason}); "
        "start the same command there, or correct TF_CONFIG"
    )


class _Waiting:
    """A deadline, and a line every quarter of a minute about who is waited for."""

    def __init__(self, patience: float) -> None:
        self._end = time.monotonic() + patience
        self._next = time.monotonic() + 15

    def over(self, names: str) -> bool:
        now = time.monotonic()
        if now >= self._next:
            print(f"waiting for {names}", file=sys.stderr, flush=True)
            self._next = now + 15
        return now >= self._end


@contextlib.contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    """A socket that listens on the port, which TensorFlow takes over afterwards."""
    dual = socket.has_dualstack_ipv6()
    try:
        # TensorFlow's own server shares a port that is in use without a word.
        server = socket.create_server(
            ("", port),
            family=socket.AF_INET6 if dual else socket.AF_INET,
            dualstack_ipv6=dual,
        )
    except OSError as error:
        raise InputError(
            f"TF_CONFIG gives this worker port {port}, which cannot be opened "
            f"({error.strerror or error}); choose another one, or end what uses it"
        ) from error
    with server:
        yield server


def _say(connection: socket.socket, words: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # who has left will report again, or is missed
        connection.sendall(json.dumps(words).encode() + b"\n")


def _hear(connection: socket.socket, patience: float = 5.0) -> dict[str, Any]:
    """One line of JSON; nothing if the other side says something else or leaves."""
    connection.settimeout(patience)
    text = b""
    try:
        while not text.endswith(b"\n") and len(text) < 1 << 16:
            part = connection.recv(4096)
            if not part:
                return {}
            text += part
        words = json.loads(text)
    except (OSError, ValueError):
        return {}
    return words if isinstance(words, dict) else {}


def _gone(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _place(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise ValueError(f"{address!r} is no host:port")
    return host.strip("[]"), int(port)
