"""Conversations with the engine, many at a time: never more open requests than the engine has slots."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

from captioner.engines.engine import Answer, Describer, Request
from captioner.prompting.attempts import Conversation
from scenes.outcome import Described, Failed


@dataclass(eq=False)
class Job:
    """One picture on its way to an outcome."""

    uri: str
    talk: Conversation
    waits: bool = True
    answers: list[Answer | None] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Answered:
    """An event: one request of a job has its answer."""

    job: Job
    place: int
    future: "Future[Answer]"


@dataclass(frozen=True, slots=True)
class Ready:
    """A job whose conversation has ended."""

    job: Job
    outcome: Described | Failed


class Talks:
    """All open conversations. `tell` is given an `Answered` from any thread; `asked` is called once a new job's
    first request has gone to the engine. Jobs under way come before new ones, so that few pictures are held."""

    def __init__(self, describer: Describer, tell: Callable[[Answered], None], asked: Callable[[], None]) -> None:
        self._describer, self._tell, self._asked = describer, tell, asked
        self._queue: deque[tuple[Job, int, Request]] = deque()
        self._open = 0
        self.jobs = 0

    def begin(self, uri: str, talk: Conversation) -> None:
        """Open a conversation."""
        self.jobs += 1
        job = Job(uri, talk)
        requests = next(talk)
        job.answers = [None] * len(requests)
        self._queue.extend((job, place, request) for place, request in enumerate(requests))
        self._submit()

    def answered(self, event: Answered) -> Ready | None:
        """Take an answer; returns the job when that was its last."""
        self._open -= 1
        job = event.job
        job.answers[event.place] = event.future.result()
        ready = None if None in job.answers else self._go_on(job)
        self._submit()
        return ready

    def drop_new(self) -> None:
        """Forget the jobs that nothing was asked for yet."""
        dropped = {id(job) for job, _, _ in self._queue if job.waits}
        self._queue = deque(entry for entry in self._queue if id(entry[0]) not in dropped)
        self.jobs -= len(dropped)

    def _go_on(self, job: Job) -> Ready | None:
        try:
            requests = job.talk.send([answer for answer in job.answers if answer is not None])
        except StopIteration as end:
            self.jobs -= 1
            return Ready(job, end.value)
        job.answers = [None] * len(requests)
        self._queue.extendleft((job, place, request) for place, request in reversed(list(enumerate(requests))))
        return None

    def _submit(self) -> None:
        while self._queue and self._open < self._describer.slots:
            job, place, request = self._queue.popleft()
            self._open += 1
            if job.waits:
                job.waits = False
                self._asked()
            future = self._describer.submit(request)
            future.add_done_callback(partial(self._was_answered, job, place))

    def _was_answered(self, job: Job, place: int, future: "Future[Answer]") -> None:
        self._tell(Answered(job, place, future))
