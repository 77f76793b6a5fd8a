"""Reception: HTTP requests of any way in, answered by a pool."""

import json
from collections.abc import Mapping

from live_adapter.entry import asks_for_models, route_of
from live_adapter.pool import Answer, Pool
from live_adapter.protocols.calls import CallError, Dialect, read_call
from live_adapter.protocols.errors import error_body
from live_adapter.wishes import wishes_of

_MIB = 1024 * 1024
_JSON = {"content-type": "application/json"}


async def receive(pool: Pool, tenant: int, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
    """Answer one HTTP request of a tenant. `headers` have names in lower case. Whatever comes, the answer is HTTP."""
    dialect: Dialect = "anthropic" if "anthropic-version" in headers else "openai"
    if method == "GET" and asks_for_models(path):
        return Answer(status=200, headers=dict(_JSON), body=json.dumps(_models(pool)).encode())
    route = route_of(path) if method == "POST" else None
    if route is None:
        return refusal(dialect, 404, "not_found", f"no such call; try POST /v1/chat/completions (got {method[:10]} {path[:100]})")
    if pool.draining:
        return refusal(dialect, 503, "draining", "the gateway is shutting down")
    most = pool.site.config.calls.most_body_mib
    if len(body) > most * _MIB:
        return refusal(dialect, 413, "too_large", f"the body has {len(body):,} bytes, at most {most:g} MiB are taken")
    try:
        call = read_call(route[0], body, route[1])
        wanted = pool.site.model_rows.get(call.model)
        provider = pool.site.layout.models[wanted].provider if wanted is not None else ""
        wishes = wishes_of(call, headers, pool.site.config.calls, provider)
    except CallError as error:
        return refusal(dialect, 400, "invalid_request", str(error))
    return await pool.call(call, tenant, headers, wishes)


def refusal(dialect: Dialect, status: int, code: str, message: str) -> Answer:
    """An error answer of the gateway's own."""
    return Answer(status=status, headers=dict(_JSON), body=error_body(dialect, status, code, message))


def _models(pool: Pool) -> dict[str, object]:
    names = [pool.site.config.calls.auto_model, *pool.site.model_rows]
    return {"object": "list", "data": [{"id": name, "object": "model", "created": 0, "owned_by": "forge1"} for name in names]}
