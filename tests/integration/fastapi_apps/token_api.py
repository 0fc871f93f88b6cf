"""An application with JWTs made by hand, in the header or in a cookie, and several ways of handing them out."""

from __future__ import annotations

import time
from typing import Any

import jwt
from fastapi import FastAPI, HTTPException, Request, WebSocket
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse

from quiesce import Principal
from quiesce_fastapi import init_app

KEY = "k" * 32


def _new_token(user: str) -> str:
    # Two seconds ahead: iat is compared in whole seconds, and a test does not wait for the next one.
    return jwt.encode({"sub": user, "iat": time.time() + 2}, KEY, algorithm="HS256")


class Api:
    """An application with tokens, and how often it was asked who somebody is."""

    def __init__(self, service: Any) -> None:
        self.app = FastAPI()
        self.asked = 0
        self.is_down = False
        self.admins = {"ann"}
        self.keys = {"key-of-a-robot": Principal("robot", is_interactive=False)}
        self._add_routes()
        init_app(self.app, service=service, identify=self.identify, token_cookies=["auth"])

    def user_of(self, request: Any) -> str | None:
        value = request.headers.get("authorization", "").removeprefix("Bearer ") or request.cookies.get("auth", "")
        if value in self.keys:
            return self.keys[value].user_id
        try:
            return str(jwt.decode(value, KEY, algorithms=["HS256"], options={"verify_iat": False})["sub"])
        except jwt.InvalidTokenError:
            return None

    def identify(self, request: Any) -> Principal | None:
        self.asked += 1
        key = self.keys.get(request.headers.get("authorization", "").removeprefix("Bearer "))
        if key is not None:
            return key
        user = self.user_of(request)
        if user == "broken" or self.is_down:
            raise RuntimeError("the database is away")
        return None if user is None else Principal(user, is_admin=user in self.admins)

    def _add_routes(self) -> None:
        @self.app.api_route("/me", methods=["GET", "HEAD"])
        def me(request: Request) -> Any:
            return self.user_of(request)

        @self.app.post("/login")
        async def login(request: Request, user: str = "", how: str = "json") -> Response:
            made = _new_token(user)
            if how == "wrong":
                raise HTTPException(403)
            if how == "page":
                return Response("<h1>Wrong password</h1>", media_type="text/html")
            if how == "cookie":
                response: Response = Response(status_code=204)
            elif how == "pieces":
                return StreamingResponse((b"x" * 30_000 for _ in range(5)), media_type="text/plain")
            elif how == "redirect":
                response = RedirectResponse("/me", status_code=303)
            else:
                bodies = {
                    "json": {"access_token": made, "token_type": "bearer"},
                    "nested": {"data": {"jwt": made}},
                    "opaque": {"access_token": "nobody-knows-it"},
                    "long": {"pad": "x" * 70_000, "access_token": made},
                }
                return JSONResponse(bodies[how])
            response.set_cookie("auth", made)
            return response

        @self.app.post("/logout")
        async def logout() -> Response:
            return Response(status_code=204, headers={"Set-Cookie": "auth=deleted; Path=/; Max-Age=0"})

        @self.app.websocket("/ws")
        async def accept(websocket: WebSocket) -> None:
            await websocket.accept()
            await websocket.close()

        @self.app.get("/big")
        async def big() -> str:
            return "x" * 70_000
