#!/usr/bin/env python3
"""Stands in for a provider of models: OpenAI's chat completions, also as a stream, without a model. Python 3.9, nothing else.

    python openai_stub.py [PORT]        then OPENAI_BASE_URL=http://127.0.0.1:PORT/v1 (18001 unless given, 0 takes a free one)
"""
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

numbers = count(1)


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if not self.path.endswith("/chat/completions"):
            return self.answer(404, {"error": {"message": "only chat completions", "type": "not_found"}})
        question = request["messages"][-1]["content"]
        if "fail" in question:
            return self.answer(400, {"error": {"message": "told to fail", "type": "invalid_request_error"}})
        text = f"The answer to '{question}' is 42."
        common = {"id": f"chatcmpl-stub-{next(numbers)}", "created": 1700000000, "model": "stub-small-2026"}
        usage = {
            "prompt_tokens": sum(len(message["content"].split()) for message in request["messages"]),
            "completion_tokens": len(text.split()),
            "prompt_tokens_details": {"cached_tokens": 2},
            "completion_tokens_details": {"reasoning_tokens": 3},
        }
        usage["total_tokens"] = usage["prompt_tokens"] + usage["completion_tokens"]
        if request.get("stream"):
            return self.stream(common, text, usage)
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        self.answer(200, {**common, "object": "chat.completion", "choices": [choice], "usage": usage})

    def answer(self, status, body):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, common, text, usage):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()

        def send(choices, **more):
            chunk = {**common, "object": "chat.completion.chunk", "choices": choices, **more}
            self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")

        for word in text.split(" "):
            send([{"index": 0, "delta": {"role": "assistant", "content": word + " "}, "finish_reason": None}])
        send([{"index": 0, "delta": {}, "finish_reason": "stop"}])
        send([], usage=usage)
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 18001
    server = ThreadingHTTPServer(("127.0.0.1", port), Provider)
    print(f"a stub of a provider on http://127.0.0.1:{server.server_port}/v1", flush=True)
    server.serve_forever()
