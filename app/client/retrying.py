"""When a request is sent again, and what is raised when that does not help. Pure: both clients share it."""

from dataclasses import dataclass

import httpx
from pydantic import BaseModel, ValidationError

_AGAIN = {429, 503}


class Refusal(Exception):
    """The server answered with a problem; `code` is stable."""

    def __init__(self, status: int, code: str, detail: str, fix: str | None) -> None:
        super().__init__(f"{code}: {detail}" + (f" ({fix})" if fix else ""))
        self.status, self.code, self.detail, self.fix = status, code, detail, fix


class Unreachable(Exception):
    """The server did not answer, however often it was asked."""


class _Problem(BaseModel):
    code: str
    detail: str
    fix: str | None = None


@dataclass(frozen=True, slots=True)
class Retries:
    """Up to `attempts` in all; waits double from `first_wait_s`, or are as long as the server asks, up to a bound."""

    attempts: int = 4
    first_wait_s: float = 0.2
    longest_wait_s: float = 10.0

    def wait_s(self, attempt: int, response: httpx.Response | None) -> float | None:
        """Seconds until the next attempt; None where there is none. `attempt` counts from 1."""
        asked = response.headers.get("retry-after", "") if response is not None else ""
        is_final = response is not None and response.status_code not in _AGAIN and not asked
        if attempt >= self.attempts or is_final:
            return None
        wait = float(asked) if asked.isdigit() else self.first_wait_s * 2 ** (attempt - 1)
        return min(wait, self.longest_wait_s)


def checked(response: httpx.Response) -> httpx.Response:
    """The response itself where it is good. Raises `Refusal`."""
    if response.is_success:
        return response
    try:
        told = _Problem.model_validate_json(response.content)
    except ValidationError:
        told = _Problem(code="not_a_problem", detail=response.text[:200])
    raise Refusal(response.status_code, told.code, told.detail, told.fix)
