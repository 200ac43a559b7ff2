"""Checks that Everloop and the Python SDK understand each other on one server.

checks.py ADDRESS RUST_TASK_QUEUE: runs a Python worker and every check, and ends with `N passed, M failed`.
"""

import asyncio
import logging
import os
import sys
import traceback
import uuid
from datetime import timedelta
from typing import Awaitable, Callable

from temporalio.api.enums.v1 import EventType
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
)
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    TerminatedError,
    WorkflowAlreadyStartedError,
)
from temporalio.worker import Replayer, Worker

from python_side import ACTIVITIES, WORKFLOWS, BuyInRust, CallsRust, Counter, LocalSum, Purchase, WaitForRust

LAMP = Purchase("lamp", "ann")
# Timeout of every wait, longer than any successful one.
PATIENCE = 60


class Peers:
    """Both workers, by their task queues, and new ids."""

    def __init__(self, client: Client, rust: str) -> None:
        self.client = client
        self.rust = rust
        self.python = f"python-{uuid.uuid4()}"

    async def start_rust(self, workflow: str, *args: object, id: str | None = None, **options) -> WorkflowHandle:
        id = id or f"{workflow}-{uuid.uuid4()}"
        return await self.client.start_workflow(workflow, args=args, id=id, task_queue=self.rust, **options)

    async def start_python(self, run: Callable, *args: object) -> WorkflowHandle:
        return await self.client.start_workflow(run, args=args, id=str(uuid.uuid4()), task_queue=self.python)


Check = Callable[[Peers], Awaitable[None]]
CHECKS: list[Check] = []


def check(function: Check) -> Check:
    CHECKS.append(function)
    return function


def equal(got: object, wanted: object) -> None:
    assert got == wanted, f"got {got!r}, wanted {wanted!r}"


async def failure_of(handle: WorkflowHandle) -> BaseException:
    """The cause of a workflow's failure."""
    try:
        result = await handle.result()
    except WorkflowFailureError as error:
        return error.cause
    raise AssertionError(f"the workflow did not fail, it gave {result!r}")


async def has_event(handle: WorkflowHandle, kind: "EventType.ValueType") -> None:
    """Waits until the history has such an event."""
    while True:
        async for event in handle.fetch_history_events(wait_new_event=True):
            if event.event_type == kind:
                return


# ---- Python starts, changes, watches and ends a Rust workflow ----


@check
async def rust_workflow_completes(peers: Peers) -> None:
    handle = await peers.start_rust("OneClickBuy", LAMP, 100)
    equal(await handle.result(), "lamp for ann, attempt 2")
    equal(await handle.query("current_status"), "Completed")
    equal((await handle.describe()).status, WorkflowExecutionStatus.COMPLETED)


@check
async def rust_workflow_takes_signals(peers: Peers) -> None:
    handle = await peers.start_rust("OneClickBuy", LAMP, 1_000)
    await handle.signal("update_purchase", Purchase("piano", "bob"))
    equal(await handle.query("current_status"), "Pending")
    equal(await handle.result(), "piano for bob, attempt 2")


@check
async def rust_workflow_starts_with_a_signal(peers: Peers) -> None:
    signal = {"start_signal": "update_purchase", "start_signal_args": [Purchase("boat", "eve")]}
    handle = await peers.start_rust("OneClickBuy", LAMP, 50, **signal)
    equal(await handle.result(), "boat for eve, attempt 2")


@check
async def rust_workflow_takes_updates(peers: Peers) -> None:
    handle = await peers.start_rust("OneClickBuy", LAMP, 2_000)
    equal(await handle.execute_update("give_to", "bob"), "ann")
    try:
        await handle.execute_update("give_to", "")
        raise AssertionError("the update was not rejected")
    except WorkflowUpdateFailedError as error:
        assert isinstance(error.cause, ApplicationError)
        equal((error.cause.type, error.cause.message), ("NoUser", "nobody is no user"))
    equal(await handle.result(), "lamp for bob, attempt 2")


@check
async def rust_workflow_is_cancelled(peers: Peers) -> None:
    handle = await peers.start_rust("OneClickBuy", LAMP, 60_000)
    await handle.cancel()
    equal(await handle.query("current_status"), "Cancelled")
    equal(await handle.result(), "cancelled in time")


