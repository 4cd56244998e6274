#!/usr/bin/env python3
"""Answer a question with the version that Upswing chooses, and go on without it when it is away. Python 3.9, nothing else.

UPSWING_URL, UPSWING_KEY, UPSWING_AGENT: where, with which key, and the agent's name.
"""
import json
import os
import urllib.request

URL = os.environ.get("UPSWING_URL", "http://127.0.0.1:8787") + "/api/learning/"
DEFAULT = {"label": "concise", "config": {"prompt": "Answer in one sentence."}}  # serves while Upswing is away


def upswing(path, body, timeout):
    headers = {"authorization": "Bearer " + os.environ.get("UPSWING_KEY", ""), "content-type": "application/json"}
    request = urllib.request.Request(URL + path, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return json.load(response)
    except (OSError, ValueError) as error:  # down, refused, 4xx and 5xx, too slow, not JSON
        print(f"upswing: {path} failed: {error}")
        return None


def model(prompt, question):  # your model
    return f"({prompt}) The answer to '{question}' is 42."


question = "What is six times seven?"
context = {"topic": "arithmetic", "question_chars": len(question)}
request = {"agent": os.environ.get("UPSWING_AGENT", "answers"), "unit": "user-17", "context": context}
decision = upswing("decide", request, timeout=0.25)
version = decision or DEFAULT
answer = model(version["config"]["prompt"], question)
print(f"version: {version['label']}\nanswer: {answer}")

if decision:
    run = {"id": decision["decision_id"], "token": decision["token"], "agent_id": decision["agent_id"]}
    run |= {"decision_id": decision["decision_id"], "context": context, "input": question, "output": answer}
    stored = upswing("executions", run, timeout=2)
    feedback = {"execution_id": decision["decision_id"], "agent_id": decision["agent_id"], "feedback_type": "thumbs_up"}
    heard = upswing("feedback", feedback, timeout=2)
    print(f"execution: {stored and stored['status']}\nreward: {heard and heard['reward']}")
