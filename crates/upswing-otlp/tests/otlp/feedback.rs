//! Evaluations and annotations.

use serde_json::{Value as Json, json};
use upswing_otlp::{Annotator, Received, RecordedFeedback, Target};

use crate::support::{TRACE, event, id, log, logs, read, read_spans, span, with};

fn about_span(number: u64) -> Target {
    Target::Span { trace_id: TRACE.parse().unwrap(), span_id: id(number).parse().unwrap() }
}

fn only(received: Received) -> RecordedFeedback {
    assert_eq!(received.rejected, upswing_otlp::Rejected::default());
    let [feedback] = <[_; 1]>::try_from(received.feedback).unwrap();
    feedback
}

fn evaluation(more: Json) -> Json {
    with(json!({"gen_ai.evaluation.name": "relevance", "gen_ai.evaluation.score.value": 0.75}), more)
}

#[test]
fn an_evaluation_in_a_log_is_about_its_span_or_the_response_it_names() {
    let around = json!({"traceId": TRACE, "spanId": id(1)});
    let given = evaluation(json!({
        "gen_ai.evaluation.score.label": "relevant", "gen_ai.evaluation.explanation": "It answers.", "judge": "j",
    }));
    let feedback =
        only(read(&logs(vec![with(log("gen_ai.evaluation.result", given.clone()), around.clone())])));
    assert_eq!(
        (feedback.target, feedback.name.as_str(), feedback.score),
        (about_span(1), "relevance", Some(0.75))
    );
    assert_eq!(
        (feedback.label.as_deref(), feedback.explanation.as_deref()),
        (Some("relevant"), Some("It answers."))
    );
    assert_eq!((feedback.annotator, feedback.metadata["judge"].as_str()), (None, Some("j")));
    assert_eq!(feedback.at, Some(1_700_000_000_000_005));

    let named = with(given.clone(), json!({"gen_ai.response.id": "r"}));
    let feedback = only(read(&logs(vec![with(log("gen_ai.evaluation.result", named), around)])));
    assert_eq!(feedback.target, Target::Response("r".to_owned()));
    assert!(feedback.carrier.is_some());

    let trace = with(log("gen_ai.evaluation.result", given), json!({"traceId": TRACE}));
    assert_eq!(only(read(&logs(vec![trace]))).target, Target::Trace(TRACE.parse().unwrap()));
}

#[test]
fn the_name_of_an_event_may_be_an_attribute_and_what_it_says_its_body() {
    let older = json!({
        "timeUnixNano": "2000", "traceId": TRACE, "spanId": id(1),
        "attributes": [{"key": "event.name", "value": {"stringValue": "gen_ai.evaluation.result"}}],
        "body": crate::support::body(&evaluation(json!({}))),
    });
    let feedback = only(read(&logs(vec![older])));
    assert_eq!((feedback.score, feedback.metadata.len()), (Some(0.75), 0));
}

#[test]
fn a_missing_score_is_missing_and_an_empty_evaluation_is_refused() {
    let around = json!({"traceId": TRACE, "spanId": id(1)});
    let refused = |given: Json| {
        let received = read(&logs(vec![with(log("gen_ai.evaluation.result", given), around.clone())]));
        assert_eq!((received.feedback.len(), received.rejected.count), (0, 1));
        received.rejected.message()
    };
    let labelled = log(
        "gen_ai.evaluation.result",
        json!({"gen_ai.evaluation.name": "a", "gen_ai.evaluation.score.label": "good"}),
    );
    assert_eq!(only(read(&logs(vec![with(labelled, around.clone())]))).score, None);
    let not_a_number = log(
        "gen_ai.evaluation.result",
        json!({"gen_ai.evaluation.name": "a", "gen_ai.evaluation.score.label": "bad", "gen_ai.evaluation.score.value": "NaN"}),
    );
    assert_eq!(only(read(&logs(vec![with(not_a_number, around.clone())]))).score, None);
    assert!(refused(json!({"gen_ai.evaluation.score.value": 1})).contains("no name"));
    assert!(refused(json!({"gen_ai.evaluation.name": "a"})).contains("neither score nor label"));
    let failed =
        json!({"gen_ai.evaluation.name": "a", "error.type": "timeout", "gen_ai.evaluation.explanation": "e"});
    assert!(refused(failed).contains("timeout"));
    let nowhere = read(&logs(vec![log("gen_ai.evaluation.result", evaluation(json!({})))]));
    assert!(nowhere.rejected.message().contains("neither a response nor a span nor a trace"));
}

