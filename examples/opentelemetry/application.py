#!/usr/bin/env python3
"""An application that reports to Upswing by OpenTelemetry alone: no Upswing client, two lines of attributes.

    pip install -r requirements.txt
    python openai_stub.py &
    export OPENAI_BASE_URL=http://127.0.0.1:18001/v1 OPENAI_API_KEY=none
    export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:8787
    export OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20up_sk_..."
    python application.py genai                 # or openinference, or traceloop, or several: genai,openinference

It asks one question, asks one as a stream, asks one that fails, and runs an agent that asks twice. Then it judges: an
evaluation as a log event, and a person's rating on a span of its own that is linked to what was rated.
"""
import sys
import time

from openai import OpenAI, OpenAIError
from opentelemetry import trace
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

resource = Resource({"service.name": "shop-assistant"})
spans = TracerProvider(resource=resource)
spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
logs = LoggerProvider(resource=resource)
logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))


def instrument(names):
    """Each is one line in an application; OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT and the like are theirs."""
    for name in names:
        if name == "genai":
            from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
        elif name == "openinference":
            from openinference.instrumentation.openai import OpenAIInstrumentor
        elif name == "traceloop":
            from opentelemetry.instrumentation.openai import OpenAIInstrumentor
        elif name == "none":
            continue
        else:
            sys.exit(f"{name} is not one of genai, openinference, traceloop, none")
        OpenAIInstrumentor().instrument(tracer_provider=spans, logger_provider=logs)


def ask(client, question, **more):
    messages = [{"role": "system", "content": "Answer in one sentence."}, {"role": "user", "content": question}]
    return client.chat.completions.create(model="stub-small", messages=messages, **more)


def main():
    instrument((sys.argv[1] if len(sys.argv) > 1 else "genai").split(","))
    tracer = spans.get_tracer("shop-assistant")
    client = OpenAI(max_retries=0)

    answer = ask(client, "What is six times seven?")
    print(answer.id, answer.choices[0].message.content)
    for _ in ask(client, "What is seven times six?", stream=True, stream_options={"include_usage": True}):
        pass
    try:
        ask(client, "Please fail.")
    except OpenAIError as error:
        print("as it should:", type(error).__name__)

    # An agent: one execution, with both calls in it. `upswing.*` says what no convention has words for.
    attributes = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "shop-assistant",
        "gen_ai.conversation.id": "visit-7",
        "upswing.context.topic": "arithmetic",
    }
    with tracer.start_as_current_span("invoke_agent shop-assistant", attributes=attributes) as agent:
        first = ask(client, "What is a dozen?")
        second = ask(client, "And two dozen?")
        print(first.id, second.id)

    # An evaluator: a log event that names the answer by the provider's id.
    logs.get_logger("shop-assistant.evaluator").emit(
        LogRecord(
            timestamp=time.time_ns(),
            event_name="gen_ai.evaluation.result",
            attributes={
                "gen_ai.evaluation.name": "relevance",
                "gen_ai.evaluation.score.value": 0.75,
                "gen_ai.evaluation.explanation": "It answers another question as well.",
                "gen_ai.response.id": answer.id,
            },
        )
    )

    # A person rates the agent's answer later: a span that carries the rating, linked to the span that is rated.
    rating = {
        "annotations.0.annotation.name": "helpful",
        "annotations.0.annotation.score": 1,
        "annotations.0.annotation.label": "thumbs up",
        "annotations.0.annotation.annotator_kind": "HUMAN",
    }
    tracer.start_span("feedback", attributes=rating, links=[trace.Link(agent.get_span_context())]).end()

    spans.shutdown()
    logs.shutdown()


if __name__ == "__main__":
    main()