@check
async def rust_workflow_is_terminated(peers: Peers) -> None:
    handle = await peers.start_rust("OneClickBuy", LAMP, 60_000)
    await handle.terminate("enough")
    assert isinstance(await failure_of(handle), TerminatedError)


@check
async def rust_failure_arrives_in_python(peers: Peers) -> None:
    error = await failure_of(await peers.start_rust("OneClickBuy", Purchase("moon", "ann"), 0))
    assert isinstance(error, ActivityError), error
    equal(error.activity_type, "do_purchase")
    cause = error.cause
    assert isinstance(cause, ApplicationError), cause
    equal((cause.type, cause.message, cause.non_retryable), ("Refused", "not for sale", True))
    equal(cause.details[0], {"item_id": "moon", "user_id": "ann"})


@check
async def unknown_query_is_an_error_with_the_names(peers: Peers) -> None:
    handle = await peers.start_rust("OneClickBuy", LAMP, 0)
    await handle.result()
    try:
        await handle.query("colour")
        raise AssertionError("there is no such query")
    except WorkflowQueryFailedError as error:
        assert "current_status" in str(error), error


@check
async def taken_id_is_refused(peers: Peers) -> None:
    id = str(uuid.uuid4())
    first = await peers.start_rust("OneClickBuy", LAMP, 60_000, id=id)
    try:
        await peers.start_rust("OneClickBuy", LAMP, 0, id=id)
        raise AssertionError("the id is taken")
    except WorkflowAlreadyStartedError:
        pass
    await first.terminate()
    policy = WorkflowIDReusePolicy.ALLOW_DUPLICATE
    again = await peers.start_rust("OneClickBuy", LAMP, 0, id=id, id_reuse_policy=policy)
    equal(await again.result(), "lamp for ann, attempt 2")


@check
async def rust_workflows_are_listed_and_counted(peers: Peers) -> None:
    handle = await peers.start_rust("OneClickBuy", LAMP, 0)
    await handle.result()
    query = f"WorkflowId = '{handle.id}' AND ExecutionStatus = 'Completed'"
    # The real server updates its lists with a delay.
    while (await peers.client.count_workflows(query)).count == 0:
        await asyncio.sleep(0.1)
    found = [found async for found in peers.client.list_workflows(query)]
    equal([(one.workflow_type, one.task_queue) for one in found], [("OneClickBuy", peers.rust)])


# ---- a Rust workflow, activities in Python ----


@check
async def rust_workflow_runs_a_python_activity(peers: Peers) -> None:
    handle = await peers.start_rust("Essay", "a workflow outlives machines", peers.python)
    equal(await handle.result(), "4 words, the longest is workflow")


@check
async def python_failure_arrives_in_rust(peers: Peers) -> None:
    handle = await peers.start_rust("Refusal", "moon", peers.python)
    error = await failure_of(handle)
    assert isinstance(error, ActivityError) and isinstance(error.cause, ApplicationError), error
    equal((error.cause.type, error.cause.details), ("Refused", ("moon",)))
    equal(await handle.query("seen"), "Refused: no moon here")


@check
async def rust_cancels_a_python_activity(peers: Peers) -> None:
    handle = await peers.start_rust("LongWait", peers.python)
    # The start event of an activity is written when it ends; until then the activity is listed as pending.
    while not any(pending.attempt for pending in (await handle.describe()).raw_description.pending_activities):
        await asyncio.sleep(0.1)
    await handle.cancel()
    assert isinstance(await failure_of(handle), CancelledError)
    await has_event(handle, EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED)
    equal((await handle.describe()).status, WorkflowExecutionStatus.CANCELED)


# ---- a Python workflow, activities in Rust ----


@check
async def python_workflow_runs_a_rust_activity(peers: Peers) -> None:
    handle = await peers.start_python(BuyInRust.run, LAMP, peers.rust)
    equal(await handle.result(), "lamp for ann, attempt 2")


@check
async def rust_failure_arrives_in_a_python_workflow(peers: Peers) -> None:
    handle = await peers.start_python(BuyInRust.run, Purchase("moon", "ann"), peers.rust)
    equal(await handle.result(), "Refused: not for sale, moon, retry: False")


@check
async def python_cancels_a_rust_activity(peers: Peers) -> None:
    handle = await peers.start_python(WaitForRust.run, peers.rust)
    while not any(
        pending.last_heartbeat_time.seconds
        for pending in (await handle.describe()).raw_description.pending_activities
    ):
        await asyncio.sleep(0.1)
    await handle.signal(WaitForRust.stop_it)
    equal(await handle.result(), "CancelledError")


