#!/usr/bin/env python3
"""A plain asyncio client for streaming chat completions: the peer that BenchmarkStreams measures beside ours.

It does what Python load generators do at the least: one task per stream, a line at a time, json.loads of every event, a
time stamp for every chunk with output. It prints one JSON line: CPU seconds (user + system) spent while streaming,
events, streams that ended well.

    sse_client.py URL STREAMS        needs aiohttp; falls back to httpx
"""
import asyncio
import json
import resource
import sys
import time

try:
    import aiohttp
except ImportError:
    aiohttp = None
    import httpx

BODY = {
    "model": "scripted-model",
    "stream": True,
    "stream_options": {"include_usage": True},
    "max_tokens": 16384,
    "messages": [{"role": "user", "content": "hello"}],
}


class Stream:
    def __init__(self):
        self.events, self.times, self.tokens, self.done = 0, [], None, False

    def line(self, line):
        if not line.startswith(b"data:"):
            return
        data = line[5:].strip()
        if data == b"[DONE]":
            self.done = True
            return
        chunk = json.loads(data)
        self.events += 1
        for choice in chunk["choices"]:
            if choice["delta"].get("content"):
                self.times.append(time.perf_counter())
        if chunk.get("usage"):
            self.tokens = chunk["usage"]["completion_tokens"]


async def with_aiohttp(url, n):
    async def one(session):
        s = Stream()
        async with session.post(url + "/chat/completions", json=BODY) as response:
            async for line in response.content:
                s.line(line)
        return s

    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
        return await asyncio.gather(*(one(session) for _ in range(n)))


async def with_httpx(url, n):
    async def one(client):
        s = Stream()
        async with client.stream("POST", url + "/chat/completions", json=BODY) as response:
            async for line in response.aiter_lines():
                s.line(line.encode())
        return s

    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=None, limits=limits) as client:
        return await asyncio.gather(*(one(client) for _ in range(n)))


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main():
    url, n = sys.argv[1], int(sys.argv[2])
    library, run = ("aiohttp", with_aiohttp) if aiohttp else ("httpx", with_httpx)
    before = cpu()
    streams = asyncio.run(run(url, n))
    print(json.dumps({
        "library": library,
        "cpu_seconds": cpu() - before,
        "events": sum(s.events for s in streams),
        "ended": sum(s.done for s in streams),
    }))


if __name__ == "__main__":
    main()
