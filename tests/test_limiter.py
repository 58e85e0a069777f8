"""The limiter of a provider: shared and fair, and as fast as the provider allows. Its time may run faster."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from pagefault.assembly import Parts
from pagefault.build import catalogue_of, open_kernel
from pagefault.config import Installation, load_installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import ModelError
from pagefault.models import Completion
from pagefault.models.directory.catalogue import Catalogue
from pagefault.models.endpoint import RequestSettings
from pagefault.models.wrappers.limiter import NO_LIMITS, Pace, RateLimiter, RateLimits, limiter_of
from pagefault.testing.models import PROMPT
from pagefault.testing.providers import ProviderRequest, ProviderServer, Turn, refuse
from pagefault.testing.providers.replies import spoken

pytestmark = pytest.mark.anyio

SPEED = 10.0


class Still(Pace):
    """Time that passes only when somebody waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 0.0

    def now(self) -> float:
        return self.at

    async def wait(self, event: anyio.Event, seconds: float) -> None:
        if seconds < 1e9:
            self.at += seconds
            await anyio.lowlevel.checkpoint()
        else:
            await event.wait()


class Limited:
    """Answers so many requests a second (of the faster time), and refuses the others."""

    def __init__(self, rate: int, **headers: str) -> None:
        self.rate, self.headers = rate, headers
        self.lock = threading.Lock()
        self.answered: list[float] = []
        self.refused = 0

    def __call__(self, request: ProviderRequest) -> Turn:
        now = time.monotonic() * SPEED
        with self.lock:
            if sum(at > now - 1 for at in self.answered) >= self.rate:
                self.refused += 1
                return refuse(429, "Too many requests", **self.headers)
            self.answered.append(now)
        return spoken(request, "Hello.")