#[test]
fn an_evaluation_on_a_span_event_is_about_the_span() {
    let events = json!([
        event("gen_ai.evaluation.result", evaluation(json!({}))),
        event("gen_ai.evaluation.result", json!({"gen_ai.evaluation.score.value": 1})),
    ]);
    let received = read_spans(vec![with(span(1, None, json!({})), json!({"events": events}))]);
    assert_eq!((received.spans.len(), received.rejected.count), (1, 0), "the span is kept");
    assert!(received.rejected.message().contains("no name"), "a warning");
    assert_eq!((received.feedback.len(), &received.feedback[0].target), (1, &about_span(1)));
}

#[test]
fn annotations_on_every_level() {
    let other = "0af7651916cd43dd8448eb211c80319c";
    let received = read_spans(vec![with(
        span(
            1,
            None,
            json!({
                "annotations.0.annotation.name": "helpful", "annotations.0.annotation.score": 1,
                "annotations.0.annotation.annotator_kind": "HUMAN", "annotations.0.annotation.identifier": "i",
                "annotations.0.annotation.metadata": "{\"rubric\": 2}",
                "annotations.10.annotation.name": "tone", "annotations.10.annotation.label": "dry", "annotations.10.annotation.annotator_kind": "crowd",
                "trace.annotations.0.annotation.name": "solved", "trace.annotations.0.annotation.score": 0.5,
                "session.annotations.0.annotation.name": "satisfied", "session.annotations.0.annotation.label": "yes",
                "session.id": "s",
            }),
        ),
        json!({"links": [{"traceId": other, "spanId": id(7)}]}),
    )]);
    assert_eq!(received.rejected, upswing_otlp::Rejected::default());
    let linked = Target::Span { trace_id: other.parse().unwrap(), span_id: id(7).parse().unwrap() };
    let found: Vec<_> =
        received.feedback.iter().map(|f| (f.target.clone(), f.name.as_str(), f.score)).collect();
    assert_eq!(
        found,
        [
            (linked.clone(), "helpful", Some(1.0)),
            (linked, "tone", None),
            (Target::Trace(other.parse().unwrap()), "solved", Some(0.5)),
            (Target::Session("s".to_owned()), "satisfied", None),
        ]
    );
    assert_eq!(
        (received.feedback[0].annotator.as_ref(), received.feedback[0].identifier.as_deref()),
        (Some(&Annotator::Human), Some("i"))
    );
    assert_eq!(received.feedback[0].metadata["rubric"], 2);
    assert_eq!(received.feedback[1].annotator.as_ref().unwrap().name(), "crowd");
    assert!(
        received.spans[0].attributes.is_empty(),
        "what is feedback is no attribute: {:?}",
        received.spans[0].attributes
    );
}

#[test]
fn a_run_that_has_a_link_is_judged_itself() {
    let link = json!({"links": [{"traceId": TRACE, "spanId": id(7)}]});
    let given = json!({"openinference.span.kind": "LLM", "annotations.0.annotation.name": "a", "annotations.0.annotation.score": 1});
    assert_eq!(
        only(read_spans(vec![with(span(1, None, given.clone()), link.clone())])).target,
        about_span(1)
    );
    // Two links name no one target.
    let two = json!({"links": [link["links"][0], link["links"][0]]});
    let carrier = json!({"annotations.0.annotation.name": "a", "annotations.0.annotation.score": 1});
    assert_eq!(only(read_spans(vec![with(span(1, None, carrier), two)])).target, about_span(1));
}

#[test]
fn annotations_that_say_nothing_are_warnings() {
    let received = read_spans(vec![span(
        1,
        None,
        json!({
            "annotations.0.annotation.score": 1,
            "annotations.1.annotation.name": "a",
            "session.annotations.0.annotation.name": "b", "session.annotations.0.annotation.score": 1,
        }),
    )]);
    assert_eq!((received.spans.len(), received.feedback.len(), received.rejected.count), (1, 0, 0));
    assert_eq!(received.rejected.reasons.len(), 3, "{:?}", received.rejected);
}

#[test]
fn sent_again_it_is_the_same_and_another_judgement_is_another() {
    let rating = |score: f64, carrier: u64| {
        let given = json!({"annotations.0.annotation.name": "a", "annotations.0.annotation.score": score});
        let link = json!({"links": [{"traceId": TRACE, "spanId": id(7)}]});
        only(read_spans(vec![with(span(carrier, None, given), link)]))
    };
    assert_eq!(rating(1.0, 1), rating(1.0, 1));
    assert_ne!(rating(1.0, 1).id, rating(0.5, 1).id);
    assert_ne!(rating(1.0, 1).id, rating(1.0, 2).id, "somebody else who says the same");
    // The same result under both of OpenInference's words.
    let both = json!({
        "annotations.0.annotation.name": "a", "annotations.0.annotation.score": 1,
        "evaluations.3.evaluation.name": "a", "evaluations.3.evaluation.score": 1,
    });
    only(read_spans(vec![span(1, None, both)]));
}
