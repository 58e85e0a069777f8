"""Settings: of an agent (stored with it, as JSON) and of an installation (TOML and environment).

An agent's settings are validated wherever they come from. Secrets are not settings: keys are read from
the environment by the adapter that needs them and are stored nowhere.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from re import sub
from typing import Annotated, Any, Literal, cast
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from pagefault.accounting.budget import DailyLimit
from pagefault.accounting.prices import Price
from pagefault.context.policy import QueuePolicy
from pagefault.errors import DamageError, UsageError
from pagefault.functions.correspondence import Peers, peers_of
from pagefault.functions.tools import ToolNames
from pagefault.keep_settings import Keep
from pagefault.loading_settings import LoadingSettings
from pagefault.models.endpoint import CallingMode, ModelOptions, RequestSettings, Thinking
from pagefault.provider_settings import PriceSettings, ProviderSettings
from pagefault.section_settings import Metadata, SectionSettings
from pagefault.shared import is_shared
from pagefault.sleep_settings import LONGEST_WAIT, SleepSettings
from pagefault.tool_server_settings import ToolServers, ToolServerSettings
from pagefault.types import AgentRecord, Style
from pagefault.zones import local_zone_name, zone_named

SMALLEST_WINDOW = 4096
LARGE_WINDOW = 32_768
"""From here on the longer instructions are used by default, in tokens."""

OPEN_TURNS = 4000
"""The turns that a process may have open at once, by default. While its model thinks, a turn takes next to no
processor; 4,000 of 20 seconds end at the rate of 200 a second that a core carries."""

PREFETCH = 0.10
"""The share of the room for what is prefetched for a message, by default."""

PREFETCH_WINDOW = 16_384
"""From here on it is prefetched by default, in tokens."""

DEFAULT_PERSONA = "I am a helpful companion. I remember what I am told and say so when I do not know."


class AgentSettings(SleepSettings):
    """The settings of an agent. Sizes in tokens, times in seconds, thresholds as shares of the room."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = "offline"
    window: int | None = Field(default=None, ge=SMALLEST_WINDOW, lt=2**31, description="None: the model's")
    served: int | None = Field(default=None, ge=SMALLEST_WINDOW, description="found to be served, if less")
    style: Style = "memgpt"
    zone: str = Field(default="", description="IANA time zone or POSIX rule; empty: the machine's")
    instructions: str | None = Field(default=None, description="None: the shipped ones for the style")
    prompt: Literal["auto", "short", "long"] = Field(default="auto", description="the shipped instructions")
    sections: tuple[SectionSettings, ...] | None = Field(default=None, description="None: persona, human")
    reserve: int | None = Field(default=None, ge=64, description="the reply's share of the window")
    margin: float = Field(default=0.05, ge=0.0, le=0.3)
    warn: float = Field(default=0.70, gt=0.0, le=1.0)
    flush: float = Field(default=1.00, gt=0.0, le=1.0)
    evict: float = Field(default=0.50, gt=0.0, le=1.0)
    summary: float = Field(default=0.15, gt=0.0, le=0.4)
    page: float = Field(default=0.25, gt=0.0, le=0.5)
    max_steps: int = Field(default=12, ge=1, description="completions per event")
    warning_steps: int = Field(default=3, ge=1, description="completions per memory-pressure warning")
    calling: CallingMode = Field(
        default="auto", description="native, text, json, or auto: as checked, else native, else JSON mode"
    )
    text_tools: bool = Field(default=False, description="let calls written as text run outside tools")
    images: bool | None = Field(default=None, description="send images; None: if the model takes them")
    thinking: Thinking = Field(default=None, description="off, low, medium, high, or a budget in tokens")
    temperature: float | None = Field(default=None, ge=0.0, le=2.0, description="None: the provider's")
    patience: float = Field(default=600.0, gt=0.0, description="seconds that one completion may take in all")
    daily_tokens: int | None = Field(default=None, ge=1, description="tokens of input and output a day")
    daily_cost: float | None = Field(default=None, gt=0.0, description="US dollars a day")
    tool_timeout: float = Field(default=60.0, gt=0.0)
    approval: ToolNames = Field(default=(), description="functions whose calls a person decides on")
    approval_timeout: float | None = Field(default=None, gt=0.0, le=LONGEST_WAIT, description="seconds")
    turn_timeout: float = Field(default=3600.0, gt=0.0, description="seconds that one turn may take in all")
    fold_at_once: bool = Field(default=False, description="fold edits into the head at once")
    timers: bool = Field(default=False, description="offer schedule, unschedule, list_schedules")
    agents: Annotated[Peers, BeforeValidator(peers_of)] = Field(default=False, description="to write to")
    max_hops: int = Field(default=8, ge=0, description="messages between agents that follow from one another")
    agent_rate: int = Field(default=20, ge=1, description="messages a minute to one other agent")
    tools: ToolNames | None = Field(default=None, description="names of those offered; None: all")
    mcp: ToolNames = Field(default=(), description="servers of tools that it uses, of config.toml")
    tags: ToolNames = Field(default=(), description="words by which API keys may be for agents")
    documents: bool = Field(default=False, description="offer document_list, _open and _find")
    prefetch: float | None = Field(default=None, ge=0.0, le=0.25, description="None: by the window")
    prefetch_tokens: int = Field(default=600, ge=100, description="the most that is prefetched for a message")
    keep: Keep = Field(default={}, description="how long messages ... are kept; for ever if not given")
    metadata: Metadata = Field(default={}, description="of the program; the agent does not see it")

    @property
    def models(self) -> tuple[str, ...]:
        """The names in ``model``, the wanted one first."""
        return tuple(name.strip() for name in self.model.split(",") if name.strip()) or ("",)

    @property
    def policy(self) -> QueuePolicy:
        return QueuePolicy(self.warn, self.flush, self.evict, self.summary, self.page)

    @property
    def request_settings(self) -> RequestSettings:
        """The settings of each request to the model."""
        options = ModelOptions(self.temperature, self.thinking)
        return RequestSettings(options, self.calling, self.patience, self.images)

    def bounded(self, window: int) -> int:
        """A window, no larger than what the server was found to serve."""
        return min(window, self.served or window)

    def instructions_name(self, window: int) -> str:
        """Return the name of the shipped instructions for the agent, as ``prompts.text`` names them."""
        long = self.prompt == "long" or (self.prompt == "auto" and window >= LARGE_WINDOW)
        return f"system_{self.style}_long" if long else f"system_{self.style}"

    def reply_reserve(self, window: int) -> int:
        """Tokens kept free for the reply: an eighth of the window, at most 4,096, unless set."""
        return self.reserve if self.reserve is not None else min(4096, window // 8)

    def prefetch_share(self, window: int) -> float:
        """The share of the room for what is prefetched for a message; 0: nothing is."""
        return self.prefetch if self.prefetch is not None else PREFETCH * (window >= PREFETCH_WINDOW)

    def declared_sections(self, window: int) -> tuple[SectionSettings, ...]:
        """The sections a new agent starts with; default limits grow with the window."""
        if self.sections is not None:
            return self.sections
        unit = min(window, 32_768) // 100
        return (
            SectionSettings(name="persona", description="who you are", limit=4 * unit, text=DEFAULT_PERSONA),
            SectionSettings(name="human", description="facts about the user", limit=9 * unit),
        )

    def paged_in_limit(self, window: int) -> int:
        """Tokens of the section that ``page_in`` fills."""
        return 5 * min(window, 32_768) // 100


class Installation(BaseModel):
    """``HOME/config.toml``, overridden by ``PAGEFAULT_*``. ``agent`` holds defaults for new agents."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    database: str = Field(default="", repr=False, description="a PostgreSQL URL; empty: HOME/pagefault.db")
    wake_url: str = Field(default="", repr=False, description="a URL of the same database, past any pooler")
    synchronous: Literal["NORMAL", "FULL"] = "NORMAL"
    embedder: str = "minilm"
    reranker: str = Field(default="", description="URL#MODEL or fastembed:MODEL; empty: none")
    open_turns: int = Field(default=OPEN_TURNS, ge=1, description="of this process at once, at most")
    memory: int | None = Field(default=None, ge=64, description="MB of this process; None: 80 % of what is")
    total_daily_tokens: int | None = Field(default=None, ge=1, description="a day, of all agents together")
    total_daily_cost: float | None = Field(default=None, gt=0.0, description="US dollars a day, of all")
    providers: dict[str, ProviderSettings] = {}
    prices: dict[str, PriceSettings] = {}
    mcp: ToolServers = {}
    loading: LoadingSettings = LoadingSettings()
    agent: AgentSettings = AgentSettings()

    @property
    def daily_limit(self) -> DailyLimit:
        """The daily budget of all agents together, in the zone that new agents have."""
        return DailyLimit(zone_of(self.agent)[0], self.total_daily_tokens, self.total_daily_cost)

    @property
    def own_prices(self) -> dict[str, Price]:
        """The prices of the user's own, by the model's name."""
        return {name: Price(**price.model_dump()) for name, price in self.prices.items()}


def parse_settings(values: dict[str, Any]) -> AgentSettings:
    """Agent settings from JSON-like values; ``UsageError`` says which one is wrong and why."""
    try:
        return AgentSettings.model_validate(values)
    except ValidationError as error:
        raise UsageError(_sentence("setting", error)) from None


def settings_of(record: AgentRecord) -> AgentSettings:
    """The settings of a stored agent; ``DamageError`` if they are not valid."""
    if record.damage:
        raise DamageError(record.damage)
    try:
        settings = parse_settings(dict(record.settings))
        zone_named(settings.zone or "UTC", "The setting zone")
    except UsageError as error:
        why = str(error).rstrip(".")
        raise DamageError(f"The stored settings of agent {record.name} are not valid: {why}") from error
    return settings


def zone_for(record: AgentRecord) -> ZoneInfo:
    """The time zone in which an agent's times are shown and read; of an archive the machine's."""
    return zone_named(local_zone_name()) if is_shared(record.name) else zone_of(settings_of(record))[0]


def zone_of(settings: AgentSettings) -> tuple[ZoneInfo, str]:
    """The agent's time zone and its name; the machine's if none is set."""
    name = settings.zone or local_zone_name()
    return zone_named(name), name


def home_folder(given: Path | None) -> Path:
    """Where this installation keeps its data: ``--home``, else ``PAGEFAULT_HOME``, else ``~/.pagefault``."""
    return (given or Path(os.environ.get("PAGEFAULT_HOME", "") or Path.home() / ".pagefault")).expanduser()


def load_installation(home: Path, database: str | None = None) -> Installation:
    """Read ``HOME/config.toml`` if it is there, then the environment (``PAGEFAULT_MODEL`` and so on for
    an agent's defaults, ``PAGEFAULT_SYNCHRONOUS`` ... for the installation's own, ``PAGEFAULT_DATABASE_URL``
    for its database). ``database``, if given, is what counts."""
    path = home / "config.toml"
    values: dict[str, Any] = {}
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is not a file; remove it, or put a file with settings there.")
    if path.exists():
        try:
            values = tomllib.loads(path.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{path} is not valid TOML ({error}); fix that line.") from None
    for table, fields in _from_environment():
        into: object = values.setdefault(table, {}) if table else values
        if isinstance(into, dict):
            cast(dict[str, Any], into).update(fields)
    if database is not None:
        values["database"] = database
    try:
        return Installation.model_validate(values)
    except ValidationError as error:
        raise UsageError(_sentence("setting", error, f", read from {path} or PAGEFAULT_*,")) from None


def _from_environment() -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the settings in environment variables, by the table of the file that they belong to."""
    for table, settings, prefix in (
        ("", Installation, ""),
        ("agent", AgentSettings, ""),
        ("loading", LoadingSettings, "loading_"),
    ):
        fields = (*settings.model_fields, *(_RENAMED if settings is Installation else ()))
        names = {field: _variable(f"{prefix}{field}") for field in fields}
        given = {field: os.environ[name] for field, name in names.items() if os.environ.get(name)}
        if found := {key: value for key, value in given.items() if table or (settings, key) not in _TABLES}:
            yield table, found


_RENAMED = {"concurrency": "open_turns"}
"""The settings of an installation that had another name before, and their names now."""

_TABLES: dict[tuple[type[BaseModel], str], type[BaseModel]] = {
    (Installation, "agent"): AgentSettings,
    (Installation, "loading"): LoadingSettings,
    (Installation, "providers"): ProviderSettings,
    (Installation, "prices"): PriceSettings,
    (Installation, "mcp"): ToolServerSettings,
    (AgentSettings, "sections"): SectionSettings,
}
"""The settings that have fields of their own, by where they stand and their name."""


def _variable(field: str) -> str:
    """The environment variable of an installation's setting; the database's is named as is the custom."""
    return f"PAGEFAULT_{field.upper()}" + ("_URL" if field == "database" else "")


def _sentence(what: str, error: ValidationError, where: str = "") -> str:
    fault = error.errors()[0]
    name, last = ".".join(str(part) for part in fault["loc"]), str(fault["loc"][-1])
    if fault["type"] != "extra_forbidden":
        why = fault["msg"].removeprefix("Value error, ").replace("valid tuple", "list")
        why = sub(r"valid dictionary or instance of \w+", "table", why)
        return f"The {what} {name}{where} is wrong: {why[:1].lower()}{why[1:]}."
    table: type[BaseModel] = Installation if error.title == Installation.__name__ else AgentSettings
    for part in fault["loc"][:-1]:
        table = _TABLES.get((table, str(part)), table)
    if table is AgentSettings and last in Installation.model_fields:
        place = f"in config.toml{' above [agent]' if where else ''}, or by {_variable(last)}"
        return f"{name} is no {what} of one agent; set it {place}, for all of them."
    if table is Installation and last in AgentSettings.model_fields:
        return f"The {what} {name}{where} belongs to agents; put it below [agent], or set {_variable(last)}."
    return f"There is no {what} {name}{where.removesuffix(',')}; {_hint(what, last, table)}"


def _hint(what: str, name: str, table: type[BaseModel]) -> str:
    """Return the settings that may be meant by an unknown one."""
    if name in _RENAMED:
        return f"it is called {_RENAMED[name]} now ({_variable(_RENAMED[name])} in the environment)."
    near = get_close_matches(name, table.model_fields, n=1)
    return f"did you mean {near[0]}?" if near else f"the {what}s are {', '.join(table.model_fields)}."