@pytest.mark.parametrize("headers", [{}, {"retry_after": "1"}, {"retry_after_ms": "400"}])
async def test_thirty_agents_are_all_answered_by_a_provider_that_answers_five_requests_a_second(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    ends: dict[str, list[str]] = {}
    limited = Limited(5, **headers)
    with ProviderServer(limited) as server:
        catalogue = Catalogue({}, pace=Pace(SPEED))
        model = catalogue.model(f"{server.url}#m", 8192, RequestSettings(patience=600))
        parts = Parts(model=model, embedder=NullEmbedder())
        async with open_kernel(tmp_path, parts, Installation()) as kernel:

            async def talk(name: str) -> None:
                await kernel.create_agent(name, parse_settings({"window": 8192, "zone": "UTC"}))
                outputs = [output async for output in kernel.send(name, "Hi.")]
                ends[name] = [o.type for o in outputs if o.type in ("said", "alerted", "done")]

            async with anyio.create_task_group() as tasks:
                for number in range(30):
                    tasks.start_soon(talk, f"agent{number}")
        await catalogue.aclose()
    assert ends == {f"agent{number}": ["said", "done"] for number in range(30)}
    assert len(limited.answered) == 30
    assert limited.refused < 150  # they do not storm it


async def waits(limiter: RateLimiter, tickets: Sequence[int]) -> list[int]:
    """Let requests in, and return their tickets in the order in which they were sent."""
    order: list[int] = []

    async def one(ticket: int) -> None:
        await limiter.enter(ticket)
        order.append(ticket)
        limiter.leave()

    async with anyio.create_task_group() as tasks:
        for ticket in tickets:
            tasks.start_soon(one, ticket)
    return order


async def test_who_came_first_is_first_again_after_a_refusal() -> None:
    limiter = RateLimiter(RateLimits(60), Still())
    await limiter.enter(limiter.ticket())
    assert await waits(limiter, [5, 9, 1, 7]) == [1, 5, 7, 9]


async def test_a_rate_that_is_set_is_kept_from_the_start() -> None:
    pace = Still()
    limiter = RateLimiter(RateLimits(120), pace)
    await waits(limiter, [limiter.ticket() for _ in range(9)])
    assert pace.at == pytest.approx(4.0)


async def test_no_more_requests_are_open_than_is_set() -> None:
    limiter = RateLimiter(RateLimits(max_concurrent=2), Pace())
    most = here = 0

    async def one() -> None:
        nonlocal most, here
        await limiter.enter(limiter.ticket())
        here += 1
        most = max(most, here)
        await anyio.lowlevel.checkpoint()
        here -= 1
        limiter.leave()

    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(one)
    assert most == 2


async def test_one_that_gives_up_waiting_is_in_nobodys_way() -> None:
    limiter = RateLimiter(RateLimits(max_concurrent=1), Pace())
    await limiter.enter(limiter.ticket())
    with anyio.move_on_after(0.01):
        await limiter.enter(limiter.ticket())
    assert limiter.ahead == 0
    limiter.leave()
    with anyio.fail_after(60):
        await limiter.enter(limiter.ticket())


async def test_it_waits_as_long_as_the_server_asks() -> None:
    for status, headers, wait in (
        (429, {"retry-after": "7"}, 7.0),
        (503, {"retry-after": "3"}, 3.0),
        (200, {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "2s"}, 2.0),
        (200, {"x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": "2s"}, 0.0),
        (503, {}, 0.0),
        (429, {"retry-after": "86400"}, 0.0),  # that request waits, or fails; the others may do better
    ):
        pace = Still()
        limiter = RateLimiter(NO_LIMITS, pace)
        limiter.saw(status, headers)
        await limiter.enter(limiter.ticket())
        assert pace.at == pytest.approx(wait), (status, headers)


async def test_it_grows_faster_again_and_forgets() -> None:
    pace = Still()
    limiter = RateLimiter(NO_LIMITS, pace)
    limiter.saw(429, {})
    assert limiter.paced
    pace.at += 200
    limiter.saw(200, {})
    assert not limiter.paced


async def test_all_agents_of_an_event_loop_share_the_limiter_of_a_server_and_key() -> None:
    pace = Pace()
    here = limiter_of(("http://a/v1", "key"), NO_LIMITS, pace)
    assert limiter_of(("http://a/v1", "key"), NO_LIMITS, pace) is here
    assert limiter_of(("http://a/v1", "other"), NO_LIMITS, pace) is not here
    assert limiter_of(("http://b/v1", "key"), NO_LIMITS, pace) is not here


async def test_limits_are_set_in_config_toml(tmp_path: Path) -> None:
    lines = '[providers.own]\nbase_url = "http://h/v1"\nrequests_per_minute = 30\nmax_concurrent = 2\n'
    (tmp_path / "config.toml").write_text(lines, "utf-8")
    catalogue = catalogue_of(tmp_path, load_installation(tmp_path))
    (target,) = catalogue.targets("own:m")
    assert target.provider.limits == RateLimits(30, 2)


async def test_a_server_that_still_loads_its_model_is_waited_for() -> None:
    loading: list[Turn] = [refuse(503, "Loading model")] * 8
    with ProviderServer([*loading, Completion("ok")]) as server:
        catalogue = Catalogue({}, pace=Pace(50))
        model = catalogue.model(f"{server.url}#m", 8192, RequestSettings(patience=600))
        items = [item async for item in model.stream(PROMPT)]
        await catalogue.aclose()
    end = items[-1]
    assert isinstance(end, Completion)
    assert end.text == "ok"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 402])
async def test_what_cannot_help_is_not_retried(status: int) -> None:
    with ProviderServer([refuse(status, "No.")]) as server:
        catalogue = Catalogue({}, pace=Pace(1000))
        model = catalogue.model(f"{server.url}#m", 8192, RequestSettings(patience=600))
        with pytest.raises(ModelError):
            _ = [item async for item in model.stream(PROMPT)]
        await catalogue.aclose()
    assert len(server.seen) == 1
