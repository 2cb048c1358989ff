"""Workers on the machines of a Ray cluster, one for each of its processors.

A worker is a Ray actor. What it is to keep goes through Ray's object store, once a machine; with
each job only its argument and its result travel.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
import socket
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from autodas_dsl.execution.pool import Heard, Pool, Worker
from autodas_dsl.execution.serving import Keeper, Key, Said, Saying, packed, settle
from autodas_dsl.execution.versions import require_same, versions
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.extend import loaded
from autodas_dsl.language.foreign import one_line
from autodas_dsl.language.user_files import UserFile

ADDRESS = "RAY_ADDRESS"
_THIS_MACHINE = "auto"
_FORM = re.compile(r"(?:ray://)?\[?([\w.:-]+?)\]?:(\d{1,5})")
_CONNECTED_IN = 5.0
_STARTED_IN = 60.0
_TRIES = 3
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
_SETTINGS = b"\4"


class Ray(Pool):
    """Runs jobs on a Ray cluster.

    What a worker ran that is lost with its machine is run elsewhere; two machines lost under one job
    count as a worker that it ended. One that does not come up, for want of a free processor, is done
    without until it does.

    Parameters
    ----------
    address : str, optional
        ``HOST:PORT`` of the cluster; by default what the variable ``RAY_ADDRESS`` says, or the
        cluster that this machine is part of. A connection of this process is used as it is.
    workers : int, optional
        By default one for each processor of the cluster.

    Raises
    ------
    InputError
        E782 Ray is not installed; E783 the address is none; E784 no cluster is there; E785 it
        cannot be used from here.
    """

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        self._ray, self._own = _library(), False
        self._address = address or os.environ.get(ADDRESS) or _THIS_MACHINE
        self._connect()
        processors = int(self._ray.cluster_resources().get("CPU", 0))
        super().__init__(workers or max(1, processors))
        self._mustered = False
        self._failures = 0

    def close(self) -> None:
        super().close()
        self._mustered = False
        if self._own:
            self._ray.shutdown()

    def _connect(self) -> None:
        if not self._ray.is_initialized():
            self._own = True
            _connect(self._ray, self._address)

    def started(self) -> Actor:
        return Actor(self._ray)

    def dumps(self, state: object) -> Any:
        return self._ray.put(packed(state, self._ray.cloudpickle.dumps))

    def seats(self) -> Sequence[int]:
        """The workers that came up; the first time, all of them or those of a minute."""
        if not self._mustered:
            self._connect()
            refs = [ref for place in range(self.workers) for ref in self._actor(place).awaited]
            self._ray.wait(refs, num_returns=len(refs), timeout=_STARTED_IN)
            self._mustered = True
            for _, said, value in self._listen():
                if said is Said.WRONG:
                    raise value
        return [place for place in range(self.workers) if self._actor(place).ready]

    def heard(self, busy: Collection[int]) -> Iterator[Heard]:
        refs = [ref for place in range(self.workers) for ref in self._actor(place).awaited]
        answered, _ = self._ray.wait(refs, timeout=_STARTED_IN)
        if not answered and not self.seats():
            raise InputError(
                "E786", "the Ray cluster has no worker left, and none came up within a minute",
                "add machines to it and run the command again: what was found is kept",
            )  # fmt: skip
        return self._listen()

    def _listen(self) -> Iterator[Heard]:
        """What workers have said by now, in the order in which each said it."""
        return iter([one for place in range(self.workers) for one in self._answers(place)])

    def _answers(self, place: int) -> Iterator[Heard]:
        actor = self._actor(place)
        refs = list(actor.awaited)
        answered, _ = self._ray.wait(refs, num_returns=len(refs), timeout=0) if refs else ([], [])
        for ref in answered:
            if ref not in actor.awaited:
                return
            try:
                said, value = self._ray.get(ref)
            except (self._ray.exceptions.RayActorError, self._ray.exceptions.ObjectLostError) as e:
                if actor.ready:
                    yield place, Said.DIED if self._is_there(actor.node) else Said.GONE, None
                else:
                    self._failed(place, e)
                return
            actor.awaited.remove(ref)
            if said is Said.READY:
                actor.node, self._failures = value or actor.node, 0
            elif said is Said.WRONG:
                actor.awaited.clear()
                yield place, said, value
            else:
                if said is Said.MADE:
                    actor.go_on()
                yield place, said, value

    def _failed(self, place: int, error: Exception) -> None:
        """A worker that did not come up is tried again, a few times in all."""
        self.bury(place)
        self._failures += 1
        if self._failures >= _TRIES:
            lines = [line for line in str(error).splitlines() if line.strip()]
            raise InputError(
                "E787", f"workers of the Ray cluster do not start: {lines[-1].strip()}",
                "install autodas-dsl on every node, as it is here",
            ) from error  # fmt: skip

    def _is_there(self, node: str) -> bool:
        """Whether a machine of the cluster answers."""
        found = next((one for one in self._ray.nodes() if one["NodeID"] == node), None)
        if found is None or not found["Alive"]:
            return False
        return _reach(found["NodeManagerAddress"], found["NodeManagerPort"]) == ""

    def _actor(self, place: int) -> Actor:
        worker = self.worker(place)
        assert isinstance(worker, Actor)
        return worker


class Actor(Worker):
    """One actor, the machine that it is on once it came up, and what it has not answered yet."""

    def __init__(self, ray: Any) -> None:
        super().__init__()
        self._ray = ray
        self._server = ray.remote(num_cpus=1, max_restarts=0)(Server).remote()
        self.node = ""
        self.awaited = [
            self._server.compare.remote(versions()),
            self._server.settle.remote(loaded()),
        ]

    @property
    def ready(self) -> bool:
        return bool(self.node)

    def post(self, key: Key, state: Any, argument: Any) -> None:
        self._next = key, argument
        if state is None:
            self.go_on()
        else:
            self.awaited.append(self._server.make.remote(key, state))

    def go_on(self) -> None:
        """Have the job run, now that what it calls was made."""
        self.awaited.append(self._server.call.remote(*self._next))

    def end(self) -> None:
        self._ray.kill(self._server)


class Server:
    """The worker itself, in a process of the cluster."""

    def __init__(self) -> None:
        self._keeper = Keeper()

    def compare(self, asked: Mapping[str, str]) -> Saying:
        try:
            require_same(asked)
        except InputError as error:
            return Said.WRONG, error
        return Said.READY, ""

    def settle(self, extensions: Sequence[UserFile]) -> Saying:
        try:
            settle(extensions)
        except InputError as error:
            return Said.WRONG, error
        return Said.READY, importlib.import_module("ray").get_runtime_context().get_node_id()

    def make(self, key: Key, state: bytes | None) -> Saying:
        return self._keeper.make(key, state)

    def call(self, key: Key, argument: Any) -> Saying:
        return self._keeper.call(key, argument)


def _library() -> Any:
    # What Ray notices it prints on standard output, where results are printed.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
    try:
        return importlib.import_module("ray")
    except ImportError:
        raise InputError(
            "E782", "several machines need Ray, which is not installed",
            'pip install "autodas-dsl[ray]"',
        ) from None  # fmt: skip


def _connect(ray: Any, address: str) -> None:
    if address != _THIS_MACHINE:
        form = _FORM.fullmatch(address)
        if form is None or int(form[2]) > 65535:
            raise InputError(
                "E783", f"`{address}` is no address of a Ray cluster",
                "write HOST:PORT, such as 10.0.0.1:6379",
            )  # fmt: skip
        reason = _reach(form[1], int(form[2]), hello=not os.environ.get("RAY_USE_TLS"))
        if reason:
            raise _nobody(f"at {address}: {reason}")
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except ConnectionError as error:
        if address == _THIS_MACHINE:
            raise _nobody("on this machine") from error
        raise _nobody(f"at {address}") from error
    except RuntimeError as error:
        raise InputError(
            "E785", f"the Ray cluster cannot be used from here: {one_line(error)}",
            "install the same Python and the same Ray on all machines",
        ) from error  # fmt: skip


def _nobody(where: str) -> InputError:
    return InputError(
        "E784", f"there is no Ray cluster {where}",
        "start one with `ray start --head`, or name one with --ray HOST:PORT",
    )  # fmt: skip


def _reach(host: str, port: int, hello: bool = False) -> str:
    """Why nothing answers there, with `hello` as Ray's servers do; empty where something does.

    Ray itself tries for minutes. Its servers speak HTTP/2 and begin with a frame of settings.
    """
    try:
        with socket.create_connection((host, port), timeout=_CONNECTED_IN) as connection:
            if not hello:
                return ""
            connection.sendall(_HELLO)
            answer = connection.recv(9)
    except OSError as error:
        return error.strerror or str(error)
    return "" if answer[3:4] == _SETTINGS else "something else is there"
