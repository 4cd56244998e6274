#!/bin/sh
# Answer a question with the version that Upswing chooses, and go on without it when it is away. Needs curl and sed.
#
# UPSWING_URL, UPSWING_KEY, UPSWING_AGENT: where, with which key, and the agent's name.
url=${UPSWING_URL:-http://127.0.0.1:8787}/api/learning
label=concise prompt="Answer in one sentence." # while Upswing is away

upswing() { # path, body, seconds; answers nothing when it fails: down, refused, 4xx and 5xx, too slow
  printf 'header = "authorization: Bearer %s"\n' "$UPSWING_KEY" | # not an argument, which others could see
    curl --config - --silent --show-error --fail --max-time "$3" --json "$2" "$url/$1" || echo "upswing: $1 failed" >&2
}
field() { # with jq it would be: jq -r ".$1"
  sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p; t; s/.*\"$1\": *\([^,}]*\).*/\1/p"
}
model() { echo "($1) The answer to '$2' is 42."; } # your model

question="What is six times seven?"
context='{"topic": "arithmetic", "question_chars": 24}'
request='{"agent": "'${UPSWING_AGENT:-answers}'", "unit": "user-17", "context": '$context'}'
decision=$(upswing decide "$request" 0.25)
if [ -n "$decision" ]; then
  label=$(echo "$decision" | field label) prompt=$(echo "$decision" | field prompt)
fi
answer=$(model "$prompt" "$question")
echo "version: $label"
echo "answer: $answer"

if [ -n "$decision" ]; then
  id=$(echo "$decision" | field decision_id) agent=$(echo "$decision" | field agent_id)
  token=$(echo "$decision" | field token)
  run='{"id": "'$id'", "decision_id": "'$id'", "agent_id": "'$agent'", "token": "'$token'", "context": '$context',
        "input": "'$question'", "output": "'$answer'"}'
  echo "execution: $(upswing executions "$run" 2 | field status)"
  feedback='{"execution_id": "'$id'", "agent_id": "'$agent'", "feedback_type": "thumbs_up"}'
  echo "reward: $(upswing feedback "$feedback" 2 | field reward)"
fi
