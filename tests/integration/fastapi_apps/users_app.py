"""The real fastapi-users with JWTs by header and by cookie; its users lie in memory, admins are superusers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi_users import BaseUserManager, FastAPIUsers
from fastapi_users.authentication import AuthenticationBackend, BearerTransport, CookieTransport, JWTStrategy
from fastapi_users.db import BaseUserDatabase
from fastapi_users.jwt import generate_jwt
from fastapi_users.password import PasswordHelper
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from quiesce import OperationType, Principal
from quiesce_fastapi import init_app

KEY = "k" * 32
PASSWORD = "correct horse"
CHEAP = PasswordHelper(PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),)))
"""Nobody is to guess this password."""


@dataclass
class User:
    """What fastapi-users asks of a user."""

    id: str
    email: str
    hashed_password: str
    is_superuser: bool
    is_active: bool = True
    is_verified: bool = True


class Database(BaseUserDatabase[Any, str]):
    """A dictionary."""

    def __init__(self, users: dict[str, User]) -> None:
        self.users = users

    async def get(self, id: str) -> User | None:  # noqa: A002 - the interface's name
        return self.users.get(id)

    async def get_by_email(self, email: str) -> User | None:
        return next((user for user in self.users.values() if user.email == email), None)


class Manager(BaseUserManager[Any, str]):
    """Ids are strings."""

    def parse_id(self, value: Any) -> str:
        return str(value)


class DatedJWTStrategy(JWTStrategy[Any, str]):
    """Writes ``iat``, which fastapi-users leaves out."""

    async def write_token(self, user: Any) -> str:
        data = {"sub": str(user.id), "aud": self.token_audience, "iat": datetime.now(UTC)}
        return str(generate_jwt(data, self.encode_key, self.lifetime_seconds, algorithm=self.algorithm))


def make_app(service: Any) -> FastAPI:
    """Return the application; it logs in at ``/auth/jwt/login`` and ``/auth/cookie/login``."""
    hashed = CHEAP.hash(PASSWORD)
    users = {name: User(name, f"{name}@example.com", hashed, name == "ann") for name in ("ann", "bob")}
    database = Database(users)

    async def get_manager() -> AsyncIterator[Manager]:
        yield Manager(database, CHEAP)

    def strategy() -> DatedJWTStrategy:
        return DatedJWTStrategy(secret=KEY, lifetime_seconds=3600)

    header = AuthenticationBackend("jwt", BearerTransport("auth/jwt/login"), strategy)
    cookie = AuthenticationBackend("cookie", CookieTransport(cookie_secure=False), strategy)
    every: FastAPIUsers[Any, str] = FastAPIUsers(get_manager, [header, cookie])

    app = FastAPI()
    app.state.users = users
    app.include_router(every.get_auth_router(header), prefix="/auth/jwt")
    app.include_router(every.get_auth_router(cookie), prefix="/auth/cookie")
    someone = Depends(every.current_user(optional=True))

    @app.get("/me")
    async def me(user: Any = someone) -> Any:
        return None if user is None else user.id

    async def identify(request: Request) -> Principal | None:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        token = bearer or request.cookies.get("fastapiusersauth")
        user = await strategy().read_token(token, Manager(database))
        return None if user is None else Principal(user.id, is_admin=user.is_superuser)

    init_app(app, service=service, identify=identify, token_cookies=["fastapiusersauth"])
    for name in ("jwt", "cookie"):
        service.classifier.add_custom_classification(
            pattern=f"/auth/{name}/", operation_type=OperationType.AUTHENTICATION
        )
    return app
