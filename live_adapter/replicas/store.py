"""Where leases are kept. One script in Redis, run as a whole, is all that decides: it is `policies.leases.next_share` in Lua."""

import hashlib
from collections.abc import Sequence
from typing import Any, Protocol

from live_adapter.errors import LiveConfigError
from policies.layout import Layout

# A table that is new (Redis has lost its memory, or nobody came before) does not know who has which share: for as long as a lease lasts
# nobody gets more than they have.
# A field for each replica: when it expires, and by account the share it may use, and how much it is asked for. What a replica was told to
# give up counts as its own until it says that it has.
_RENEW = """
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local mine, ttl_ms, count = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local others, demand, live = {}, {}, 1
for at = 1, count do
  others[at] = 0
  demand[at] = tonumber(ARGV[3 + count + at])
end
local fields = redis.call('HGETALL', KEYS[1])
local hold_ms = tonumber(ARGV[4 + 2 * count])
if redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('SET', KEYS[2], now_ms)
end
local grows = now_ms >= tonumber(redis.call('GET', KEYS[2])) + hold_ms
redis.call('PEXPIRE', KEYS[2], math.max(2 * hold_ms, 2 * ttl_ms, 60000))
for at = 1, #fields, 2 do
  local name, ends, rest = fields[at], fields[at + 1]:match('^(%d+);(.*)$')
  if tonumber(ends) <= now_ms then
    redis.call('HDEL', KEYS[1], name)
  elseif name ~= mine then
    live = live + 1
    local account = 1
    for share, asked in rest:gmatch('(%d+):(%d+)') do
      others[account] = others[account] + tonumber(share)
      demand[account] = demand[account] + tonumber(asked)
      account = account + 1
    end
  end
end
local told, kept = {}, {}
for at = 1, count do
  local using, asked = tonumber(ARGV[3 + at]), tonumber(ARGV[3 + count + at])
  local target = math.floor(500 / live) + math.floor(500 * asked / math.max(demand[at], 1))
  local free = 1000 - others[at]
  local share = math.max(0, math.min(target, math.max(using, free)))
  if using <= free and math.abs(target - using) < 50 then share = using end
  if not grows then share = math.min(share, using) end
  told[at] = share
  kept[at] = math.max(share, using) .. ':' .. asked
end
redis.call('HSET', KEYS[1], mine, (now_ms + ttl_ms) .. ';' .. table.concat(kept, ','))
redis.call('PEXPIRE', KEYS[1], 86400000)
return told
"""


class LeaseStore(Protocol):
    """Where leases are kept."""

    async def renew(self, using_pm: Sequence[int], demand: Sequence[int]) -> list[int]:
        """Tell which shares are in use, and how much is asked for, by account; returns the shares from now on. Raises OSError."""
        ...

    async def leave(self) -> None:
        """Give the lease back. Raises OSError."""

    async def close(self) -> None:
        """Let go of connections."""


class RedisLeases:
    """Leases in Redis, by its address (`redis://host:port/0`, `rediss://` for TLS). Raises LiveConfigError without the library.

    For `hold_s` (default: as long as a lease lasts) nobody gets more from a table that is new.
    """

    def __init__(
        self, url: str, layout: Layout, replica: str, ttl_s: float, timeout_s: float = 1.0, hold_s: float | None = None
    ) -> None:  # fmt: skip
        try:
            from redis.asyncio import Redis
            from redis.exceptions import RedisError
        except ImportError:
            raise LiveConfigError("--redis needs the library `redis`: install forge1sim[redis]") from None
        try:
            self._redis: Any = Redis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s)
        except ValueError:
            raise LiveConfigError("--redis is no address of Redis; give one such as redis://127.0.0.1:6379/0") from None
        self._error: type[Exception] = RedisError
        self._renew = self._redis.register_script(_RENEW)
        # Replicas of other platforms have other accounts: they share nothing.
        names = "\0".join(account.name for account in layout.accounts)
        self._key = f"forge1sim:leases:{hashlib.sha256(names.encode()).hexdigest()[:16]}"
        self._replica, self._ttl_ms = replica, round(1000 * ttl_s)
        self._hold_ms = self._ttl_ms if hold_s is None else round(1000 * hold_s)

    async def renew(self, using_pm: Sequence[int], demand: Sequence[int]) -> list[int]:
        """See LeaseStore."""
        try:
            found = await self._renew(
                keys=[self._key, f"{self._key}:born"],
                args=[self._replica, self._ttl_ms, len(using_pm), *using_pm, *demand, self._hold_ms],
            )
        except self._error as error:
            raise OSError(f"Redis: {type(error).__name__}") from None
        return [int(share) for share in found]

    async def leave(self) -> None:
        """See LeaseStore."""
        try:
            await self._redis.hdel(self._key, self._replica)
        except self._error as error:
            raise OSError(f"Redis: {type(error).__name__}") from None

    async def close(self) -> None:
        """See LeaseStore."""
        await self._redis.aclose()
