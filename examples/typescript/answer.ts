// Answer a question with the version that Upswing chooses, and go on without it when it is away. Only fetch, no package.
// Types are erasable, so Node 22.18 and later, Deno and Bun run this file as it is: `node answer.ts`.
//
// UPSWING_URL, UPSWING_KEY, UPSWING_AGENT: where, with which key, and the agent's name.

type Version = { label: string; config: { prompt: string } };
type Decision = Version & { decision_id: string; agent_id: string; token: string };

const env = process.env;
const fallback: Version = { label: "concise", config: { prompt: "Answer in one sentence." } }; // while Upswing is away

async function upswing<T>(path: string, body: object, timeout: number): Promise<T | null> {
  try {
    const response = await fetch(`${env.UPSWING_URL ?? "http://127.0.0.1:8787"}/api/learning/${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${env.UPSWING_KEY}`, "content-type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(timeout),
    });
    if (!response.ok) throw new Error(`status ${response.status}: ${await response.text()}`);
    return await response.json();
  } catch (error) { // down, refused, 4xx and 5xx, too slow, not JSON
    console.log(`upswing: ${path} failed: ${error}`);
    return null;
  }
}

function model(prompt: string, question: string): string { // your model
  return `(${prompt}) The answer to '${question}' is 42.`;
}

const question = "What is six times seven?";
const context = { topic: "arithmetic", question_chars: question.length };
const request = { agent: env.UPSWING_AGENT ?? "answers", unit: "user-17", context };
const decision = await upswing<Decision>("decide", request, 250);
const version: Version = decision ?? fallback;
const answer = model(version.config.prompt, question);
console.log(`version: ${version.label}\nanswer: ${answer}`);

if (decision) {
  const { decision_id, agent_id, token } = decision;
  const run = { id: decision_id, decision_id, agent_id, token, context, input: question, output: answer };
  const stored = await upswing<{ status: string }>("executions", run, 2000);
  const feedback = { execution_id: decision_id, agent_id, feedback_type: "thumbs_up" };
  const heard = await upswing<{ reward: number | null }>("feedback", feedback, 2000);
  console.log(`execution: ${stored?.status}\nreward: ${heard?.reward}`);
}