# ---- Python alone, on the engine ----


@check
async def python_workflow_uses_signals_queries_updates_timers(peers: Peers) -> None:
    handle = await peers.start_python(Counter.run)
    for amount in (1, 2, 3):
        await handle.signal(Counter.add, amount)
    equal(await handle.query(Counter.current), 6)
    equal(await handle.execute_update(Counter.multiply, 7), 42)
    try:
        await handle.execute_update(Counter.multiply, 0)
        raise AssertionError("the update was not rejected")
    except WorkflowUpdateFailedError as error:
        assert "zero would lose the total" in str(error.cause)
    await handle.signal(Counter.close)
    equal(await handle.result(), 42)
    equal(await handle.query(Counter.current), 42)


@check
async def python_replays_what_the_server_recorded(peers: Peers) -> None:
    handle = await peers.start_python(BuyInRust.run, LAMP, peers.rust)
    await handle.result()
    await Replayer(workflows=WORKFLOWS).replay_workflow(await handle.fetch_history())


# ---- local activities: each language replays the histories of the other ----


# Shorter than one of the activities takes.
TASK_TIMEOUT = timedelta(seconds=1)
LOCAL_SUM = 7 + 109


async def has_local_activities(handle: WorkflowHandle) -> None:
    kinds = [event.event_type async for event in handle.fetch_history_events()]
    equal(kinds.count(EventType.EVENT_TYPE_MARKER_RECORDED), 5)
    assert kinds.count(EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED) > 1, kinds
    equal(kinds.count(EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT), 0)


@check
async def python_replays_local_activities_of_rust(peers: Peers) -> None:
    handle = await peers.start_rust("LocalSum", 5, task_timeout=TASK_TIMEOUT)
    equal(await handle.result(), LOCAL_SUM)
    await has_local_activities(handle)
    await Replayer(workflows=WORKFLOWS).replay_workflow(await handle.fetch_history())


@check
async def rust_replays_local_activities_of_python(peers: Peers) -> None:
    handle = await peers.client.start_workflow(
        LocalSum.run, 5, id=str(uuid.uuid4()), task_queue=peers.python, task_timeout=TASK_TIMEOUT
    )
    equal(await handle.result(), LOCAL_SUM)
    await has_local_activities(handle)
    replayed = await peers.start_rust("Replays", handle.id)
    equal(await replayed.result(), "it replays")


# ---- children in the other language ----


@check
async def rust_workflow_has_a_python_child(peers: Peers) -> None:
    handle = await peers.start_rust("CallsPython", peers.python, False)
    equal(await handle.result(), "the sum is 3")


@check
async def rust_workflow_cancels_a_python_child(peers: Peers) -> None:
    handle = await peers.start_rust("CallsPython", peers.python, True)
    equal(await handle.result(), "the child was cancelled")


@check
async def python_workflow_has_a_rust_child(peers: Peers) -> None:
    handle = await peers.start_python(CallsRust.run, peers.rust, False)
    equal(await handle.result(), "chair for bob, attempt 2")


@check
async def python_workflow_cancels_a_rust_child(peers: Peers) -> None:
    handle = await peers.start_python(CallsRust.run, peers.rust, True)
    equal(await handle.result(), "cancelled in time")


async def main(address: str, rust: str) -> int:
    # Activities fail here on purpose.
    logging.getLogger("temporalio.activity").setLevel(logging.ERROR)
    peers = Peers(await Client.connect(address), rust)
    failed = 0
    async with Worker(peers.client, task_queue=peers.python, workflows=WORKFLOWS, activities=ACTIVITIES):
        # All checks run concurrently: each has its own ids.
        outcomes = [asyncio.wait_for(one(peers), PATIENCE) for one in CHECKS]
        for one, outcome in zip(CHECKS, await asyncio.gather(*outcomes, return_exceptions=True)):
            print(f"  {one.__name__.replace('_', ' ')}: {'FAILED' if outcome else 'ok'}")
            if outcome:
                failed += 1
                traceback.print_exception(outcome)
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    status = asyncio.run(main(*sys.argv[1:]))
    sys.stdout.flush()
    sys.stderr.flush()
    # Exits without finalizing the interpreter, which threads of the SDK that are still alive would abort.
    os._exit(status)
