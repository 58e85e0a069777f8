"""`pagefault db protect`: row-level security of a PostgreSQL database. No kernel is opened."""

from __future__ import annotations

from contextlib import closing

from pagefault.build import open_protection
from pagefault.cli.session import Session

__all__ = ["protect"]

_RUNNING = (
    "{sessions:,} sessions of pagefault are open; their processes take it up with their next connections: "
    "start them anew to be sure."
)


def protect(session: Session, off: bool, role: str) -> None:
    """Switch the protection on or ``off``, and say what was changed."""
    with closing(open_protection(session.installation.database or session.folder)) as protection:
        done = protection.switch_off() if off else protection.switch_on(role)
    data = {
        "protected": not off,
        "role": done.role,
        "role_stays": done.stays,
        "tables": done.tables,
        "sessions": done.sessions,
    }
    if not off:
        lines = [f"{done.tables:,} tables are protected; transactions of tenants have the role {done.role}."]
    elif not done.role:
        lines = ["The database was not protected."]
    else:
        left = "stays, as others have it" if done.stays else "is gone"
        lines = [f"{done.tables:,} tables are no longer protected; the role {done.role} {left}."]
    if done.sessions and not off:
        lines.append(_RUNNING.format(sessions=done.sessions))
    session.show(data, "\n".join(lines))
