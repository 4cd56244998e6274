//! Both encodings, and all that emitters write differently.

use proptest::prelude::*;
use prost::Message as _;
use serde_json::{Value as Json, json};
use upswing_otlp::{Format, MAX_ATTRIBUTES, MAX_DEPTH, MAX_TEXT_BYTES, read_logs, read_traces};

use crate::support::{
    START, TRACE, id, log, logs, protobuf, read, read_json, read_spans, span, traces, with,
};
use crate::wire;

#[test]
fn snake_case_numbers_and_capitals_are_read_as_well() {
    let request = json!({"resource_spans": [{"resource": {"attributes": []}, "scope_spans": [{
        "scope": null,
        "unknownField": {"a": [1, 2]},
        "spans": [{
            "trace_id": TRACE.to_uppercase(), "span_id": "00000000000000AB", "parent_span_id": "0000000000000000",
            "name": "chat", "kind": "SPAN_KIND_CLIENT", "status": {"code": "STATUS_CODE_ERROR"},
            "start_time_unix_nano": START, "end_time_unix_nano": START + 1_500_000,
            "attributes": [
                {"key": "gen_ai.operation.name", "value": {"string_value": "chat"}},
                {"key": "gen_ai.usage.input_tokens", "value": {"int_value": "90"}},
                {"key": "gen_ai.usage.output_tokens", "value": {"doubleValue": 7}},
                {"key": "unknown", "value": {"kvlist_value": {"values": [{"key": "a", "value": {"bool_value": true}}]}}},
            ],
        }],
    }]}]});
    let received = read_json(&request);
    assert_eq!(received.rejected.count, 0, "{:?}", received.rejected);
    let span = &received.spans[0];
    assert_eq!(
        (span.trace_id.to_string().as_str(), span.span_id.to_string().as_str()),
        (TRACE, "00000000000000ab")
    );
    assert_eq!(span.parent_span_id, None, "zero stands for no parent");
    assert_eq!((span.tokens.input, span.tokens.output), (Some(90), Some(7)));
    assert_eq!((span.latency_ms * 2.0, span.error.as_deref()), (3.0, Some("error")));
    assert_eq!(span.attributes["unknown"], json!({"a": true}));
}

#[test]
fn a_code_of_a_status_may_be_a_number_a_name_or_a_text() {
    for (code, failed) in [
        (json!(2), true),
        (json!("2"), true),
        (json!("STATUS_CODE_ERROR"), true),
        (json!(1), false),
        (json!("STATUS_CODE_OK"), false),
        (json!("something new"), false),
    ] {
        let received =
            read_json(&traces(vec![with(span(1, None, json!({})), json!({"status": {"code": code}}))]));
        assert_eq!(received.spans[0].error.is_some(), failed, "{code}");
    }
}

#[test]
fn values_of_all_kinds_are_the_same_in_both_encodings() {
    let given = json!({
        "gen_ai.operation.name": "chat", "text": "ü\n", "flag": true, "int": i64::MIN, "double": -0.125, "absent": null,
        "list": [1, "a", [null, {"b": 2.5}]], "fields": {"x": {"y": []}},
    });
    let received = read_spans(vec![span(1, None, given)]);
    assert_eq!(
        serde_json::to_value(&received.spans[0].attributes).unwrap(),
        json!({"absent": null, "double": -0.125, "fields": {"x": {"y": []}}, "flag": true,
               "gen_ai.operation.name": "chat", "int": i64::MIN, "list": [1, "a", [null, {"b": 2.5}]], "text": "ü\n"})
    );
}

#[test]
fn a_wrong_type_costs_its_span_alone() {
    let bad =
        with(span(1, None, json!({})), json!({"attributes": [{"key": "a", "value": {"intValue": "many"}}]}));
    let odd = json!(["not a span"]);
    let received = read_json(&traces(vec![bad, odd, span(2, None, json!({}))]));
    assert_eq!((received.spans.len(), received.rejected.count), (1, 2));
    let reasons = received.rejected.message();
    assert!(reasons.contains("spans[0]: attribute a: intValue is a text"), "{reasons}");
    assert!(reasons.contains("spans[1]: a span is a list"), "{reasons}");
    assert!(!reasons.contains("many"), "what people wrote is not repeated: {reasons}");
}

#[test]
fn a_broken_span_in_protobuf_costs_itself_alone() {
    let good = protobuf(&traces(vec![span(1, None, json!({}))]));
    let mut request = wire::Request::decode(good.as_slice()).unwrap();
    let records = &mut request.groups[0].scoped[0].records;
    let truncated = records[0][..records[0].len() - 1].to_vec();
    // Field 7, the start, as a varint.
    let wrong_type = [records[0].as_slice(), &[0x38, 1]].concat();
    records.extend([truncated, wrong_type, vec![0xff; 20]]);
    let received = read_traces(Format::Protobuf, &request.encode_to_vec()).unwrap();
    assert_eq!((received.spans.len(), received.rejected.count), (1, 3));
    assert!(received.rejected.message().contains("field start_time_unix_nano has another type"));
}

