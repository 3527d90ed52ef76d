#!/usr/bin/env python3
"""A plain asyncio client for streaming chat completions: the peer that BenchmarkPeers measures beside ours.

It does what Python load generators do at the least: one task per stream, a line at a time, json.loads of every event, a
time stamp for every chunk with output. It prints the account that all clients print (docs/peers/peer.h), of streams from
docs/peers/sse_emit.c: the text of a token is when it was sent.

    sse_client.py URL STREAMS TOKENS        needs aiohttp
"""
import asyncio
import json
import resource
import sys
import time

import aiohttp


class Stream:
    def __init__(self):
        self.off, self.done = [], False

    def line(self, line):
        if not line.startswith(b"data:"):
            return
        data = line[5:].strip()
        if data == b"[DONE]":
            self.done = True
            return
        chunk = json.loads(data)
        for choice in chunk["choices"]:
            if choice["delta"].get("content"):
                self.off.append(abs(time.time_ns() - int(choice["delta"]["content"])))


async def run(url, n, tokens):
    body = {
        "model": "scripted-model",
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": tokens,
        "messages": [{"role": "user", "content": "hello"}],
    }
    # The emitter reads the cap as it stands in compact JSON.
    data = json.dumps(body, separators=(",", ":"))

    async def one(session):
        s = Stream()
        async with session.post(url + "/chat/completions", data=data, headers={"Content-Type": "application/json"}) as response:
            async for line in response.content:
                s.line(line)
        return s

    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
        return await asyncio.gather(*(one(session) for _ in range(n)))


def main():
    url, n, tokens = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    streams = asyncio.run(run(url, n, tokens))
    used = resource.getrusage(resource.RUSAGE_SELF)
    off = sorted(t for s in streams for t in s.off)
    at = lambda q: off[int(q * (len(off) - 1))] / 1e3 if off else 0
    print(json.dumps({
        "events": len(off), "user": used.ru_utime, "sys": used.ru_stime, "p50_us": at(0.5), "p99_us": at(0.99), "p999_us": at(0.999),
        "max_us": at(1), "merged": 0, "failed": sum(not s.done or len(s.off) != tokens for s in streams), "rss_kb": used.ru_maxrss,
    }))


if __name__ == "__main__":
    main()
