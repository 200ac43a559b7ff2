"""The Python half of the interop tests: activities and workflows that Rust calls, and workflows that call Rust."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError


@dataclass
class Purchase:
    item_id: str
    user_id: str


@dataclass
class Words:
    count: int
    longest: str


@activity.defn
async def count_words(text: str) -> Words:
    words = text.split()
    return Words(len(words), max(words, key=len))


@activity.defn
async def refuse_in_python(item: str) -> None:
    raise ApplicationError(f"no {item} here", item, type="Refused", non_retryable=True)


@activity.defn
async def wait_in_python() -> None:
    while True:
        activity.heartbeat("waiting")
        await asyncio.sleep(0.1)


@workflow.defn
class BuyInRust:
    """Calls an activity that is written in Rust."""

    @workflow.run
    async def run(self, purchase: Purchase, rust: str) -> str:
        try:
            return await workflow.execute_activity(
                "do_purchase",
                purchase,
                task_queue=rust,
                result_type=str,
                start_to_close_timeout=timedelta(seconds=10),
                retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=100)),
            )
        except ActivityError as error:
            cause = error.cause
            assert isinstance(cause, ApplicationError)
            return f"{cause.type}: {cause.message}, {cause.details[0]['item_id']}, retry: {not cause.non_retryable}"


@workflow.defn
class WaitForRust:
    """Cancels an activity that is written in Rust, and waits until it has stopped."""

    def __init__(self) -> None:
        self.stop = False

    @workflow.run
    async def run(self, rust: str) -> str:
        waiting = workflow.start_activity(
            "wait_in_rust",
            task_queue=rust,
            start_to_close_timeout=timedelta(seconds=30),
            heartbeat_timeout=timedelta(seconds=2),
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
        await workflow.wait_condition(lambda: self.stop)
        waiting.cancel()
        try:
            await waiting
        except ActivityError as error:
            return type(error.cause).__name__
        return "it went on"

    @workflow.signal
    def stop_it(self) -> None:
        self.stop = True


@workflow.defn
class Counter:
    """Uses much of what Python's SDK has, with no Rust but the engine."""

    def __init__(self) -> None:
        self.total = 0
        self.closing = False

    @workflow.run
    async def run(self) -> int:
        await workflow.wait_condition(lambda: self.closing)
        await asyncio.sleep(0.1)
        return self.total

    @workflow.signal
    def add(self, amount: int) -> None:
        self.total += amount

    @workflow.signal
    def close(self) -> None:
        self.closing = True

    @workflow.query
    def current(self) -> int:
        return self.total

    @workflow.update
    async def multiply(self, factor: int) -> int:
        await asyncio.sleep(0.05)
        self.total *= factor
        return self.total

    @multiply.validator
    def check_factor(self, factor: int) -> None:
        if factor == 0:
            raise ValueError("zero would lose the total")


@activity.defn
async def add_one(n: int) -> int:
    return n + 1


@activity.defn
async def refuse_locally(item: str) -> None:
    raise ApplicationError(f"no {item} here", type="Refused", non_retryable=True)


@activity.defn
async def add_slowly(n: int) -> int:
    # Longer than the workflow task may take, which goes on in another one.
    await asyncio.sleep(1.5)
    return n + 1


@workflow.defn
class LocalSum:
    """Adds by local activities. Rust has the same workflow, and each replays the histories of the other."""

    @workflow.run
    async def run(self, n: int) -> int:
        one = await self.local("add_one", n)
        two, three = await asyncio.gather(self.local("add_one", one), self.local("add_one", one + 1))
        try:
            await self.local("refuse_locally", "moon")
        except (ActivityError, ApplicationError):
            three += 100
        return two + await self.local("add_slowly", three)

    def local(self, name: str, argument: object) -> asyncio.Future:
        limit = timedelta(seconds=10)
        return workflow.start_local_activity(name, argument, result_type=int, start_to_close_timeout=limit)


@workflow.defn
class Tally:
    """Adds up signals until it is told to end."""

    def __init__(self) -> None:
        self.sum = 0
        self.ended = False

    @workflow.run
    async def run(self, first: int) -> int:
        self.sum += first
        await workflow.wait_condition(lambda: self.ended)
        return self.sum

    @workflow.signal
    def add(self, number: int) -> None:
        self.sum += number

    @workflow.signal
    def end(self) -> None:
        self.ended = True


@workflow.defn
class CallsRust:
    """Has a child in Rust: a purchase, which it changes, or cancels."""

    @workflow.run
    async def run(self, rust: str, cancels: bool) -> str:
        child = await workflow.start_child_workflow(
            "OneClickBuy",
            args=[Purchase("lamp", "ann"), 60_000 if cancels else 200],
            task_queue=rust,
            result_type=str,
        )
        await child.signal("update_purchase", Purchase("chair", "bob"))
        if cancels:
            handle = workflow.get_external_workflow_handle(child.id)
            await handle.cancel()
        return await child


WORKFLOWS = [BuyInRust, WaitForRust, Counter, LocalSum, Tally, CallsRust]
ACTIVITIES = [count_words, refuse_in_python, wait_in_python, add_one, refuse_locally, add_slowly]