#[test]
fn texts_that_were_cut_within_a_character_are_kept() {
    let request =
        protobuf(&traces(vec![span(1, None, json!({"gen_ai.operation.name": "chat", "a": "xyz"}))]));
    let place = request.windows(3).position(|bytes| bytes == b"xyz").unwrap();
    let mut cut = request.clone();
    cut[place + 2] = 0xc3;
    let received = read_traces(Format::Protobuf, &cut).unwrap();
    assert_eq!(received.spans[0].attributes["a"], json!("xy\u{fffd}"));
}

#[test]
fn nesting_and_lengths_are_bounded() {
    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    let request = |value: Json| vec![span(1, None, json!({"gen_ai.operation.name": "chat", "a": value}))];
    assert_eq!(read_spans(request(nested(MAX_DEPTH))).rejected.count, 0);
    let refused = read_spans(request(nested(MAX_DEPTH + 1)));
    assert_eq!((refused.spans.len(), refused.rejected.count), (0, 1));
    // Far beyond what a stack of calls could hold.
    let mut bytes = vec![0x18, 1];
    for _ in 0..20_000 {
        let inner = [&[0x0a], varint(bytes.len()).as_slice(), &bytes].concat();
        bytes = [&[0x2a], varint(inner.len()).as_slice(), &inner].concat();
    }
    let bytes = wire::Request {
        groups: vec![wire::Group {
            scoped: vec![wire::Scoped {
                scope: None,
                records: vec![[&[0x2a], varint(bytes.len()).as_slice(), &bytes].concat()],
            }],
            ..wire::Group::default()
        }],
    };
    let received = read_logs(Format::Protobuf, &bytes.encode_to_vec()).unwrap();
    assert!(received.rejected.message().contains("nested"), "{:?}", received.rejected);
    let text = format!(r#"{{"resourceSpans": {}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert!(read_traces(Format::Json, text.as_bytes()).is_err());

    let long = read_spans(request(json!("é".repeat(MAX_TEXT_BYTES))));
    assert_eq!(long.spans[0].attributes["a"].as_str().unwrap().len(), MAX_TEXT_BYTES);
    assert_eq!(long.spans[0].shortened, 1);
    let mut many = json!({"gen_ai.operation.name": "chat"});
    many.as_object_mut().unwrap().extend((0..MAX_ATTRIBUTES + 10).map(|n| (format!("a{n:05}"), json!(n))));
    let many = read_spans(vec![span(1, None, many)]);
    assert_eq!((many.spans[0].attributes.len(), many.spans[0].shortened), (MAX_ATTRIBUTES, 11));
}

fn varint(value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::encode_varint(value as u64, &mut bytes);
    bytes
}

#[test]
fn a_log_without_its_own_time_has_that_of_its_observer() {
    let evaluation = log(
        "gen_ai.evaluation.result",
        json!({"gen_ai.evaluation.name": "a", "gen_ai.evaluation.score.value": 1}),
    );
    let about = json!({"traceId": TRACE, "spanId": id(1)});
    let at = |times: Json| {
        let received = read(&logs(vec![with(with(evaluation.clone(), about.clone()), times)]));
        received.feedback[0].at
    };
    assert_eq!(at(json!({"timeUnixNano": "2000", "observedTimeUnixNano": "9000"})), Some(2));
    assert_eq!(at(json!({"timeUnixNano": "0", "observedTimeUnixNano": "9000"})), Some(9));
    assert_eq!(at(json!({"timeUnixNano": "0"})), None);
}

/// A value as emitters may send it.
fn value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        // What `serde_json` reads of larger numbers with a point, and of fractions other than eighths, may differ in the
        // last bit from what was written.
        (-(1_i64 << 40)..1 << 40).prop_map(Json::from),
        (-8_000_000..8_000_000_i32).prop_map(|eighths| Json::from(f64::from(eighths) / 8.0)),
        ".{0,12}".prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            proptest::collection::btree_map("[a-z]{1,4}", inner, 0..4)
                .prop_map(|fields| Json::Object(fields.into_iter().collect())),
        ]
    })
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![prop::sample::select(crate::mutation::NAMES).prop_map(str::to_owned), "[a-z.]{1,12}",]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// `read` compares JSON with what `prost` wrote, and the span comes back from its own JSON.
    #[test]
    fn both_encodings_say_the_same(given in proptest::collection::btree_map(name(), value(), 0..12)) {
        let given = Json::Object(given.into_iter().collect());
        let received = read_spans(vec![span(1, Some(2), given)]);
        prop_assert_eq!(received.rejected.count, 0);
        let stored = serde_json::to_string(&received.spans[0]).unwrap();
        let restored: upswing_otlp::RecordedSpan = serde_json::from_str(&stored).unwrap();
        prop_assert_eq!(serde_json::to_string(&restored).unwrap(), stored);
    }
}
