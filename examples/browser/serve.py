#!/usr/bin/env python3
"""A page whose answers say by themselves how they were received. Python 3.9, nothing else.

UPSWING_URL, UPSWING_KEY, UPSWING_AGENT: where, with which secret key, and the agent's name.
UPSWING_PAGE_KEY: a publishable key that declares the page's origin, http://127.0.0.1:8000 unless PORT says otherwise.
"""
import html
import json
import os
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

URL = os.environ.get("UPSWING_URL", "http://127.0.0.1:8787")
PORT = int(os.environ.get("PORT", "8000"))
PAGE = Path(__file__).with_name("index.html").read_text()
QUESTION = "How do I keep basil alive on a windowsill?"
ANSWER = (  # your model
    "Give it at least six hours of light, water it from below when the top of the soil is dry, and cut it often, "
    "just above a pair of leaves: it then grows two stems where there was one. Flowers end it; take them off early."
)


def upswing(path, body):
    headers = {"authorization": "Bearer " + os.environ["UPSWING_KEY"], "content-type": "application/json"}
    request = urllib.request.Request(f"{URL}/api/learning/{path}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=2) as response:
        return json.load(response)


def answer():
    """The answer, and the token with which its page may speak about it; without Upswing an answer all the same."""
    try:
        agent = os.environ.get("UPSWING_AGENT", "answers")
        decision = upswing("decide", {"agent": agent, "unit": "user-17", "feedback_token": True})
        run = {name: decision[name] for name in ("agent_id", "decision_id", "token")}
        upswing("executions", run | {"id": decision["decision_id"], "input": QUESTION, "output": ANSWER})
        return ANSWER, decision["feedback_token"]
    except (OSError, ValueError) as error:
        print(f"upswing: {error}")
        return ANSWER, ""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        text, token = answer() if self.path.split("?")[0] == "/" else ("", None)
        if token is None:
            return self.send_error(404)
        key = os.environ.get("UPSWING_PAGE_KEY", "")
        page = PAGE
        for name, value in {"URL": URL, "KEY": key, "TOKEN": token, "QUESTION": QUESTION, "ANSWER": text}.items():
            page = page.replace("{{" + name + "}}", html.escape(value))
        self.send_response(200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    print(f"Look at http://127.0.0.1:{PORT}/", flush=True)
    ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
