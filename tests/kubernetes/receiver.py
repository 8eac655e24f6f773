"""A receiver in a pod: counts what arrives, by path, webhook-id and the number in the event."""

import json
import sys
from collections import defaultdict

from aiohttp import web

requests: dict[str, int] = defaultdict(int)
ids: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))


async def hook(request: web.Request) -> web.Response:
    event = json.loads(await request.read()).get("event", {})
    requests[request.path] += 1
    number = str(event.get("n", event.get("message", "")))
    ids[request.path][number].add(request.headers["webhook-id"])
    return web.Response(status=204)


async def summary(_: web.Request) -> web.Response:
    paths = {
        path: {
            "requests": requests[path],
            "numbers": sorted(numbers),
            "doubled": sorted(number for number, found in numbers.items() if len(found) > 1),
        }
        for path, numbers in ids.items()
    }
    return web.json_response(paths)


app = web.Application()
app.router.add_get("/summary", summary)
app.router.add_post("/{path:.*}", hook)
web.run_app(app, port=int(sys.argv[1]), print=None)
